"""Flows of portfolios: `optimize` decides on weights, `backtest` follows weights or signals through the past."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
from prefect import State

from definitions.contract import FlowKind, Input
from definitions.errors import DefinitionError
from definitions.work.outcome import Outcome
from definitions.work.portfolios import backtest as backtesting
from definitions.work.portfolios import optimization
from definitions.work.portfolios.portfolio_settings import TRADES
from flows.running.context import Context
from flows.running.frame import Options, flow_of, guarded_run
from instances.errors import first_names
from instances.specification.fields import Assets, Benchmark, OnStale
from instances.specification.specs import BacktestSpec, PortfolioOptimizerSpec
from research.errors import did_you_mean


def optimize_portfolio(context: Context) -> Outcome:
    """Decide on the weights of every date, and commit them to the optimizer's store."""
    spec = context.applied.spec
    assert isinstance(spec, PortfolioOptimizerSpec)
    return optimization.optimize(
        context.optimizer,
        context.store,
        prices=context.needed("prices"),
        signals=context.in_role("signal"),
        covariance=context.only("covariance"),
        settings=spec.settings,
    )


def backtest_portfolio(context: Context) -> Outcome:
    """Follow what the spec names through the past, and commit the equity curve and the trades."""
    spec = context.applied.spec
    assert isinstance(spec, BacktestSpec)
    return backtesting.backtest(
        context.store,
        context.second_store(TRADES),
        prices=_chosen(context.needed("assets"), spec.assets),
        config=spec.config,
        primary=context.only("primary"),
        secondary=context.in_role("secondary"),
        weights=context.only("weights"),
        benchmark=_benchmark(context.only("benchmark"), spec.benchmark),
        universe=context.only("universe"),
        date_range=spec.date_range,
    )


def _benchmark(prices: Input | None, benchmark: Benchmark | None) -> Input | None:
    """Return the prices of what is compared with. Raises `DefinitionError` for an entity without any."""
    if prices is None or benchmark is None or benchmark.entity is None:
        return prices
    return _of(prices, (benchmark.entity,), "Correct the entity of `benchmark`.")


def _chosen(prices: Input, assets: Assets) -> Input:
    """Return the prices of the entities that are to be traded. Raises `DefinitionError` for one without any."""
    return _of(prices, assets.entities, "Correct the entities of `assets`.") if assets.entities else prices


def _of(prices: Input, entities: Sequence[str], remedy: str) -> Input:
    there = set(prices.frame["entity"].unique())
    if unknown := [name for name in entities if name not in there]:
        known = sorted(there)
        raise DefinitionError(
            f"{prices.instance} has no prices of {first_names(unknown)}; it has: {first_names(known)}. {remedy}"
            f"{did_you_mean(unknown[0], known)}"
        )
    return replace(prices, frame=prices.frame.filter(pl.col("entity").is_in(entities)))


@flow_of(FlowKind.OPTIMIZE)
async def optimize(instance: str, on_stale: OnStale | None = None, force: bool = False) -> State[None]:
    """Decide on the weights of a portfolio, when every upstream flow is READY.

    Args:
        instance: The instance that this deployment belongs to.
        on_stale: What to do when an upstream is not READY; the instance's own setting when left out.
        force: Go on whatever the guard says, also when there is nothing new. Recorded with the run.
    """
    return await guarded_run(FlowKind.OPTIMIZE, instance, optimize_portfolio, Options(on_stale=on_stale, force=force))


@flow_of(FlowKind.BACKTEST)
async def backtest(instance: str, on_stale: OnStale | None = None, force: bool = False) -> State[None]:
    """Backtest signals or an optimizer's weights, when every upstream flow is READY.

    Args:
        instance: The instance that this deployment belongs to.
        on_stale: What to do when an upstream is not READY; the instance's own setting when left out.
        force: Go on whatever the guard says, also when there is nothing new. Recorded with the run.
    """
    return await guarded_run(FlowKind.BACKTEST, instance, backtest_portfolio, Options(on_stale=on_stale, force=force))
