"""Applies on the real servers take turns, also where a connection is lost."""

import asyncio
import datetime as dt
import threading
import time

import pytest
from sqlalchemy import text

from definitions.contract import FlowKind
from flows.integrations.services import ApplyUnderWay, DatabaseLost, NotAlone, opened
from flows.planning.deployment_spec import where_its_status_is
from flows.planning.planner import apply_plan, make_plan
from flows.planning.scope import Scope
from tests.flows.lab import Lab, Play
from tests.flows.planning.described import described, said, with_fields
from tests.flows.snapshot import snapshot

# Taking turns


def test_of_two_applies_at_once_one_waits_and_the_last_one_counts(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        names = [f"d{number}" for number in range(4)]
        specs = tuple(spec for name in names for spec in described(lab, name))
        await lab.bootstrap(manifest=specs)
        spans: dict[str, tuple[float, float]] = {}
        together = threading.Barrier(2)

        def apply(word: str) -> None:
            wanted = specs
            for name in names:
                wanted = with_fields(wanted, name, description=word)

            async def main() -> None:
                async with opened() as services:
                    together.wait()
                    async with services.exclusive():
                        begun = time.monotonic()
                        changeset = await make_plan(services, lab.storage, Scope(wanted), dt.datetime.now(dt.UTC))
                        await apply_plan(changeset, services, lambda step: None)
                        spans[word] = (begun, time.monotonic())

            asyncio.run(main())

        threads = [threading.Thread(target=apply, args=(word,)) for word in ("first", "second")]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        (earlier, later) = sorted(spans, key=lambda word: spans[word])
        assert spans[earlier][1] <= spans[later][0]
        found = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert {block["data"]["description"] for block in found.blocks.values()} == {later}
        assert {row["description"] for row in found.rows.values() if row["type"] == "dataset"} == {later}
        status = {where_its_status_is(lab.prefix + name, FlowKind.REFRESH) for name in names}
        assert {each["description"] for each in found.deployments.values()} == {f"{later}\n\n{each}" for each in status}
        assert found.counts["deployment"] == len(names)
        assert said(await lab.bootstrap()) == []

    play(scenario)


def test_an_apply_that_waits_says_so_at_once_and_at_last_gives_up(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        told: list[str] = []
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        async with opened() as others, lab.services.exclusive():
            counting = asyncio.create_task(count())
            with pytest.raises(ApplyUnderWay) as caught:
                async with others.exclusive(dt.timedelta(seconds=1), told.append):
                    raise AssertionError("it did not wait")
            counting.cancel()
        assert told == ["another apply is under way; waiting up to 1 second"]
        assert turns > 20  # all else goes on meanwhile
        assert str(caught.value).startswith(
            "another apply is under way on this extension database, and did not end within 1 second"
        )
        async with lab.services.exclusive(patience=dt.timedelta(0)):
            assert lab.services.engine is not None

    play(scenario)


# Lost connections


def end_holders(lab: Lab) -> None:
    """End the connections that hold the lock of an apply."""
    with lab.services.engine.connect() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        assert connection.scalars(text(ended)).all() == [True]


def test_an_apply_that_has_lost_its_lock_stops(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        changeset = await lab.plan(manifest=described(lab, "prices"))
        async with lab.services.exclusive() as check:
            check()
            end_holders(lab)
            for _ in range(2):  # it does not come back
                with pytest.raises(NotAlone, match="the connection that keeps other applies waiting was lost"):
                    await apply_plan(changeset, lab.services, lambda step: None, check=check)
        left = await snapshot(lab.client, lab.services.engine, lab.prefix)
        assert (left.blocks, left.rows) == ({}, {})
        async with lab.services.exclusive(dt.timedelta(0)) as check:
            check()

    play(scenario)


def test_a_lost_database_is_told_in_a_sentence(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        async def lose() -> None:
            async with opened(lab.services.platform) as others, others.exclusive():
                end_holders(lab)
                with others.engine.connect() as connection, lab.services.engine.connect() as ends:
                    pid = connection.scalar(text("SELECT pg_backend_pid()"))
                    ends.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
                    connection.execute(text("SELECT 1"))

        with pytest.raises(DatabaseLost) as caught:
            await lose()
        told = str(caught.value)
        assert told.startswith("the extension database does not answer: terminating connection")
        assert told.endswith("look whether Postgres runs (`optaic stack` shows the embedded one), and try again.")

    play(scenario)
