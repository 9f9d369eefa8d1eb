"""Moments from Prefect, as plain datetimes with a time zone: the only kind that the rest of the code knows.

Those of Prefect's own models come from other libraries, and reckon in another way when the clocks change.
"""

import datetime as dt

from instances.world.moments import plain_moment


def moment_of(text: str) -> dt.datetime:
    """Return a moment as the API writes it, in UTC. Raises `NaiveMoment` for one without a time zone."""
    return plain_moment("a moment of Prefect", dt.datetime.fromisoformat(text))


def plain(moment: dt.datetime) -> dt.datetime:
    """Return a moment of one of Prefect's own models as a plain one, in UTC."""
    return moment_of(moment.isoformat())
