"""The same 201 instances as in instances.yaml, from Python: `python examples/many/many_signals.py`, beside a stack."""

from blocks import DatasetInstance, PipelineInstance, SignalInstance
from blocks.base import InstanceBlock
from prefect_optaic.from_python import apply, plan

FAMILIES = {
    "change": "DELTA(close,",
    "trend": "close / MEAN(close,",
    "place": "TS_RANK(close,",
    "score": "ZSCORE(close,",
    "risk": "STD(DELTA(close, 1) / REF(close, 1),",
}
DAYS = [*range(2, 17), 18, 20, 21, 22, 25, 30, 35, 40, 42, 45, 50, 55, 60, 63, 70]
DAYS += [80, 90, 100, 110, 126, 150, 175, 200, 225, 252]


def instances() -> dict[str, InstanceBlock]:
    """Return the instances by their names."""
    prices = DatasetInstance(pipeline_instance=PipelineInstance(definition="sp500-sample"))
    signals = {
        f"{family}-{days}": SignalInstance(
            pipeline_instance=PipelineInstance(definition="expression", config={"expression": f"{formula} {days})"}),
            upstream_refs=[{"instance": "many-prices"}],
            on_stale="refresh",
        )
        for family, formula in FAMILIES.items()
        for days in DAYS
    }
    return {"many-prices": prices, **signals}


if __name__ == "__main__":
    print(plan(instances(), project="many").summary)  # noqa: T201
    print(apply(instances(), project="many").summary)  # noqa: T201
