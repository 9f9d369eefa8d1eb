"""The flow of all flows that a package brings: a definition's `flow_specs` say what each of them does."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

from prefect import State

from definitions.contract import FlowKind
from definitions.errors import DefinitionError
from definitions.work.flow_spec import FlowRequest
from definitions.work.outcome import Outcome
from flows.running.context import Context
from flows.running.frame import Options, flow_of, guarded_run
from instances.specification.fields import OnStale


def do_brought_work(kind: FlowKind, parameters: dict[str, Any], context: Context) -> Outcome:
    """Do what the definition says of a flow that it brings, from the pinned inputs. Raises `DefinitionError`."""
    definition = context.configured.definition
    brought = definition.flow_spec(kind)
    if brought is None:
        raise DefinitionError(f"{definition.ref} brings no flow {kind.value!r} any more: run `optaic apply`")
    outcome = brought.work(
        FlowRequest(
            instance=context.applied.spec.name,
            config=context.configured.parameters,
            parameters=brought.parse(parameters),
            inputs=context.inputs,
            resources=context.resources,
        )
    )
    return _without_data(kind, outcome)


def _without_data(kind: FlowKind, outcome: Outcome) -> Outcome:
    """Return what is recorded of such a run: no version and no handles, which are of the flows of the type.

    Raises `DefinitionError` for a metric that is no finite number.
    """
    for name, value in outcome.metrics.items():
        if not math.isfinite(value):
            raise DefinitionError(f"the flow {kind.value!r} gave {value} for the metric {name!r}: leave it out")
    return replace(outcome, version=None, watermark=None, row_count=None, further_versions={}, handles={})


@flow_of(FlowKind("packaged"))
async def packaged(
    instance: str,
    flow: str,
    on_stale: OnStale | None = None,
    force: bool = False,
    parameters: dict[str, Any] | None = None,
) -> State[None]:
    """Run a flow that the definition of an instance brings, when every upstream flow is READY.

    Args:
        instance: The instance that this deployment belongs to.
        flow: The kind of the flow.
        on_stale: What to do when an upstream is not READY; the instance's own setting when left out.
        force: Go on whatever the guard says, also when there is nothing new. Recorded with the run.
        parameters: What the flow takes of its own.
    """
    kind, given = FlowKind(flow), parameters or {}
    options = Options(on_stale=on_stale, force=force, parameters=given)
    return await guarded_run(kind, instance, partial(do_brought_work, kind, given), options)
