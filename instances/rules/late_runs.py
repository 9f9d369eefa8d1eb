"""Late runs: one run does for all that were due before it began."""

import datetime as dt
from collections.abc import Mapping

from instances.world.facts import FlowFacts, RunFact

_MORE_THAN_USUAL = ("force", "everything", "parameters")  # what a run that was asked for less has not done


def done_by(flow: FlowFacts, due: dt.datetime, parameters: Mapping[str, object]) -> RunFact | None:
    """Return the completed run that has done what a run of the flow due at a moment was to do; None without one.

    Its guard has judged, and after that it has asked its source, since that moment.
    """
    run = flow.completed
    if run is None or run.provenance is None or not run.provenance.recorded:
        return None
    if run.provenance.judged_at is None or any(parameters.get(name) for name in _MORE_THAN_USUAL):
        return None
    return run if run.provenance.judged_at > due else None


def superfluous_runs(flow: FlowFacts) -> tuple[RunFact, ...]:
    """Return the flow's runs that are due and not started, and whose work another run has done."""
    return tuple(run for run in flow.live if run.waiting and done_by(flow, run.at, run.parameters) is not None)


def runs_under_way(flow: FlowFacts) -> tuple[RunFact, ...]:
    """Return the flow's runs that are under way, or are due and have something to do."""
    superfluous = superfluous_runs(flow)
    return tuple(run for run in flow.live if run not in superfluous)
