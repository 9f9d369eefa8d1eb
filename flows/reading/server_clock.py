"""The clock of Prefect's server: what we write down is compared with when runs ended, so it goes by the same clock.

Every answer of the server bears the time of day, in whole seconds. As far as that tells, a machine's own clock is
right where it agrees; where it does not, the difference is made good.
"""

import datetime as dt
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from flows.integrations.prefect_api import PrefectApi, PrefectError

# The server's own time is at most so much later than what an answer says: the rest of the second is cut off, and
# it is looked up once a second.
_COARSE = dt.timedelta(seconds=2)


@dataclass(frozen=True)
class ServerClock:
    """The clock of Prefect's server, by how much it is ahead of this machine's."""

    ahead: dt.timedelta = dt.timedelta(0)

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self.ahead


async def server_clock(prefect: PrefectApi) -> ServerClock:
    """Return the clock of Prefect's server; this machine's own where the server does not answer."""
    sent = dt.datetime.now(dt.UTC)
    try:
        date = await prefect.date()
    except PrefectError:  # whoever reads from it next finds out, and fails closed
        return ServerClock()
    return ServerClock(ahead_of_us(date, sent=sent, received=dt.datetime.now(dt.UTC)))


async def server_now(prefect: PrefectApi) -> dt.datetime:
    """Return the time of day by the clock of Prefect's server."""
    return (await server_clock(prefect)).now()


def ahead_of_us(date: str | None, *, sent: dt.datetime, received: dt.datetime) -> dt.timedelta:
    """Return the least difference of the clocks that agrees with an answer's Date header; none without one."""
    if date is None:
        return dt.timedelta(0)
    told = parsedate_to_datetime(date)
    least, most = told - received, told + _COARSE - sent
    return max(least, min(most, dt.timedelta(0)))
