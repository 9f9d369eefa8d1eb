"""How the commands show what they know: tables and sentences on a terminal, and JSON for scripts."""

import datetime as dt
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from flows.drawing.status_colours import STATUS_COLOURS, marked
from instances.errors import held_text
from instances.plans.plan import Action, Plan
from instances.plans.plan_text import change_text, changes_to_print, step_text
from instances.rules.causes import Explanation, explain
from instances.rules.deadlines import next_deadline, policy_text
from instances.rules.flow_status import FlowStatus, judge
from instances.rules.instance_status import FlowVerdict, InstanceStatus
from instances.rules.standstills import Standstills
from instances.specification.handles import InstanceHandles
from instances.world.facts import BLOCKED, SKIPPED, FlowFacts, RunState, World
from instances.world.wording import about, moment, short
from prefect_optaic.actions import PauseChange, RunSnapshot, Withdrawal

SIGNS = {
    Action.RENAME: (">", "cyan"),
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.DELETE: ("-", "red"),
}
_GAP = "  "  # between the columns of the board
_ENDLESS = 100_000  # letters, more than any line has
_REASON = 40  # letters that a reason needs beside the other columns at least
NOT_PREFECTS_READY = (
    "READY here says that the data is fresh. The green Ready of a deployment in the Prefect UI says only that a worker "
    "would take its runs."
)


def output() -> Console:
    """Return the console of a command's output: to a file or a pipe each line is as long as it is."""
    console = Console()
    console.soft_wrap = not console.is_terminal
    return console


def show_whole(console: Console, drawn: Table | Tree) -> None:
    """Print a table or a tree: to a file or a pipe with no cell or sentence wrapped."""
    if console.is_terminal:
        console.print(drawn)
        return
    wide = Console(file=io.StringIO(), width=_ENDLESS, color_system=None)
    with wide.capture() as captured:
        wide.print(drawn)
    for line in captured.get().splitlines():
        console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)


def as_json(lines: Iterable[InstanceStatus], handles: Mapping[str, InstanceHandles]) -> list[dict[str, Any]]:
    """Return the board as `optaic status --json` prints it, with the handles of what is on record."""
    return [
        {
            "instance": line.instance,
            "type": line.type,
            "status": line.status.value,
            "reason": line.reason,
            "since": line.since.isoformat() if line.since else None,
            "left_out": line.flaw,
            "flows": [
                {
                    "flow": flow.flow,
                    "status": flow.verdict.status.value,
                    "reason": flow.verdict.reason,
                    "deployment_id": str(flow.deployment_id) if flow.deployment_id else None,
                    "paused": flow.paused,
                    "schedule_paused": flow.schedule_paused,
                }
                for flow in line.flows
            ],
            "handles": _json_values(handles[line.instance].named()) if line.instance in handles else None,
        }
        for line in lines
    ]


