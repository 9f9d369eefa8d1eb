"""Plan words: how a plan's steps are written for a person, on a terminal and on a page alike, each in one line."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from instances.plans.plan import ABSENT, Action, Change, Fields, Step
from instances.specification.specs import RunnableSpec
from instances.specification.types import TYPES
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
    return change.field, value_text(change.before), value_text(change.after)


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
            found = (found or {}).get(name)
        if found:
            yield found
    for ref in fields.get("upstream_refs") or ():
        yield ref["instance"]


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
