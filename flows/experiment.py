"""Flows of experiments: `preview` shows what an expression gives, and leaves nothing else."""

from prefect import State

from definitions.contract import FlowKind
from definitions.work import preview as previewing
from definitions.work.outcome import Outcome
from flows.running.context import Context
from flows.running.frame import Options, flow_of, guarded_run
from instances.specification.fields import OnStale
from instances.specification.specs import ExperimentSpec


def preview_expression(context: Context) -> Outcome:
    """Compute the expression from the pinned inputs, and describe its values within the range of dates."""
    spec = context.applied.spec
    assert isinstance(spec, ExperimentSpec)
    return previewing.preview(
        context.pipeline,
        inputs=context.inputs,
        missing=context.missing,
        start=spec.date_range.start,
        end=spec.date_range.end,
        universe=spec.universe,
    )


@flow_of(FlowKind.PREVIEW)
async def preview(instance: str, on_stale: OnStale | None = None, force: bool = False) -> State[None]:
    """Preview an experiment, when every upstream flow is READY.

    Args:
        instance: The instance that this deployment belongs to.
        on_stale: What to do when an upstream is not READY; the instance's own setting when left out.
        force: Go on whatever the guard says, also when there is nothing new. Recorded with the run.
    """
    return await guarded_run(FlowKind.PREVIEW, instance, preview_expression, Options(on_stale=on_stale, force=force))
