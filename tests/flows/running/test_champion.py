"""Which version of a model is the champion, after trainings and by a person's word, on the real servers."""

import datetime as dt
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flows.running.champion import promote_by_hand, settled
from instances.plans.plan import Action
from instances.rules.flow_status import FlowStatus
from prefect_optaic.promotion import previous_version, promote_version, training_flow
from prefect_optaic.stack import Target
from tests.flows.chain import chain
from tests.flows.lab import Lab, Play
from tests.flows.recorded import SIGNALS, last_run, steps


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def test_a_later_training_takes_over_only_when_it_beats_the_champion(play: Play, stack: Target, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        anything = {"promotion": {"metric": "ic_mean", "threshold": -1.0}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=anything))
        await lab.run("prices")
        await lab.drain(*SIGNALS, "returns.train", "returns.infer", "returns.monitor")
        first = last_run(lab, "returns.infer")[0].version
        equal = await lab.run("returns.train", force=True)
        assert "does not beat the champion's" in (equal.message or "")
        assert "The champion stays 1; `optaic promote" in (equal.message or "")
        run, _ = last_run(lab, "returns.train")
        assert (run.version, run.metrics and run.metrics["promoted"]) == ("1", 0.0)  # equal is not better

        whatever = {"promotion": {"metric": "ic_mean", "threshold": -1.0, "must_beat_champion": False}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=whatever))
        assert (await lab.run("returns.train")).is_completed()
        tracking, name = lab.services.tracking, lab.prefix + "returns"
        champion, previous = tracking.champion(name), tracking.previous(name)
        assert champion is not None
        assert previous is not None
        assert (champion.version, previous.version) == ("3", "1")
        assert {"definition": "ridge@1", "config.alpha": "1.0"}.items() <= champion.params.items()
        await lab.drain("returns.infer", "returns.monitor")
        infer, _ = last_run(lab, "returns.infer")
        assert (infer.version == first) is (infer.found_new is False)  # the same model of the same rows
        assert (await lab.verdict("returns.infer")).status is FlowStatus.READY

        services = lab.services
        training = training_flow(services, name)
        await promote_version(services, training, previous_version(services, training))
        assert (last_run(lab, "returns.train")[0].version, previous_version(services, training)) == ("1", "3")

    play(scenario)


def test_a_champion_of_another_problem_or_of_features_that_are_gone_is_not_compared(play: Play, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        async def trained(**changed: Any) -> str:
            fields = {"promotion": {"metric": "rmse"}, **changed}
            await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=fields))
            state = await lab.run("returns.train", on_stale="warn")
            assert state.is_completed(), state.message
            return state.message or ""

        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, SIGNALS))
        await lab.run("prices")
        await lab.drain(*SIGNALS)
        assert "there is no champion yet" in await trained(target={"horizon": 5})
        # Returns of a month are larger: by the numbers alone no such model would ever beat one of 5 days.
        assert "and the champion 1 has another target: they can't be compared" in await trained(target={"horizon": 21})
        validation = {"train_days": 504, "test_days": 126, "embargo_days": 5}
        other = await trained(target={"horizon": 21}, validation=validation)
        assert "and the champion 2 has another validation: they can't be compared" in other
        fewer = [
            {"instance": "momentum", "role": "features"},
            {"instance": "prices", "role": "prices"},
        ]
        said = await trained(target={"horizon": 21}, validation=validation, upstream_refs=fewer)
        assert "and the champion 3 can't be asked any more: it needs '" in said
        assert said.startswith("Version 4 trained and promoted: rmse ")
        last = last_run(lab, "returns.train")[0]
        assert last.version == "4"

    play(scenario)


def test_what_a_person_promotes_while_a_training_ends_is_never_lost(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(lab: Lab) -> None:
        name = lab.prefix + "returns"
        by_hand = {"promotion": {"automatic": False}}
        await lab.bootstrap(manifest=chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=by_hand))
        await lab.run("prices")
        await lab.drain(*SIGNALS, "returns.train")
        train = lab.flow_id("returns.train")
        first = (await lab.world())[train].completed
        assert first is not None

        def promoting(version: str) -> Any:
            @contextmanager
            def disturbed(*args: Any) -> Any:  # the person is quicker than the training that has decided already
                promote_by_hand(lab.services, name, version, trained=first.run_id, by="hand", now=now())
                with settled(*args) as outcome:
                    yield outcome

            return disturbed

        monkeypatch.setattr("flows.running.champion.settled", promoting("1"))
        assert (await lab.run("returns.train", force=True)).is_completed()
        assert last_run(lab, "returns.train")[0].version == "1"
        monkeypatch.setattr("flows.running.champion.settled", settled)

        # One that has recorded, and of which Prefect does not tell yet: the row is amended all the same.
        promote_by_hand(lab.services, name, "2", trained=first.run_id, by="hand", now=now())
        assert last_run(lab, "returns.train")[0].version == "2"
        await lab.drain("returns.infer")
        world = await lab.world()
        pinned = world[lab.flow_id("returns.infer")].completed
        assert pinned is not None
        assert pinned.provenance is not None
        assert pinned.provenance.inputs[train] == "2"

        # Cut short between MLflow and Postgres, or promoted on MLflow's page: the plan sees it, and the alias wins.
        lab.services.tracking.promote(name, "1", by="somebody on MLflow's page")
        specs = chain(lab.prefix, tmp_path, (*SIGNALS, "returns"), returns=by_hand)
        assert steps((await lab.plan(manifest=specs)).plan) == [(Action.UPDATE, "champion", name)]
        await lab.bootstrap(manifest=specs)
        assert last_run(lab, "returns.train")[0].version == "1"
        assert steps((await lab.plan(manifest=specs)).plan) == []

    play(scenario)
