"""The runs of a flow that count: as Prefect tells of them, and as their rows do where it knows them no more.

A run that was deleted, by hand or by retention, has left what its row says all the same. And of the runs that ended as
Skipped only those have confirmed something that have recorded it: a superfluous one has not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal
from uuid import UUID

from flows.reading.run_reader import FoundRun, PrefectReader, RunsByDeployment
from instances.specification.applied import FlowRecord
from instances.storage.ledger import Ledger, RecordedRun
from instances.world.facts import SKIPPED, FlowFacts, FlowId, Provenance, RunFact, RunId, RunState

_MORE_ROWS = 10  # times as many, where all that were looked at have crashed after they had recorded
_NOTHING: Literal["nothing"] = "nothing"


@dataclass(frozen=True)
class FlowRuns:
    """The runs of one flow that matter: as Prefect tells of them, and in `left` as their rows do.

    `left` is the newest run that has recorded what it left, and that Prefect says has completed, or knows no more.
    """

    live: tuple[RunFact, ...] = ()
    decisive: RunFact | None = None
    completed: RunFact | None = None
    last_ended: RunFact | None = None
    cancelled: RunFact | None = None
    recent: tuple[RunFact, ...] = ()
    left: RunFact | None = None

    @classmethod
    def of(cls, deployment_id: UUID, runs: RunsByDeployment, left: RunFact | None) -> "FlowRuns":
        return cls(
            live=runs.live.get(deployment_id, ()),
            decisive=runs.decisive.get(deployment_id),
            completed=runs.completed.get(deployment_id),
            last_ended=runs.last_ended.get(deployment_id),
            cancelled=runs.cancelled.get(deployment_id),
            recent=runs.recent.get(deployment_id, ()),
            left=left,
        )

    def with_rows(self, provenance: Mapping[RunId, Provenance], claimed: Mapping[RunId, str]) -> "FlowRuns":
        """Return the same runs with what their rows, and their claims, say of them."""

        def with_row(run: RunFact) -> RunFact:
            return replace(run, provenance=provenance.get(run.run_id), claimed=claimed.get(run.run_id))

        def if_any(run: RunFact | None) -> RunFact | None:
            return with_row(run) if run is not None else None

        return replace(
            self,
            recent=tuple(map(with_row, self.recent)),
            decisive=if_any(self.decisive),
            completed=if_any(self.completed),
            last_ended=if_any(self.last_ended),
            left=if_any(self.left),
        )


def with_runs(facts: FlowFacts, runs: FlowRuns) -> FlowFacts:
    """Return a flow's facts with those of its runs.

    What Prefect knows no more, and what a Skipped run has confirmed, counts by its row.
    """
    completed = _newest(runs.completed, runs.left)
    crashed = takewhile(lambda run: run.crashed, runs.recent)
    return replace(
        facts,
        live=runs.live,
        decisive=_newest(runs.decisive, completed),
        completed=completed,
        last_ended=_newest(runs.last_ended, completed),
        cancelled=runs.cancelled,
        crashes=tuple(run for run in crashed if completed is None or run.at > completed.at),
    )


def _newest(*runs: RunFact | None) -> RunFact | None:
    return max((run for run in runs if run is not None), key=lambda run: run.at, default=None)


async def newest_left(
    ledger: Ledger, reader: PrefectReader, records: Iterable[FlowRecord], runs: RunsByDeployment
) -> tuple[dict[FlowId, RunFact], dict[RunId, Provenance]]:
    """Return each flow's newest run that has left something, and what the rows of all runs in question say.

    By the row, if its run has completed, or Prefect knows it no more: a history that was deleted changes nothing.
    """
    known = _ended(runs)
    undecided = {record.flow_id: record.deployment_id for record in records if record.deployment_id is not None}
    found: dict[FlowId, RunFact] = {}
    rows, count = ledger.runs(known, newest_of=undecided), 1
    provenance = dict(rows.provenance)
    while undecided:
        newest = [row.run_id for flow_id in undecided for row in rows.newest.get(flow_id, ())]
        there = await reader.with_ids([run_id for run_id in newest if run_id not in known])
        for flow_id, deployment_id in list(undecided.items()):
            looked_at = rows.newest.get(flow_id, ())
            left = _first_left(looked_at, deployment_id, runs.completed.get(deployment_id), known, there)
            if isinstance(left, RunFact):
                found[flow_id] = left
            if left is not None or len(looked_at) < count:
                del undecided[flow_id]
        if undecided:  # whose newest runs have crashed after they had recorded, or are about to end
            count *= _MORE_ROWS
            rows = ledger.runs((), newest_of=undecided, count=count)
            provenance |= rows.provenance
    return found, provenance


def _first_left(
    newest_first: Iterable[RecordedRun],
    deployment_id: UUID,
    completed: RunFact | None,
    known: Mapping[RunId, RunFact],
    there: Mapping[RunId, FoundRun],
) -> RunFact | Literal["nothing"] | None:
    """Return the first of these runs that counts; `nothing` where none can any more, None where an older one may."""
    for row in newest_first:
        if completed is not None and row.at < completed.at and row.run_id != completed.run_id:
            return _NOTHING  # that is newer
        run = known.get(row.run_id)
        if run is None and row.run_id not in there:
            return RunFact(row.run_id, RunState.COMPLETED, SKIPPED if row.skipped else "Completed", row.at)
        if run is None:
            if there[row.run_id].deployment_id != deployment_id:
                return _NOTHING  # of a deployment that was deleted: one made anew begins anew
            run = there[row.run_id].ended
        if run is not None and run.state is RunState.COMPLETED:
            return run
    return None


def _ended(runs: RunsByDeployment) -> dict[RunId, RunFact]:
    single: Iterable[Mapping[UUID, RunFact]] = (runs.decisive, runs.completed, runs.last_ended, runs.cancelled)
    several = [run for some in runs.recent.values() for run in some]
    return {run.run_id: run for run in [*(run for each in single for run in each.values()), *several]}
