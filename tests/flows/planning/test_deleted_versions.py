"""An installation from before a version of a definition was deleted: told what to do, and put right by an apply."""

import pytest
from prefect.client.schemas.objects import StateType
from sqlalchemy import text

from flows.planning.scope import Scope
from instances.errors import InvalidSpec
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import described, said, with_fields

GONE = (
    "pipeline definition 'expression' has no version 1; there are: 2. "
    "Pin one of those, or leave definition_version out for the newest."
)


def apply_under_version_1(lab: Lab, name: str) -> None:
    """Leave a pipeline's row as an apply of before has left it."""
    with lab.services.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE optaic.pipeline_instance SET definition_version = 1 "
                "WHERE id = (SELECT id FROM optaic.instance WHERE name = :name)"
            ),
            {"name": f"{lab.prefix}{name}-pipeline"},
        )


def test_what_was_applied_under_it_fails_with_the_remedy_until_it_is_applied_again(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.bootstrap(manifest=(*described(lab, "prices"), *described(lab, "mean", "prices")))
        await lab.run("prices")
        apply_under_version_1(lab, "mean")

        failed = await lab.run("mean")
        assert (failed.type, failed.message) == (StateType.FAILED, GONE)

        plan = await lab.bootstrap()
        assert f"update instance {lab.prefix}mean-pipeline" in said(plan)
        assert (await lab.run("mean")).type is StateType.COMPLETED

    play(scenario)


def test_who_has_pinned_it_is_told_before_anything_is_written(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        specs = (*described(lab, "prices"), *described(lab, "mean", "prices"))
        pinned = with_fields(specs, "mean-pipeline", definition_version=1)
        with pytest.raises(InvalidSpec) as caught:
            await lab.plan(**vars(Scope(pinned, all_or_nothing=True)))
        assert caught.value.problems == (f"{lab.prefix}mean-pipeline: {GONE}",)

    play(scenario)
