"""Wording: how moments, ages, versions and runs are written for a person."""

import datetime as dt
from collections.abc import Iterable

from instances.world.facts import FlowId, RunId

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def moment(at: dt.datetime, now: dt.datetime) -> str:
    """Return '18:00 UTC', with the date before it when that is not the date of `now`."""
    at, now = at.astimezone(dt.UTC), now.astimezone(dt.UTC)
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"


def span(length: dt.timedelta) -> str:
    """Return a length of time in the largest unit that divides it: '7 days', '90 minutes'."""
    seconds = int(length.total_seconds())
    unit, size = next((u for u in _UNITS if seconds and seconds % u[1] == 0), _UNITS[-1])
    count = seconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def counted(number: int, noun: str) -> str:
    """Return '1 row', '1,250 rows'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def a(noun: str) -> str:
    """Return the noun with its indefinite article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def listed(names: Iterable[str], most: int = 5) -> str:
    """Return names as a list in a sentence: 'a, b and c'; of many the first few, 'and 7 more'."""
    found = list(names)
    shown = found if len(found) <= most else [*found[:most], f"{len(found) - most} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def about(length: dt.timedelta) -> str:
    """Return a length of time in its largest whole unit: '3 days' for 3 days and 5 hours."""
    seconds = int(length.total_seconds())
    unit, size = next((u for u in _UNITS if seconds >= u[1]), _UNITS[-1])
    count = seconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def version_of(version: str) -> str:
    """Return 'v12' for the versions '12' and '12-1a2b3c4d', of one table; others stay as they are."""
    number, dash, table_mark = version.partition("-")
    of_table = not dash or len(table_mark) == 8
    return f"v{number}" if number.isdecimal() and of_table else version


def short(identifier: RunId | FlowId) -> str:
    """Return the first 8 hex digits, as Prefect's pages show them."""
    return identifier.hex[:8]
