"""What the commands show, by the width of the terminal or none."""

import io
import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from definitions.contract import FlowKind
from instances.rules.causes import explain
from instances.rules.flow_status import FlowStatus, Verdict
from instances.rules.instance_status import FlowVerdict, InstanceStatus
from instances.specification.handles import FlowHandles, InstanceHandles
from instances.world.facts import FlowFacts
from prefect_optaic.show import as_json, cause_tree, one_line_reason, show_status, show_whole
from tests.instances.sample_world import NOW, completed, failed, flow, strict, world

REASON = "failed at 17:40 UTC, run db02c1f6: the source has a row twice, (2024-02-08, AAA): leave one of them out"
LINES = [
    InstanceStatus(
        "prices",
        "dataset",
        FlowStatus.ERROR,
        REASON,
        NOW,
        (FlowVerdict("refresh", Verdict(FlowStatus.ERROR, REASON, since=NOW), uuid4()),),
    )
]
HEAD = "instance  type     flow     status  since"
ROW = "prices    dataset  refresh  ERROR   18:00 UTC"


def shown(width: int, *, terminal: bool) -> list[str]:
    out = io.StringIO()
    show_status(Console(file=out, width=width, force_terminal=terminal, color_system=None), LINES, NOW)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_row_of_the_board_is_one_line_in_a_pipe() -> None:
    assert shown(80, terminal=False) == [f"{HEAD}      reason", f"{ROW}  {REASON}"]


def test_a_reason_has_lines_of_its_own_on_a_narrow_terminal() -> None:
    head, row, *reason = shown(80, terminal=True)
    assert (head, row) == (HEAD, ROW)
    assert all(line.startswith("    ") for line in reason)
    assert " ".join(line.strip() for line in reason) == REASON


def test_a_reason_is_a_column_on_a_wide_terminal() -> None:
    head, first, *more = shown(120, terminal=True)
    assert head == f"{HEAD}      reason"
    assert first.startswith(f"{ROW}  failed at 17:40 UTC")
    assert all(line.startswith(" " * len(ROW)) for line in more)


@pytest.mark.parametrize(
    ("paused", "said"), [({"paused": True}, "paused; "), ({"schedule_paused": True}, "schedule paused; ")]
)
def test_what_is_paused_is_said_before_the_reason(paused: Any, said: str) -> None:
    (line,) = LINES
    (verdict,) = line.flows
    out = io.StringIO()
    show_status(Console(file=out, width=80), [replace(line, flows=(replace(verdict, **paused),))], NOW)
    assert out.getvalue().splitlines()[1] == f"{ROW}  {said}{REASON}"


def test_the_board_for_scripts_has_the_handles_under_the_names_of_the_guide() -> None:
    deployment, run = UUID(int=1), UUID(int=2)
    flow_handles = FlowHandles(FlowKind.REFRESH, deployment, {"type": "manual"}, NOW, run, freshness_status="error")
    handles = InstanceHandles(
        UUID(int=3),
        "prices",
        "dataset",
        "default",
        "prices",
        (flow_handles,),
        last_data_date=NOW.date(),
        physical_path="/data/prices",
        freshness_status="error",
    )
    (shown_line,) = as_json(LINES, {"prices": handles})
    assert (shown_line["flows"][0]["paused"], shown_line["flows"][0]["schedule_paused"]) == (False, False)
    known = {name: value for name, value in json.loads(json.dumps(shown_line["handles"])).items() if value is not None}
    assert known == {
        "id": str(UUID(int=3)),
        "name": "prices",
        "type": "dataset",
        "project": "default",
        "kept_as": "prices",
        "upstream_refs": [],
        "prefect_deployment_id": str(deployment),
        "last_refresh_at": NOW.isoformat(),
        "last_refresh_run_id": str(run),
        "last_data_date": NOW.date().isoformat(),
        "schedule": {"type": "manual"},
        "physical_path": "/data/prices",
        "freshness_status": "error",
    }
    assert as_json(LINES, {})[0]["handles"] is None


def test_an_instance_with_several_flows_has_a_row_of_its_own() -> None:
    flows = [
        FlowVerdict(kind, Verdict(status, f"{kind} says so", since=NOW), None)
        for kind, status in (("train", FlowStatus.READY), ("infer", FlowStatus.STALE))
    ]
    line = InstanceStatus("returns", "model", FlowStatus.STALE, "infer: it says so", NOW, tuple(flows))
    out = io.StringIO()
    show_status(Console(file=out, width=80, color_system=None), [line], NOW)
    assert [row.split() for row in out.getvalue().splitlines()[1:]] == [
        ["returns", "model", "STALE", "18:00", "UTC", "infer:", "it", "says", "so"],
        ["returns", "model", "train", "READY", "18:00", "UTC", "train", "says", "so"],
        ["returns", "model", "infer", "STALE", "18:00", "UTC", "infer", "says", "so"],
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("it is ready", "it is ready"),
        ("", ""),
        ("2 problems, nothing was written:\n  - one\n  - two", "2 problems, nothing was written: ..."),
        (
            "failed at 17:40 UTC, run db: in the expression, at column 5:\n  1 + x\n      ^\nthere is no column 'x'",
            "failed at 17:40 UTC, run db: there is no column 'x' ...",
        ),
        ("in the expression, at column 5:\n  1 + x\n      ^\nno column 'x'\nMore.", "no column 'x' ..."),
    ],
)
def test_a_reason_of_many_lines_is_told_by_what_it_says(text: str, line: str) -> None:
    assert one_line_reason(text) == line


def tree(judged: FlowFacts, *others: FlowFacts) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=200, color_system=None)
    console.print(cause_tree(explain(judged, world(judged, *others), NOW)))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_root_cause_is_marked_where_it_is_another_flow_or_the_flow_can_not_be_read() -> None:
    behind = tree(flow("signal", edges=[strict("prices")]), flow("prices", failed(message="gone")))
    assert [line.endswith("(root cause)") for line in behind] == [False, True]
    assert tree(flow("prices", completed(), unreadable="no answer")) == [
        "prices.refresh is UNKNOWN: its facts can't be read: no answer (root cause)"
    ]
    assert not tree(flow("prices", failed()))[0].endswith("(root cause)")


def test_a_table_and_a_tree_are_wrapped_on_a_terminal_only() -> None:
    table = Table("flow", "why", box=None, pad_edge=False)
    table.add_row("prices.refresh", "[not a style] " + "so many words " * 20)
    branch = Tree("the flow", highlight=False)
    branch.add("so many words " * 20)
    for drawn, lines in ((table, 2), (branch, 2)):
        out = io.StringIO()
        show_whole(Console(file=out, width=80), drawn)
        assert len(out.getvalue().splitlines()) == lines
        assert all(line == line.rstrip() for line in out.getvalue().splitlines())
        wrapped = io.StringIO()
        show_whole(Console(file=wrapped, width=80, force_terminal=True, color_system=None), drawn)
        assert len(wrapped.getvalue().splitlines()) > lines
