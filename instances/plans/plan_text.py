"""Plan words: how a plan's steps are written for a person, on a terminal and on a page alike, each in one line."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from instances.plans.plan import ABSENT, Action, Change, Fields, Step
from instances.specification.specs import RunnableSpec
from instances.specification.types import TYPES, part_name
from instances.world.wording import version_of

SHOWN = 200  # letters of a value at most
# Fields that say whether Postgres knows the id of a thing outside.
_NOTED = {"on_record", "id_in_row"}
# What an instance has left outside of Prefect and Postgres, by the field that tells of it.
_LEFT: Mapping[str, Callable[[Any], str]] = {
    "versions": lambda versions: f"all rows, now at {' and '.join(map(version_of, versions))}",
    "mlflow_experiment_id": lambda found: f"MLflow experiment {found} with its runs and registered model",
    "evidently_project_id": lambda found: f"Evidently project {found}",
}


def change_text(change: Change) -> tuple[str, str, str]:
    """Return the field, and its value before and after."""
    if change.field in _NOTED:
        return "noted in Postgres", _yes(change.before), _yes(change.after)
    if change.field.endswith(".config_hash"):
        return f"what {change.field.split('.')[-2]} computes", "as before", "something else: it turns stale"
    return change.field, value_text(change.before), value_text(change.after)


def changes_to_print(steps: Iterable[Step]) -> Iterator[tuple[Step, tuple[Change, ...]]]:
    """Yield each step with those of its changes that no step before has told.

    A change of a block comes again in the row of its instance, and in those of the parts that it describes; and a hash
    in the row tells no more than that what it is made of has changed, nor does the description of a deployment.
    """
    told: set[tuple[str, str, str]] = set()
    for step in steps:
        changed_itself = any(instance == step.instance for instance, _, _ in told)
        own = [
            _in_short(step, change)
            for change in step.changes
            if not change.field.endswith(".config_hash") and not (changed_itself and _is_derived(step, change))
        ]
        keys = {id(change): _told_keys(step, change) for change in own}
        news = tuple(change for change in own if not told.intersection(keys[id(change)]))
        told |= {key for some in keys.values() for key in some}
        hash_only = tuple(change for change in step.changes if not _is_derived(step, change)) if not own else ()
        yield step, news or hash_only


def _is_derived(step: Step, change: Change) -> bool:
    """Say whether a change follows from those of the instance: the text about a deployment is made of its fields."""
    return step.kind == "deployment" and change.field == "description"


def _in_short(step: Step, change: Change) -> Change:
    """Return a change of the text about a deployment with those of its paragraphs only that are others."""
    if not _is_derived(step, change):
        return change
    before, after = (text.split("\n\n") if isinstance(text, str) else [] for text in (change.before, change.after))
    return replace(
        change,
        before=" ".join(text for text in before if text not in after) or ABSENT,
        after=" ".join(text for text in after if text not in before) or ABSENT,
    )


def _told_keys(step: Step, change: Change) -> list[tuple[str, str, str]]:
    """Return by what a change is known: of an instance, and of the part whose description in place it is in."""
    values = _json([change.plain().get("before", str(ABSENT)), change.plain().get("after", str(ABSENT))])
    part, _, inside = change.field.partition("_instance.")
    keys = [(step.instance, change.field, values)]
    return [*keys, (part_name(step.instance, part), inside, values)] if inside else keys


def value_text(value: object) -> str:
    """Return a value in one line, and not all of a long one."""
    if value is ABSENT:
        return "not there"
    if value is None:
        return "none"
    # As JSON where the text itself would not stay in its line.
    text = value if isinstance(value, str) and value.isprintable() else _json(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


def step_text(step: Step) -> str:
    """Return what a step does something to; of what is made also what it mainly is, of data that goes what that is."""
    match step.action:
        case Action.CREATE:
            about = ", ".join(_main(step.after))
        case Action.DELETE:
            about = ", ".join(_LEFT[change.field](change.before) for change in step.changes if change.field in _LEFT)
        case Action.RENAME:
            return " ".join(f"{change.before} -> {change.after}: renamed" for change in step.changes)
        case Action.UPDATE | Action.UNCHANGED:
            about = ""
    return f"{step.label}: {about}" if about else step.label


def _main(fields: Fields) -> Iterator[str]:
    if fields.get("type"):
        yield str(fields["type"])
    if fields.get("definition"):
        config = f" {_json(fields['config'])}" if fields.get("config") else ""
        yield value_text(f"{fields['definition']}{config}")
    if reads := list(dict.fromkeys(_reads(fields))):
        yield f"reads {', '.join(reads[:-1])}{' and ' if reads[1:] else ''}{reads[-1]}"
    yield from _dates(fields.get("date_range") or {})
    yield from _costs(fields.get("config") or {})
    for schedule in (fields.get("schedule") or {}, *(fields.get("schedules") or {}).values()):
        if clock := _clock(schedule):
            yield clock
    if fields.get("work_pool"):
        yield f"on {'/'.join(str(fields[name]) for name in ('work_pool', 'work_queue') if fields.get(name))}"


def _reads(fields: Fields) -> Iterator[str]:
    """Yield the instances that one reads, whichever of its fields name them."""
    spec = TYPES[fields["type"]].spec if fields.get("type") in TYPES else None
    for field in spec.naming if spec is not None and issubclass(spec, RunnableSpec) else ():
        found: Any = fields
        for name in field.split("."):
            found = found.get(name) if isinstance(found, Mapping) else found  # of before: a name alone
        yield from (found,) if isinstance(found, str) else found or ()
    for ref in fields.get("upstream_refs") or ():
        yield ref["instance"]


def _dates(date_range: Mapping[str, Any]) -> Iterator[str]:
    """Yield the range of dates that one looks at, where it has a bound."""
    start, end = date_range.get("start"), date_range.get("end")
    if start or end:
        yield " ".join([f"from {start}"] * bool(start) + [f"to {end}"] * bool(end))


def _costs(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the trades of a backtest cost."""
    if "transaction_costs" in config:
        slippage = config.get("slippage_model")
        basis_points = f" of {config.get('slippage_bps'):g} basis points" if slippage == "linear" else ""
        on_top = f" and {slippage} slippage{basis_points}" if slippage != "none" else ", no slippage"
        yield f"costs {config['transaction_costs']:g} of the traded value{on_top}"


def _clock(schedule: Mapping[str, Any]) -> str | None:
    """Return when a schedule ticks, of an instance or of a deployment; None when it does not."""
    cron = schedule.get("cron") or schedule.get("expression")
    minutes = schedule.get("interval_minutes") or schedule.get("interval", 0) / 60
    if schedule.get("type") == "manual" or not (cron or minutes):
        return None
    return f"at {cron} {schedule['timezone']}" if cron else f"every {minutes:g} minutes"


def _yes(value: object) -> str:
    return "yes" if value is True else "no"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