def _json_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with ids as text and moments as ISO 8601."""
    return {
        name: value.isoformat() if isinstance(value, dt.date) else str(value) if isinstance(value, UUID) else value
        for name, value in values.items()
    }


def show_status(console: Console, lines: Iterable[InstanceStatus], now: dt.datetime) -> None:
    """Print the board with a row for each flow, and one before them for an instance that has several.

    To a file or a pipe each row is one line, as long as it is; on a narrow terminal a reason has lines of its own.
    """
    board = list(lines)
    _show_rows(console, [row for line in board for row in _status_rows(line, now)])
    for line in board:
        if line.flaw is not None and line.flows:
            console.print(f"[yellow]left out:[/] {escape(line.flaw)}", highlight=False, soft_wrap=True)
            console.print(f"  {line.instance} goes on as it was applied", highlight=False, soft_wrap=True)


def _show_rows(console: Console, rows: Sequence["_Row"]) -> None:
    heads = ("instance", "type", "flow", "status", "since")
    widths = [max(map(len, column)) for column in zip(heads, *(row.cells for row in rows), strict=True)]
    room = console.width - sum(width + len(_GAP) for width in widths)
    if console.is_terminal and room >= _REASON:
        console.print(_status_table((*heads, "reason"), rows))
        return
    apart = console.is_terminal
    _say_cells(console, heads, widths, "" if apart else "reason", styles=dict.fromkeys(heads, "bold"))
    styles: Mapping[str, str] = {status.value: colour.terminal for status, colour in STATUS_COLOURS.items()}
    for row in rows:
        _say_cells(console, row.cells, widths, "" if apart else row.reason, styles=styles)
        if apart:
            console.print(Padding(Text(row.reason), (0, 0, 0, 4)))


@dataclass(frozen=True)
class _Row:
    cells: tuple[str, ...]
    status: FlowStatus
    reason: str


def _status_rows(line: InstanceStatus, now: dt.datetime) -> Iterator[_Row]:
    """Yield a row for each flow of an instance, and one for the instance itself where that is not the same."""
    if len(line.flows) != 1:
        since = moment(line.since, now) if line.since else ""
        yield _Row((line.instance, line.type, "", line.status.value, since), line.status, one_line_reason(line.reason))
    yield from (_status_row(line, flow, now) for flow in line.flows)


def _status_row(line: InstanceStatus, flow: FlowVerdict, now: dt.datetime) -> _Row:
    verdict = flow.verdict
    since = moment(verdict.since, now) if verdict.since else ""
    cells = (line.instance, line.type, flow.flow, verdict.status.value, since)
    paused = "paused; " if flow.paused else "schedule paused; " if flow.schedule_paused else ""
    return _Row(cells, verdict.status, f"{paused}{one_line_reason(verdict.reason)}")


def _status_table(heads: Iterable[str], rows: Iterable[_Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in heads:
        table.add_column(column, overflow="fold", no_wrap=column not in {"reason"})
    for row in rows:
        name, type_, flow, status, since = row.cells
        table.add_row(name, type_, flow, Text(status, STATUS_COLOURS[row.status].terminal), since, escape(row.reason))
    return table


def _say_cells(
    console: Console, cells: Iterable[str], widths: Iterable[int], reason: str, *, styles: Mapping[str, str]
) -> None:
    text = Text(_GAP).join(
        [
            *(Text(cell.ljust(width), styles.get(cell, "")) for cell, width in zip(cells, widths, strict=True)),
            Text(reason),
        ]
    )
    text.rstrip()
    console.print(text, soft_wrap=True)


def standstill_lines(standstills: Standstills) -> list[str]:
    """Return a warning for each part that stands still, with what follows from it and its remedy."""
    follows = "until it does, flows are started by their schedules and by the end of what they read only."
    now = standstills.at
    lines = [f"{standstills.sweep.sentence(now)}; {follows} {standstills.sweep.remedy}"] if standstills.sweep else []
    lines += [
        f"{pool.sentence(now)}; no run that goes there starts. {pool.remedy}" for pool in standstills.pools.values()
    ]
    return [line.strip() for line in lines]


def show_standstills(console: Console, standstills: Standstills) -> None:
    """Say what stands still, each in a line of its own."""
    for line in standstill_lines(standstills):
        _warn(console, line)


def _warn(console: Console, line: str) -> None:
    console.print(f"[yellow]warning:[/] {escape(line)}", highlight=False, soft_wrap=not console.is_terminal)


def one_line_reason(text: str) -> str:
    """Return what a reason says in one line, and a sign where there is more.

    Where the first line only leads to a quotation, as 'in the expression, at column 19:' does, it is left out
    for what is said after that, which is the first line that is not indented.
    """
    first, *more = text.splitlines() or [""]
    said = next((line for line in more if line and not line.startswith(" ")), "")
    if first.endswith(":") and said:
        before, found, _ = first.rpartition(": ")
        first = f"{before}{found}{said}"
    return f"{first} ..." if more else first


def show_plan(console: Console, plan: Plan, more_warnings: Iterable[str] = ()) -> None:
    """Print a plan: each resource that changes, with its fields before and after, and a summary."""

    def say(text: str) -> None:
        # To a file or a pipe each line as long as it is.
        console.print(text, highlight=False, soft_wrap=not console.is_terminal)

    for step, news in changes_to_print(plan.changes):
        sign, colour = SIGNS[step.action]
        known = "" if news or step.action is not Action.UPDATE else ": as said above"
        say(f"[{colour}]{sign} {escape(step_text(step))}[/]{known}")
        for change in news if step.action is Action.UPDATE else ():
            field, before, after = map(escape, change_text(change))
            say(f"    {field}: [red]{before}[/] -> [green]{after}[/]")
    for warning in (*plan.warnings, *more_warnings):
        _warn(console, warning)
    if plan.held:
        say(f"[yellow]{escape(held_text(plan.held))}[/]")
    if plan.kept:
        say(f"described no more, and kept (--prune deletes them): {', '.join(plan.kept)}")
    say(f"[bold]{plan.summary}[/]")


def show_apply(console: Console, plan: Plan) -> None:
    """Say in a line for each kind of resource what an apply has done."""
    for kind, group in groupby(plan.steps, key=lambda step: step.kind):
        counts = Counter(step.action for step in group)
        said = ", ".join(f"{counts[action]} {action}d" for action in SIGNS if counts[action])
        console.print(f"[green]✓[/] {kind}s: {said or 'all as they should be'}", highlight=False)


def plan_json(plan: Plan, more_warnings: Iterable[str] = ()) -> dict[str, Any]:
    """Return a plan as `optaic plan --json` prints it."""
    return {
        "summary": plan.summary,
        "digest": plan.digest,
        "problems": list(plan.problems),
        "held": list(plan.held),
        "warnings": [*plan.warnings, *more_warnings],
        "kept": list(plan.kept),
        "steps": [
            {
                "action": step.action.value,
                "kind": step.kind,
                "name": step.name,
                "changes": [change.plain() for change in step.changes],
            }
            for step in plan.changes
        ],
    }


def show_run(console: Console, label: str, seen: RunSnapshot) -> None:
    """Say that a run was seen in a state."""
    how = seen.name or seen.state.value.title()
    colour = "white"
    if seen.ended:
        colour = "green" if seen.state is RunState.COMPLETED else "yellow" if seen.name == BLOCKED else "red"
    message = f": {escape(seen.message)}" if seen.message and seen.ended else ""
    console.print(f"  {label} [{colour}]{how}[/]{message}", highlight=False)


def exit_code(seen: RunSnapshot) -> int:
    """Return 0 when the run did or confirmed its work, 3 when its guard stopped it, 1 otherwise."""
    if seen.state is RunState.COMPLETED or seen.name == SKIPPED:
        return 0
    return 3 if seen.name == BLOCKED else 1


def cause_tree(explanation: Explanation) -> Tree:
    """Return an explanation as a tree: the flow that was asked about, and under it what blocks, root causes marked."""
    nodes: list[Tree] = []
    for cause in explanation.causes:
        del nodes[cause.depth :]
        text = f"{escape(cause.label)} is {marked(cause.status)}: {escape(cause.reason)}"
        itself = not cause.depth and cause.status is not FlowStatus.UNKNOWN  # then there is nothing to tell apart
        if cause.root and not itself and cause.status is not FlowStatus.RUNNING:
            text = f"{text} [bold](root cause)[/]"
        if cause.repeated:
            text = f"{text} [dim](see above)[/]"
        nodes.append(nodes[-1].add(text) if nodes else Tree(text, highlight=False))
    return nodes[0]


def requests_table(
    flows: Iterable[FlowFacts], world: World, now: dt.datetime, standstills: Standstills | None = None
) -> Table:
    """Return the requests of these flows: since when, with which parameters, and what will become of them."""
    table = Table(box=None, pad_edge=False)
    for column in ("flow", "asked for", "with", "next"):
        table.add_column(column, overflow="fold", no_wrap=column == "flow")
    for flow in flows:
        next_step = one_line_reason(explain(flow, world, now, standstills).next_step)
        for request in flow.requests:
            given = ", ".join(f"{name}={value}" for name, value in request.parameters.items())
            table.add_row(flow.label, moment(request.created_at, now), escape(given), escape(next_step))
    return table


def show_pauses(console: Console, changes: Iterable[PauseChange]) -> None:
    """Say which flows were paused or resumed."""
    for change in changes:
        if change.before:
            said = "is paused already" if change.paused else "was not paused"
        elif change.paused:
            said = "is paused: neither its schedule nor the cascade starts it; an apply leaves it so"
        else:
            said = "is resumed"
        console.print(f"[green]✓[/] {escape(change.label)} {said}", highlight=False)


def show_withdrawal(console: Console, withdrawal: Withdrawal) -> None:
    """Say what was taken back, and what goes on all the same."""
    label = escape(withdrawal.label)
    if withdrawal.count:
        console.print(f"[green]✓[/] {label} is not asked for any more", highlight=False)
    else:
        console.print(f"{label} is not asked for: there is nothing to take back", highlight=False)
    for run_id in withdrawal.due:
        console.print(
            f"  its run {short(run_id)} is due already; cancel it with `prefect flow-run cancel {run_id}`",
            highlight=False,
        )


def freshness_table(flows: Iterable[FlowFacts], world: World, now: dt.datetime) -> Table:
    """Return what each flow's freshness asks of it, and until when it is met."""
    table = Table(box=None, pad_edge=False)
    for column in ("flow", "status", "last completed", "data until", "policy", "next deadline"):
        table.add_column(column, overflow="fold", no_wrap=column in {"flow", "status"})
    for flow in flows:
        status = judge(flow, world, now).status
        run, deadline = flow.completed, next_deadline(flow, world, now)
        watermark = run.provenance.watermark if run and run.provenance else None
        due = f"{moment(deadline.due, now)}, in {about(deadline.due - now)}: {deadline.rule}" if deadline else ""
        table.add_row(
            flow.label,
            marked(status),
            moment(run.at, now) if run else "",
            str(watermark or ""),
            policy_text(flow),
            due,
        )
    return table
