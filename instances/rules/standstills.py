"""Standstills: what keeps runs from starting by themselves: a sweep that does not run, a work pool without a worker."""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from instances.world.facts import FlowFacts, RunFact
from instances.world.moments import plain_moment
from instances.world.wording import moment

_PERIODS = 3  # so many sweeps may fail to come before that is told
_PATIENCE = dt.timedelta(minutes=5)  # at least


@dataclass(frozen=True)
class PoolFacts:
    """What is known of a work pool; `served_at` is when a worker last gave a sign of life, if one ever has."""

    name: str
    exists: bool = True
    paused: bool = False
    served: bool = True
    served_at: dt.datetime | None = None


@dataclass(frozen=True)
class SweepFacts:
    """What is known of the sweep of one installation.

    `swept_at` is when it last completed for this installation, `for_others_at` when for another one. `seen_at` is its
    last sign of life: that its deployment was made, or that a run of it began. `failed` is its newest run, where that
    did not complete. `unreadable` says why nothing of it is known.
    """

    deployed: bool = True
    paused: bool = False
    scheduled: bool = True
    period: dt.timedelta = dt.timedelta(minutes=1)
    work_pool: str | None = None
    swept_at: dt.datetime | None = None
    for_others_at: dt.datetime | None = None
    seen_at: dt.datetime | None = None
    failed: RunFact | None = None
    unreadable: str | None = None


@dataclass(frozen=True)
class Standstill:
    """Something that does not go on: since when, as far as that is known, why, and what to do about it.

    `lasting` says what has been so since then, and `ever` what is so where no such moment is known.
    """

    lasting: str
    ever: str
    since: dt.datetime | None
    reason: str
    remedy: str

    def sentence(self, now: dt.datetime) -> str:
        """Return it in words, without the remedy: 'the sweep has not run since 18:00 UTC: its deployment is paused'."""
        what = f"{self.lasting} since {moment(self.since, now)}" if self.since else self.ever
        return f"{what}: {self.reason}" if self.reason else what


@dataclass(frozen=True)
class Standstills:
    """All that stood still at a moment: the sweep, and work pools by their name."""

    at: dt.datetime
    sweep: Standstill | None = None
    pools: Mapping[str, Standstill] = field(default_factory=dict)

    def of_flow(self, flow: FlowFacts) -> Standstill | None:
        """Return what keeps every run of the flow from starting, whoever asks for it."""
        return self.pools.get(flow.work_pool) if flow.work_pool is not None else None


def find_standstills(sweep: SweepFacts, pools: Collection[PoolFacts], now: dt.datetime) -> Standstills:
    """Return what stands still at `now`; `pools` are those of the flows, and of the sweep."""
    now = plain_moment("now", now)
    standing = {pool.name: found for pool in pools if (found := _of_pool(pool)) is not None}
    return Standstills(now, _of_sweep(sweep, standing, now), standing)


def _of_pool(pool: PoolFacts) -> Standstill | None:
    what = f"the work pool {pool.name!r}"
    if not pool.exists:
        missing = f"{what} is not there"
        return Standstill(missing, missing, None, "", "Make it with `prefect work-pool create`.")
    if pool.paused:
        paused = f"{what} is paused"
        return Standstill(paused, paused, None, "", f"`prefect work-pool resume {pool.name}` resumes it.")
    if not pool.served:
        remedy = f"`prefect worker start --pool {pool.name}` starts one; `optaic up` starts that of the embedded stack."
        return Standstill(f"{what} has had no worker", f"{what} has never had a worker", pool.served_at, "", remedy)
    return None


def _of_sweep(sweep: SweepFacts, pools: Mapping[str, Standstill], now: dt.datetime) -> Standstill | None:
    if sweep.unreadable is not None:
        unknown = "nobody knows whether the sweep runs"
        return Standstill(unknown, unknown, None, sweep.unreadable, "")
    if not sweep.deployed:
        remedy = "Run `optaic up`, or `prefect deploy --all` in the project's folder."
        return _not_run(sweep, "there is no deployment 'sweep/sweep'", remedy)
    if sweep.paused:
        return _not_run(sweep, "its deployment is paused", "Resume it on its page in the Prefect UI.")
    if not sweep.scheduled:
        remedy = "Resume its schedule on its page in the Prefect UI, or with `prefect deployment schedule resume`."
        return _not_run(sweep, "its schedule is paused, or gone", remedy)
    if (pool := pools.get(sweep.work_pool or "")) is not None:
        return _not_run(sweep, pool.sentence(now), pool.remedy)
    last = max((at for at in (sweep.swept_at, sweep.seen_at) if at is not None), default=None)
    if last is not None and now - last <= max(_PERIODS * sweep.period, _PATIENCE):
        return None
    return _late(sweep, now)


def _not_run(sweep: SweepFacts, reason: str, remedy: str) -> Standstill:
    return Standstill("the sweep has not run", "the sweep has never run", sweep.swept_at, reason, remedy)


def _late(sweep: SweepFacts, now: dt.datetime) -> Standstill:
    """Return why a sweep that could run does not."""
    if sweep.for_others_at is not None and (sweep.swept_at is None or sweep.for_others_at > sweep.swept_at):
        reason = f"'sweep/sweep' has swept for another installation, last at {moment(sweep.for_others_at, now)}"
        return _not_run(sweep, reason, "Look which Platform block its runs read, or give it a Prefect server alone.")
    if sweep.failed is not None:
        said = next(iter(sweep.failed.message.splitlines()), "")
        reason = f"its run of {moment(sweep.failed.at, now)} {sweep.failed.state.lower()}{': ' if said else ''}{said}"
        return _not_run(sweep, reason, "The page of that run in the Prefect UI says more.")
    return _not_run(sweep, "it is due, and no worker has taken it", "Look at its runs in the Prefect UI.")
