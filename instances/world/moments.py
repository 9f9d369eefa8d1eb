"""Moments: the only kind of datetime that facts and rules know, plain and in UTC.

What comes from Prefect's models is of another library's class, whose arithmetic differs; and two moments of one
time zone are subtracted by what the wall clock shows, which is wrong by an hour where the clocks change between.
"""

import datetime as dt

from instances.errors import OptaicError


class NaiveMoment(OptaicError):
    """A datetime without a time zone, which names no moment."""

    def __init__(self, name: str, value: dt.datetime) -> None:
        super().__init__(
            f"{name} has no time zone: {value.isoformat()}. Pass an aware datetime, like datetime.now(datetime.UTC)."
        )


def plain_moment(name: str, value: dt.datetime) -> dt.datetime:
    """Return the same moment as a plain datetime in UTC; `NaiveMoment` when it has no time zone."""
    if type(value) is dt.datetime and value.tzinfo is dt.UTC:
        return value
    offset = value.utcoffset()
    if offset is None:
        raise NaiveMoment(name, value)
    wall = dt.datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, tzinfo=dt.UTC
    )
    return wall - dt.timedelta(seconds=offset.total_seconds())
