"""What a prune and a destroy remove, on the real servers, and what they leave."""

import pytest
from sqlalchemy import text

from flows.planning.changeset import WouldRemoveMost
from flows.reading.block_reader import read_blocks
from instances.errors import InvalidSpec, UnknownInstance
from instances.plans.plan import Action
from instances.specification.plugins import stores
from instances.specification.types import PARTS
from prefect_optaic import actions
from prefect_optaic.stack import Target
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import CRON, described, only_of, said, with_fields
from tests.flows.snapshot import snapshot


def test_a_prune_removes_what_is_described_no_more_and_nothing_else(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        names = ("a", "b", "c", "last")
        specs = (
            *described(lab, "a", schedule=CRON),
            *described(lab, "b", "a"),
            *described(lab, "c", "a"),
            *described(lab, "last", "a", "b"),
        )
        await only_of(lab, specs)
        before = await snapshot(lab.client, lab.services.engine)
        full = f"{lab.prefix}last"
        parts = [f"{full}-{type_}" for type_ in PARTS.values()]
        block = (await read_blocks(lab.services.prefect)).by_name[full]
        await lab.client.delete_block_document(block.document_id)

        kept = await lab.plan()
        assert (said(kept.plan), set(kept.plan.kept)) == ([], {full, *parts})
        changeset = await lab.plan(prune=True)
        changeset.check_fuse()
        assert said(changeset.plan)[0] == f"delete deployment refresh/{full}"
        assert set(said(changeset.plan)[1:]) == {f"delete instance {name}" for name in (full, *parts)}
        await lab.bootstrap(prune=True)
        after = await snapshot(lab.client, lab.services.engine)
        deleted = {full, *parts}
        assert after.blocks == {name: block for name, block in before.blocks.items() if name != full}
        assert after.rows == {name: row for name, row in before.rows.items() if name not in deleted}
        assert after.deployments == {n: d for n, d in before.deployments.items() if n != f"refresh/{full}"}
        assert after.automations == before.automations
        assert after.counts == before.counts | {
            "block": before.counts["block"] - 1,
            "deployment": before.counts["deployment"] - 1,
            "flow": before.counts["flow"] - 1,
            "edge": before.counts["edge"] - 2,
        }
        assert said(await lab.bootstrap(prune=True)) == []
        assert {f"{lab.prefix}{name}" for name in names[:-1]} <= after.rows.keys()

    play(scenario)


def test_a_prune_with_a_manifest_is_of_its_projects(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        ours, theirs = lab.prefix + "ours", lab.prefix + "theirs"
        specs = (
            *described(lab, "a", project=ours),
            *described(lab, "b", project=ours),
            *described(lab, "x", project=theirs),
        )
        await only_of(lab, specs)
        plan = await lab.bootstrap(manifest=specs[:4], prune=True)
        full = f"{lab.prefix}b"
        assert set(said(plan)) == {
            f"delete deployment refresh/{full}",
            f"delete block {full}",
            *(f"delete instance {name}" for name in (full, *(f"{full}-{type_}" for type_ in PARTS.values()))),
        }
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert left.blocks.keys() == {f"{lab.prefix}a", f"{lab.prefix}x"}
        assert left.deployments.keys() == {f"refresh/{lab.prefix}a", f"refresh/{lab.prefix}x"}

    play(scenario)


def test_a_prune_of_more_than_half_needs_a_word(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        project = lab.prefix + "project"
        names = [f"d{number}" for number in range(8)]
        specs = tuple(spec for name in names for spec in described(lab, name, project=project))
        await only_of(lab, specs)
        changeset = await lab.plan(manifest=specs[:4], prune=True)
        with pytest.raises(WouldRemoveMost) as caught:
            changeset.check_fuse()
        assert str(caught.value) == (
            f"this would delete 28 of 32 instances of the project {project!r}, more than half. "
            "If that is what you want, say --yes; else look at `optaic plan --prune`."
        )
        half = await lab.plan(manifest=specs[:16], prune=True)
        half.check_fuse()
        assert half.plan.count(Action.DELETE) == 4 + 4 * 4 + 4  # deployments, rows, blocks

    play(scenario)


def test_what_is_protected_or_still_read_is_not_deleted(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices", protect=True), *described(lab, "signal", "prices"))
        await lab.bootstrap(manifest=specs)
        prices, signal = f"{lab.prefix}prices", f"{lab.prefix}signal"
        before = await snapshot(lab.client, lab.services.engine, lab.prefix)
        with pytest.raises(InvalidSpec) as caught:
            await lab.bootstrap(destroy=(prices,))
        assert caught.value.problems == (
            f"{prices}: is protected; set protect to false and apply, before you delete it",
            f"{prices}: can't be deleted while {signal} reads it; delete that too, or take it out of upstream_refs",
        )
        # A block that somebody deletes does not get round it.
        blocks = await read_blocks(lab.services.prefect)
        for name in (signal, prices):
            await lab.client.delete_block_document(blocks.by_name[name].document_id)
        with pytest.raises(InvalidSpec, match=f"{prices}: is protected"):
            await lab.bootstrap(prune=True)
        await lab.bootstrap(manifest=specs)
        assert await snapshot(lab.client, lab.services.engine, lab.prefix) == before
        await lab.bootstrap(manifest=with_fields(specs, "prices", protect=False))
        await lab.bootstrap(destroy=(prices, signal))
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert (left.blocks, left.deployments) == ({}, {})

    play(scenario)


def test_destroyed_instances_leave_their_data_unless_asked(play: Play, stack: Target) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=(*described(lab, "prices"), *described(lab, "signal", "prices")))
        await lab.run("prices")
        assert await lab.drain("signal") == 1
        signal, prices = f"{lab.prefix}signal", f"{lab.prefix}prices"
        scope = await actions.destroy_scope(lab.services, (signal,), data=False)
        assert set(scope.destroy) == {signal, *(f"{signal}-{type_}" for type_ in PARTS.values())}
        services = lab.services
        applied = services.repository.applied([signal])[signal]
        (store,) = stores(applied, services.registry, services.resources)
        assert store.head() is not None
        plan = await lab.bootstrap(destroy=scope.destroy)
        assert said(plan)[:1] == [f"delete deployment refresh/{signal}"]
        assert said(plan)[-1:] == [f"delete block {signal}"]
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert left.deployments.keys() == {f"refresh/{prices}"}
        assert left.blocks.keys() == {prices}
        assert signal not in left.rows
        assert store.head() is not None
        assert lab.rows("prices") == {"2024-01-02": 1.0}
        plan = await lab.bootstrap(manifest=described(lab, "signal", "prices"))
        plan = await lab.bootstrap(destroy=scope.destroy, data=True)
        assert f"delete data {signal}" in said(plan)
        assert store.head() is None
        with pytest.raises(UnknownInstance, match=f"there is no instance named '{signal}'"):
            await lab.plan(destroy=(signal,))

    play(scenario)


def test_a_flow_that_the_definition_calls_for_no_more_goes_with_its_deployment(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=described(lab, "prices"))
        full = f"{lab.prefix}prices"
        flow = await lab.client.create_flow_from_name("train")
        owner_tag = lab.services.owner_tag
        extra = await lab.client.create_deployment(flow_id=flow, name=full, version=owner_tag)
        with lab.services.engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO optaic.flow (id, instance_id, kind, config_hash, settings, prefect_deployment_id) "
                    "SELECT gen_random_uuid(), id, 'train', '', '{}', :deployment "
                    "FROM optaic.instance WHERE name = :name"
                ),
                {"name": full, "deployment": extra},
            )
        assert said(await lab.bootstrap()) == [f"delete deployment train/{full}", f"delete flow {full}.train"]
        assert [flow.kind for flow in lab.services.repository.flows(instances=[full])] == ["refresh"]
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert left.deployments.keys() == {f"refresh/{full}"}
        assert said(await lab.bootstrap()) == []

    play(scenario)
