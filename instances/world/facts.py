"""Facts: what is known of the world at one moment, as frozen values.

A reader gathers them from Postgres and Prefect; status, readiness and cascade judge them, purely.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType
from uuid import UUID

from definitions.contract import FlowKind
from instances.world.moments import plain_moment

FlowId = NewType("FlowId", UUID)
RunId = NewType("RunId", UUID)


class RunState(StrEnum):
    """The state types of a Prefect run."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"


DECISIVE = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CRASHED})
ENDED = DECISIVE | {RunState.CANCELLED}
BLOCKED = "Blocked"  # state name of a run that its guard stopped
SKIPPED = "Skipped"  # state name of a run that had nothing new to do
AWAITING_RETRY = "AwaitingRetry"  # state name of a run that is scheduled, but under way: it has run, and will again


def _make_plain(fact: object, name: str) -> None:
    """Make one moment of a fact a plain one; `NaiveMoment` when it has no time zone."""
    value: dt.datetime | None = getattr(fact, name)
    if value is not None:
        object.__setattr__(fact, name, plain_moment(f"{type(fact).__name__}.{name}", value))


@dataclass(frozen=True)
class Provenance:
    """What a run's row says: what it was to consume, and what it left.

    `inputs` are the pinned versions, `made_by` the configurations that those of them were made by that the run has
    learned the meaning of; `version` and `watermark` are None until the run has recorded
    an outcome, and where the flow leaves none. `found_new` is false for a run that changed nothing.
    A Skipped run has the inputs and the version of the completed run that it confirms. `recorded` says
    whether the run got as far as to record what it left. `judged_at` is when its guard judged: it has seen what
    there was then. `version_since` is the moment when an earlier run, or a person, let the flow have that version;
    None where this run did.
    """

    fingerprint: str
    config_hash: str
    inputs: Mapping[FlowId, str]
    version: str | None = None
    watermark: dt.date | None = None
    found_new: bool = True
    forced: bool = False
    recorded: bool = True
    judged_at: dt.datetime | None = None
    version_since: dt.datetime | None = None
    made_by: Mapping[FlowId, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _make_plain(self, "judged_at")
        _make_plain(self, "version_since")


@dataclass(frozen=True)
class RunFact:
    """One run as Prefect knows it, with its row's provenance if it has one.

    `claimed` is the fingerprint that it was started for, if the cascade started it. `parameters` are those that it
    was given beside its instance.
    """

    run_id: RunId
    state: RunState
    state_name: str
    at: dt.datetime  # when an ended run ended; when a live run reached its state; when a due one was due
    message: str = ""
    provenance: Provenance | None = None
    claimed: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _make_plain(self, "at")

    @property
    def crashed(self) -> bool:
        """Whether it ended without its guard having judged, or its work having failed by itself."""
        unjudged = self.state is RunState.FAILED and self.provenance is None
        return self.state is RunState.CRASHED or unjudged

    @property
    def waiting(self) -> bool:
        """Whether it is scheduled and has not started yet; one that is to run again has."""
        return self.state is RunState.SCHEDULED and self.state_name != AWAITING_RETRY

    @property
    def blocked(self) -> bool:
        return self.state is RunState.CANCELLED and self.state_name == BLOCKED

    @property
    def cancelled_by_a_person(self) -> bool:
        return self.state is RunState.CANCELLED and not self.blocked

    @property
    def skipped(self) -> bool:
        return self.state is RunState.COMPLETED and self.state_name == SKIPPED


@dataclass(frozen=True)
class Edge:
    """A dependency of one flow on another. Strict when required and without `max_age`."""

    upstream: FlowId
    role: str = "input"
    required: bool = True
    max_age: dt.timedelta | None = None

    @property
    def strict(self) -> bool:
        return self.required and self.max_age is None

    @property
    def tolerant(self) -> bool:
        return self.required and self.max_age is not None


@dataclass(frozen=True)
class Clock:
    """A schedule of a flow's own: a cron expression in a time zone, or an interval.

    Exactly one of the two is set. Intervals count from 2020-01-01 00:00 UTC; within a `window` of the day, from its
    start to its end on the wall clock of the time zone, each day anew.
    """

    cron: str | None = None
    interval: dt.timedelta | None = None
    timezone: str = "UTC"
    window: tuple[dt.time, dt.time] | None = None


@dataclass(frozen=True)
class Calendar:
    """An exchange calendar by its code, and how long after the close the data is due."""

    exchange: str
    after_close: dt.timedelta = dt.timedelta(0)


class SourceFrequency(StrEnum):
    """How often a source has data of another date."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    IRREGULAR = "irregular"


@dataclass(frozen=True)
class UpdateDates:
    """The dates that a source has data of, which are due when a date is over in the time zone, `grace_days` later.

    `day` is that of the week (0 is Monday) or of the month; None is the last one of the month. With `business_days` a
    date on a weekend is moved to the Friday before. Of an irregular source any data will do.
    """

    frequency: SourceFrequency
    grace_days: int = 0
    business_days: bool = False
    day: int | None = None
    timezone: str = "UTC"


@dataclass(frozen=True)
class Policy:
    """A flow's freshness policy, with all defaults filled in; all that are set must be met.

    Ticks of the clock count from `clock_since` on, when it was applied; all of them where that is not known.
    """

    follow_inputs: bool = True
    max_age: dt.timedelta | None = None
    clock: Clock | None = None
    clock_since: dt.datetime | None = None
    grace: dt.timedelta = dt.timedelta(hours=1)
    calendar: Calendar | None = None
    update_dates: UpdateDates | None = None

    @property
    def expected(self) -> tuple[Calendar | UpdateDates, ...]:
        """What says which dates its data must reach."""
        return tuple(each for each in (self.calendar, self.update_dates) if each is not None)

    def __post_init__(self) -> None:
        _make_plain(self, "clock_since")


@dataclass(frozen=True)
class Request:
    """A wish for a run of a flow that outlives the blocked run that made it."""

    request_id: UUID
    created_at: dt.datetime
    parameters: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _make_plain(self, "created_at")


@dataclass(frozen=True)
class FlowFacts:
    """All that is known of one flow.

    `live`: its runs that are pending, running, paused, cancelling, retrying, or scheduled and due.
    `decisive`: its newest run that completed, failed or crashed; `completed`: its newest that completed
    (Skipped ones count in both); `last_ended`: its newest ended run of any kind; `cancelled`: the newest that a
    person cancelled. `crashes` are its newest decisive runs, the newest first, for as long as they crashed or
    failed before their guard had judged. `paused` is its deployment, `schedule_paused` its schedule. `work_pool`: where
    its runs go, if that was read. `configured_at`: when its configuration was last changed, if that is known.
    `trained_on`, of a flow that leaves a model: the configurations of the features that the version in charge was
    trained on, if they are known. `unreadable` says why the facts could not be read, and is None when they could.
    """

    flow_id: FlowId
    instance: str
    kind: FlowKind
    config_hash: str
    configured_at: dt.datetime | None = None
    deployment_id: UUID | None = None
    work_pool: str | None = None
    paused: bool = False
    schedule_paused: bool = False
    policy: Policy = Policy()
    auto: bool = True
    source_retry: dt.timedelta = dt.timedelta(minutes=15)
    edges: tuple[Edge, ...] = ()
    live: tuple[RunFact, ...] = ()
    decisive: RunFact | None = None
    completed: RunFact | None = None
    last_ended: RunFact | None = None
    trained_on: Mapping[FlowId, str] | None = None
    cancelled: RunFact | None = None
    crashes: tuple[RunFact, ...] = ()
    requests: tuple[Request, ...] = ()
    unreadable: str | None = None

    def __post_init__(self) -> None:
        _make_plain(self, "configured_at")

    @property
    def label(self) -> str:
        return f"{self.instance}.{self.kind}"


World = Mapping[FlowId, FlowFacts]
