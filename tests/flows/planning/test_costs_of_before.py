"""A backtest whose block was saved when costs were in basis points keeps its meaning, and the plan says so."""

from typing import Any

from prefect.client.schemas.actions import BlockSchemaCreate

from blocks import BacktestInstance
from flows.planning.block_writer import document_data
from flows.reading.block_reader import read_blocks
from instances.specification.specs import BacktestSpec, spec_adapter
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import changed


def form_of_before() -> dict[str, Any]:
    form: dict[str, Any] = BacktestInstance.model_json_schema()
    form["definitions"]["BacktestConfig"]["properties"]["transaction_costs"] = {
        "default": 5.0,
        "maximum": 1000,
        "minimum": 0,
        "title": "Transaction Costs",
        "type": "number",
        "description": "Commissions and fees, in basis points of the traded value.",
    }
    return form


async def save_as_before(lab: Lab, spec: BacktestSpec, costs: float) -> None:
    """Save a backtest as the code of before did."""
    client, prefect = lab.client, lab.services.prefect
    block_type = await client.read_block_type_by_slug(BacktestInstance.get_block_type_slug())
    schema = await client.create_block_schema(BlockSchemaCreate(fields=form_of_before(), block_type_id=block_type.id))
    data = document_data(spec, {}, {})
    data["config"] |= {"transaction_costs": costs}
    await prefect.create_block(spec.name, data, type_id=block_type.id, schema_id=schema.id)


def test_it_is_read_in_basis_points_until_it_is_saved_anew(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.source("prices")
        await lab.signal("score", ["prices"])
        name = f"{lab.prefix}b"
        described = {"assets": {"instance": f"{lab.prefix}prices"}, "signals": {"primary": f"{lab.prefix}score"}}
        spec = spec_adapter.validate_python({"name": name, "type": "backtest", **described})
        assert isinstance(spec, BacktestSpec)
        await save_as_before(lab, spec, 5.0)
        note = "config.transaction_costs 5 was saved in basis points, and is read as the share 0.0005"

        plan = await lab.bootstrap()
        assert plan.warnings == (f"{name}: {note}; save its block anew, or apply a file that describes it",)
        assert lab.services.repository.spec(name) == spec  # whose costs are 0.0005

        (step,) = (await lab.plan(manifest=(spec,))).plan.changes
        assert step.label == f"block {name}"
        assert changed(await lab.bootstrap(manifest=(spec,))) == {"earlier_unit": (note, None)}
        assert (await read_blocks(lab.services.prefect)).by_name[name].note is None
        assert not (await lab.plan()).plan.changes

    play(scenario)
