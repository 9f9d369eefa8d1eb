"""Flows of datasets and signals: `refresh` brings an instance's rows up to date with their source."""

from functools import partial
from typing import TYPE_CHECKING

from prefect import State

from definitions.contract import FlowKind, StoreVersion
from definitions.work import refresh as refreshing
from definitions.work.outcome import Outcome
from definitions.work.signal_description import signal_description
from flows.running.context import Context
from flows.running.frame import Options, flow_of, guarded_run
from instances.specification.fields import OnStale
from instances.specification.plugins import check_columns
from instances.specification.shapes import SHAPES
from instances.specification.specs import SignalInstanceSpec
from research.portfolios.rebalancing import Frequency
from research.signals.signal_values import check_date_frequency, check_signal

if TYPE_CHECKING:
    import polars as pl

UNCHECKED = SHAPES[FlowKind.REFRESH].for_readers["signal_spec"]


def refresh_rows(context: Context) -> Outcome:
    """Read what is new at the source, or compute from the pinned inputs, and commit it to the store."""
    spec, describe = context.applied.spec, None
    if isinstance(spec, SignalInstanceSpec):
        describe = partial(signal_description, value_column=spec.signal_spec.value_column)
    return refreshing.refresh(
        context.pipeline,
        context.store,
        inputs=context.inputs,
        missing=context.missing,
        everything=context.everything,
        check=partial(_check_rows, context),
        describe=describe,
    )


def _check_rows(context: Context, rows: "pl.DataFrame", kept: StoreVersion | None) -> None:
    """Raise where rows must not be committed: nobody could read them, or a signal's values are not as its spec says."""
    spec = context.applied.spec
    check_columns(context.applied, context.services.registry, rows.columns)
    if isinstance(spec, SignalInstanceSpec):
        signal_spec = spec.signal_spec
        check_signal(rows, **signal_spec.model_dump(exclude=UNCHECKED | {"date_frequency"}))
        if signal_spec.date_frequency is not Frequency.DAILY:
            columns = list(signal_spec.index_columns)
            known = context.store.scan(kept.version).select(columns).collect() if kept is not None else None
            check_date_frequency(rows, signal_spec.date_frequency, index_columns=columns, known=known)


@flow_of(FlowKind.REFRESH)
async def refresh(
    instance: str, on_stale: OnStale | None = None, force: bool = False, everything: bool = False
) -> State[None]:
    """Refresh a dataset or a signal, when every upstream flow is READY.

    Args:
        instance: The instance that this deployment belongs to.
        on_stale: What to do when an upstream is not READY; the instance's own setting when left out.
        force: Go on whatever the guard says, also when there is nothing new. Recorded with the run.
        everything: Read the source from the beginning, not only what is newer than the store.
    """
    return await guarded_run(
        FlowKind.REFRESH, instance, refresh_rows, Options(on_stale=on_stale, force=force, everything=everything)
    )
