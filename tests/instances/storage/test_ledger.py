import datetime as dt
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session, undefer

from definitions.contract import FlowKind
from definitions.work.outcome import Outcome
from instances.errors import FlowGone
from instances.rules.admission import ADMITTED
from instances.specification.applied import AppliedInstance
from instances.specification.shapes import SHAPES
from instances.specification.work_order import WorkOrder
from instances.storage.ledger import GuardedRun, Ledger
from instances.storage.repository import Repository
from instances.storage.tables import ClaimRow, DatasetInstanceRow, RequestRow, RunRow
from instances.storage.writer import Writer
from instances.world.facts import FlowId, Provenance, RunId
from instances.world.fingerprint import Pin
from tests.instances.catalogue import dataset, signal
from tests.instances.database import refresh_ids, saved, statements
from tests.instances.sample_world import NOW, flow_id, hours, minutes, run_id

Ids = dict[str, FlowId]
THREADS = 8


@pytest.fixture
def ids(database: Engine) -> Ids:
    """The flows prices -> momentum, and universe."""
    specs = (
        dataset("prices"),
        dataset("universe"),
        signal("momentum", "prices", {"instance": "universe", "role": "universe"}),
    )
    return refresh_ids(saved(database, *specs))


@pytest.fixture
def ledger(database: Engine) -> Ledger:
    return Ledger(database)


def guarded(name: str, flow_id: FlowId, **fields: Any) -> GuardedRun:
    given: dict[str, Any] = {
        "run_id": run_id(name),
        "flow_id": flow_id,
        "kind": FlowKind.REFRESH,
        "config_hash": "config-1",
        "fingerprint": "fingerprint-1",
        "admission": "go",
        "forced": False,
        "inputs": (),
        "report": {"all_ready": True},
        "at": NOW,
    }
    return GuardedRun(**(given | fields))


def only(ledger: Ledger, name: str) -> Provenance:
    return ledger.provenance([run_id(name)])[run_id(name)]


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """Call `work` in 8 threads that start together, and return what each gave."""
    barrier = Barrier(THREADS)

    def started(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(started, range(THREADS)))


def rows(engine: Engine, table: type[Any]) -> list[Any]:
    with Session(engine) as session:
        return list(session.scalars(select(table).options(undefer("*"))))


# Runs


def test_every_flow_has_a_kind_of_run() -> None:
    assert set(SHAPES) == set(FlowKind)
    assert len({shape.run_kind for shape in SHAPES.values()}) == len(FlowKind)


def test_the_guard_writes_what_a_run_is_to_consume(ledger: Ledger, ids: Ids) -> None:
    pins = ((ids["prices"], "input", "12"), (ids["universe"], "universe", "3"))
    ledger.record_guard(guarded("m1", ids["momentum"], inputs=pins, forced=True))
    assert only(ledger, "m1") == Provenance(
        fingerprint="fingerprint-1",
        config_hash="config-1",
        inputs={ids["prices"]: "12", ids["universe"]: "3"},
        forced=True,
        recorded=False,
        judged_at=NOW,
    )
    (row,) = rows(ledger.engine, RunRow)
    assert (row.kind, row.admission, row.report, row.guarded_at) == ("RefreshRun", "go", {"all_ready": True}, NOW)
    assert row.recorded_at is None


def test_a_retry_overwrites_what_its_guard_wrote(ledger: Ledger, ids: Ids) -> None:
    before = ((ids["prices"], "input", "12"), (ids["universe"], "universe", "3"))
    ledger.record_guard(guarded("m1", ids["momentum"], inputs=before))
    ledger.record_guard(
        guarded("m1", ids["momentum"], inputs=((ids["prices"], "input", "13"),), fingerprint="f-2", at=NOW + hours(1))
    )
    found = only(ledger, "m1")
    assert (found.inputs, found.fingerprint) == ({ids["prices"]: "13"}, "f-2")
    assert len(rows(ledger.engine, RunRow)) == 1


def test_a_retry_forgets_what_the_first_try_left(ledger: Ledger, ids: Ids) -> None:
    ledger.record_guard(guarded("p1", ids["prices"]))
    outcome = Outcome("7", dt.date(2026, 3, 10), 500, found_new=False, metrics={"rows": 500.0})
    ledger.record_outcome(run_id("p1"), outcome, NOW)
    assert only(ledger, "p1").recorded
    ledger.record_guard(guarded("p1", ids["prices"], at=NOW + hours(1)))
    found = only(ledger, "p1")
    assert (found.version, found.watermark, found.found_new, found.recorded) == (None, None, True, False)
    (row,) = rows(ledger.engine, RunRow)
    assert (row.recorded_at, row.row_count, row.metrics) == (None, None, None)


def test_the_outcome_is_on_the_run_and_on_its_dataset(ledger: Ledger, ids: Ids) -> None:
    ledger.record_guard(guarded("p1", ids["prices"]))
    outcome = Outcome("7", dt.date(2026, 3, 10), 500, found_new=True, metrics={"rows": 500.0})
    ledger.record_outcome(run_id("p1"), outcome, NOW)
    found = only(ledger, "p1")
    assert (found.version, found.watermark, found.found_new) == ("7", dt.date(2026, 3, 10), True)
    (row,) = rows(ledger.engine, RunRow)
    assert (row.row_count, row.metrics, row.recorded_at) == (500, {"rows": 500.0}, NOW)
    handles = {d.name: (d.data_version, d.last_data_date, d.row_count) for d in rows(ledger.engine, DatasetInstanceRow)}
    assert handles == {
        "prices": ("7", dt.date(2026, 3, 10), 500),
        "universe": (None, None, None),
        "momentum": (None, None, None),
    }


def test_a_run_keeps_what_it_left_in_words_and_in_further_stores(ledger: Ledger, ids: Ids) -> None:
    ledger.record_guard(guarded("p1", ids["prices"]))
    outcome = Outcome("7", facts={"solver_status": "optimal"}, further_versions={"trades": "3"})
    ledger.record_outcome(run_id("p1"), outcome, NOW)
    ledger.record_guard(guarded("p2", ids["prices"]))
    ledger.confirm(run_id("p2"), run_id("p1"), NOW + hours(1))
    for row in rows(ledger.engine, RunRow):
        assert (row.facts, row.further_versions) == ({"solver_status": "optimal"}, {"trades": "3"})
    ledger.record_guard(guarded("p1", ids["prices"], at=NOW + hours(2)))
    retried = next(row for row in rows(ledger.engine, RunRow) if row.prefect_run_id == run_id("p1"))
    assert (retried.facts, retried.further_versions) == (None, None)


def test_a_signal_keeps_its_handles_as_a_dataset_does(ledger: Ledger, ids: Ids) -> None:
    ledger.record_guard(guarded("m1", ids["momentum"]))
    ledger.record_outcome(run_id("m1"), Outcome("2", None, 0, found_new=False), NOW)
    assert {d.name: d.data_version for d in rows(ledger.engine, DatasetInstanceRow)}["momentum"] == "2"
    assert not only(ledger, "m1").found_new


def test_an_outcome_without_rows_leaves_the_handles_alone(ledger: Ledger, ids: Ids) -> None:
    ledger.record_guard(guarded("p1", ids["prices"]))
    ledger.record_outcome(run_id("p1"), Outcome("7", row_count=5), NOW)
    ledger.record_guard(guarded("p2", ids["prices"]))
    ledger.record_outcome(run_id("p2"), Outcome(None), NOW)
    assert {d.name: d.data_version for d in rows(ledger.engine, DatasetInstanceRow)}["prices"] == "7"
    assert only(ledger, "p2").version is None


def test_a_run_that_has_recorded_nothing_has_not_found_nothing(ledger: Ledger, ids: Ids) -> None:
    ledger.record_guard(guarded("p1", ids["prices"]))
    assert only(ledger, "p1").found_new


def test_a_version_is_amended_on_all_runs_that_have_recorded_since(ledger: Ledger, ids: Ids) -> None:
    for name, hour in (("p1", 3), ("p2", 2), ("p3", 1)):
        ledger.record_guard(guarded(name, ids["prices"]))
        ledger.record_outcome(run_id(name), Outcome("1"), NOW - hours(hour))
    ledger.record_guard(guarded("p4", ids["prices"]))  # and has not recorded yet
    ledger.amend_version(run_id("p2"), "2", {}, NOW)
    assert [only(ledger, name).version for name in ("p1", "p2", "p3", "p4")] == ["1", "2", "2", None]
    ledger.confirm(run_id("p4"), run_id("p3"), NOW)
    assert only(ledger, "p4").version == "2"


def since(ledger: Ledger, *names: str) -> list[dt.datetime | None]:
    return [only(ledger, name).version_since for name in names]


def left(ledger: Ledger, flow_id: FlowId, name: str, version: str | None, ago: float) -> None:
    ledger.record_guard(guarded(name, flow_id))
    ledger.record_outcome(run_id(name), Outcome(version), NOW - hours(ago))


def test_a_run_keeps_since_when_its_flow_has_the_version_that_it_left(ledger: Ledger, ids: Ids) -> None:
    left(ledger, ids["universe"], "u1", "1", 9)
    for name, version, ago in (("p1", "1", 8), ("p2", "1", 7), ("p3", "1", 6), ("p4", "2", 5), ("p5", "1", 4)):
        left(ledger, ids["prices"], name, version, ago)
    first = NOW - hours(8)
    assert since(ledger, "p1", "p2", "p3", "p4", "p5") == [None, first, first, None, None]
    ledger.record_guard(guarded("p6", ids["prices"]))
    ledger.confirm(run_id("p6"), run_id("p5"), NOW - hours(3))
    left(ledger, ids["prices"], "p7", "1", 2)
    assert since(ledger, "p6", "p7") == [NOW - hours(4), NOW - hours(4)]
    left(ledger, ids["prices"], "p8", None, 1)
    left(ledger, ids["prices"], "p9", None, 0)
    assert since(ledger, "p8", "p9") == [None, None]


def test_a_promoted_version_is_the_version_since_its_promotion(ledger: Ledger, ids: Ids) -> None:
    for name, version, ago in (("p1", "1", 3), ("p2", "1", 2), ("p3", "2", 1)):
        left(ledger, ids["prices"], name, version, ago)
    ledger.amend_version(run_id("p2"), "2", {}, NOW)
    assert since(ledger, "p1", "p2", "p3") == [None, NOW, None]
    left(ledger, ids["prices"], "p4", "2", -1)
    assert since(ledger, "p4") == [NOW - hours(1)]


def test_the_newest_runs_of_a_flow_are_those_that_have_recorded_something(ledger: Ledger, ids: Ids) -> None:
    for name, version, ago in (("p1", "1", 3), ("p2", "2", 1), ("p3", "3", 2)):
        left(ledger, ids["prices"], name, version, ago)
    left(ledger, ids["universe"], "u1", "1", 9)
    ledger.record_guard(guarded("p4", ids["prices"], admission="skipped"))
    ledger.confirm(run_id("p4"), run_id("p2"), NOW)
    ledger.record_guard(guarded("p5", ids["prices"]))  # and has recorded nothing
    two = ledger.runs([run_id("u1"), run_id("p1")], newest_of=[ids["prices"], ids["momentum"]], count=2)
    assert [(run.run_id, run.at, run.skipped) for run in two.newest[ids["prices"]]] == [
        (run_id("p4"), NOW, True),
        (run_id("p2"), NOW - hours(1), False),
    ]
    assert two.newest[ids["momentum"]] == ()
    assert set(two.newest) == {ids["prices"], ids["momentum"]}
    assert set(two.provenance) == {run_id(name) for name in ("u1", "p1", "p2", "p4")}
    with statements(ledger.engine) as sent:
        ledger.runs([run_id("p1")], newest_of=list(ids.values()), count=3)
    assert len(sent) == 1


# Attempts


def order(version: str = "12") -> WorkOrder:
    pin = Pin(flow_id("prices"), "prices", FlowKind.REFRESH, "input", version, run_id("p0"))
    return WorkOrder((pin,), {"momentum": AppliedInstance(dataset("momentum"))}, everything=True)


def test_a_run_that_was_admitted_goes_on_with_what_its_guard_wrote_down(ledger: Ledger, ids: Ids) -> None:
    assert ledger.standing_order(run_id("m1")) is None
    for admission in ADMITTED:
        ledger.record_guard(guarded("m1", ids["momentum"], admission=admission, order=order()))
        assert ledger.standing_order(run_id("m1")) == order()
    ledger.record_outcome(run_id("m1"), Outcome("7"), NOW + hours(1))  # and has crashed since
    assert ledger.standing_order(run_id("m1")) == order()


@pytest.mark.parametrize("admission", ["blocked", "skipped"])
def test_a_run_that_was_not_admitted_is_judged_anew(ledger: Ledger, ids: Ids, admission: str) -> None:
    ledger.record_guard(guarded("m1", ids["momentum"], admission=admission, order=order()))
    assert ledger.standing_order(run_id("m1")) is None
    ledger.record_guard(guarded("m2", ids["momentum"], admission="ready"))  # which had nothing to read
    assert ledger.standing_order(run_id("m2")) is None


def test_a_run_that_another_one_has_overtaken_is_judged_anew(ledger: Ledger, ids: Ids) -> None:
    """Else what it was to read, which is older, would take the place of what is newer."""
    ledger.record_guard(guarded("m1", ids["momentum"], admission="ready", order=order()))
    left(ledger, ids["universe"], "u1", "1", -1)
    left(ledger, ids["momentum"], "m0", "1", 1)
    assert not ledger.overtaken(run_id("m1"))
    assert ledger.standing_order(run_id("m1")) == order()
    left(ledger, ids["momentum"], "m2", "2", -1)
    assert ledger.overtaken(run_id("m1"))
    assert ledger.standing_order(run_id("m1")) is None


# Models


def test_what_a_version_of_a_model_was_trained_on_is_found_by_the_run_that_trained_it(ledger: Ledger, ids: Ids) -> None:
    pins = ((ids["prices"], "features", "12"), (ids["universe"], "prices", "3"))
    for name, made_by, trained in (("m1", "config-1", "1"), ("m2", "config-2", "2")):
        ledger.record_guard(guarded(name, ids["momentum"], inputs=pins, made_by={ids["prices"]: made_by}))
        assert only(ledger, name).made_by == {ids["prices"]: made_by}
        ledger.record_outcome(run_id(name), Outcome("1", facts={"trained_version": trained}), NOW)
    left(ledger, ids["universe"], "u1", "1", 0)
    assert ledger.trained_on({ids["momentum"]: "1"}) == {ids["momentum"]: {ids["prices"]: "config-1"}}
    assert ledger.trained_on({ids["momentum"]: "2"}) == {ids["momentum"]: {ids["prices"]: "config-2"}}
    assert ledger.trained_on({ids["momentum"]: "3", ids["universe"]: "1"}) == {}


def test_nothing_is_written_of_a_flow_that_is_destroyed_and_none_is_destroyed_meanwhile(
    ledger: Ledger, ids: Ids
) -> None:
    for name, run in (("prices", "p1"), ("universe", "u1")):
        ledger.record_guard(guarded(run, ids[name]))
        Repository(ledger.engine).set_deployment(ids[name], uuid4())
    writer, events = Writer(ledger.engine), list[str]()

    def write(which: int) -> None:
        with ledger.writing(run_id("p1")):  # none who writes waits for another
            ledger.request([ids["prices"]], parameters={}, run_id=None, now=NOW)
            ledger.record_outcome(run_id("p1"), Outcome("7"), NOW)
            barrier.wait()
            sleep(0.2)
            events.append("written")

    barrier = Barrier(3, timeout=20)
    with ThreadPoolExecutor(3) as threads:
        both = [threads.submit(write, which) for which in range(2)]
        barrier.wait()
        writer.retire(["prices"])
        events.append("retired")
        for each in both:
            each.result()
    assert events == ["written", "written", "retired"]
    with pytest.raises(FlowGone, match="was destroyed while the run was at work: it writes nothing"):
        ledger.writing(run_id("p1")).__enter__()
    with ledger.writing(run_id("u1")):  # of another instance
        pass
    for instance in ("momentum", "universe"):
        writer.remove([instance])
    with pytest.raises(FlowGone), ledger.writing(run_id("u1")):
        raise AssertionError


def test_an_outcome_needs_the_row_that_its_guard_wrote(ledger: Ledger, ids: Ids) -> None:
    with pytest.raises(NoResultFound):
        ledger.record_outcome(run_id("p1"), Outcome("7"), NOW)
    with pytest.raises(NoResultFound):
        ledger.confirm(run_id("p2"), run_id("p1"), NOW)


def test_a_skipped_run_has_what_the_run_it_confirms_left(ledger: Ledger, ids: Ids) -> None:
    pins = ((ids["prices"], "input", "12"),)
    for name in ("m1", "m2", "m3"):
        ledger.record_guard(guarded(name, ids["momentum"], inputs=pins))
    outcome = Outcome("7", dt.date(2026, 3, 10), 500, metrics={"rows": 500.0})
    ledger.record_outcome(run_id("m1"), outcome, NOW - hours(2))
    ledger.confirm(run_id("m2"), run_id("m1"), NOW - hours(1))
    ledger.confirm(run_id("m3"), run_id("m2"), NOW)
    first, second, third = (only(ledger, name) for name in ("m1", "m2", "m3"))
    assert first.found_new
    assert second == third
    assert (first.version_since, second.version_since) == (None, NOW - hours(2))
    assert (second.inputs, second.version, second.watermark) == (first.inputs, "7", dt.date(2026, 3, 10))
    assert not second.found_new
    by_id = {row.prefect_run_id: row for row in rows(ledger.engine, RunRow)}
    confirmed = by_id[run_id("m3")]
    assert (confirmed.row_count, confirmed.metrics, confirmed.recorded_at) == (500, {"rows": 500.0}, NOW)


def test_runs_without_a_row_are_left_out(ledger: Ledger, ids: Ids) -> None:
    ledger.record_guard(guarded("p1", ids["prices"]))
    assert set(ledger.provenance([run_id("p1"), run_id("p2")])) == {run_id("p1")}
    assert ledger.provenance([]) == {}


@pytest.mark.parametrize("upstreams", [1, 10, 100, 1000])
def test_provenance_costs_one_statement_however_many_runs(ledger: Ledger, ids: Ids, upstreams: int) -> None:
    names = [RunId(uuid4()) for _ in range(upstreams)]
    with ledger.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO optaic.run (prefect_run_id, flow_id, kind, config_hash, fingerprint, admission, report, "
                "guarded_at) VALUES (:id, :flow, 'RefreshRun', 'c', 'f', 'go', '{}', now())"
            ),
            [{"id": name, "flow": ids["prices"]} for name in names],
        )
    with statements(ledger.engine) as sent:
        assert len(ledger.provenance(names)) == upstreams
    assert len(sent) == 1


def test_the_guard_writes_in_as_many_statements_whatever_the_number_of_pins(ledger: Ledger, ids: Ids) -> None:
    counts = []
    for number in (2, 200):
        pins = tuple((ids["prices"], f"role-{n}", "1") for n in range(number))
        ledger.record_guard(guarded(f"m{number}", ids["momentum"], inputs=pins))
        with statements(ledger.engine) as sent:
            ledger.record_guard(guarded(f"m{number}", ids["momentum"], inputs=pins))
        counts.append(len(sent))
    assert counts[0] == counts[1]


# Requests


def test_a_request_is_open_until_it_is_spent(ledger: Ledger, ids: Ids) -> None:
    ledger.request([ids["prices"]], parameters={"everything": True}, run_id=run_id("p1"), now=NOW)
    (request,) = ledger.open_requests([ids["prices"], ids["momentum"]])[ids["prices"]]
    assert (request.created_at, request.parameters) == (NOW, {"everything": True})
    ledger.spend_requests(ids["prices"], run_id("p2"), NOW + hours(1))
    assert ledger.open_requests([ids["prices"]]) == {}
    (row,) = rows(ledger.engine, RequestRow)
    assert (row.requested_by_run, row.spent_by_run, row.spent_at) == (run_id("p1"), run_id("p2"), NOW + hours(1))
    assert row.withdrawn_at is None


def test_spending_and_withdrawing_touch_one_flow_only(ledger: Ledger, ids: Ids) -> None:
    ledger.request(ids.values(), parameters={}, run_id=None, now=NOW)
    ledger.spend_requests(ids["prices"], run_id("p1"), NOW)
    ledger.withdraw_requests(ids["universe"], NOW)
    assert set(ledger.open_requests(list(ids.values()))) == {ids["momentum"]}


def test_a_withdrawn_request_is_not_spent_and_the_other_way_round(ledger: Ledger, ids: Ids) -> None:
    ledger.request([ids["prices"], ids["universe"]], parameters={}, run_id=None, now=NOW)
    ledger.withdraw_requests(ids["prices"], NOW)
    ledger.spend_requests(ids["prices"], run_id("p1"), NOW)
    ledger.spend_requests(ids["universe"], run_id("u1"), NOW)
    ledger.withdraw_requests(ids["universe"], NOW)
    by_flow = {row.flow_id: row for row in rows(ledger.engine, RequestRow)}
    assert by_flow[ids["prices"]].spent_at is None
    assert by_flow[ids["universe"]].withdrawn_at is None


def test_a_request_made_after_the_cancellation_stays(ledger: Ledger, ids: Ids) -> None:
    ledger.request([ids["prices"]], parameters={"n": 1}, run_id=None, now=NOW)
    assert [ledger.withdraw_requests(ids["prices"], NOW) for _ in range(2)] == [1, 0]
    ledger.request([ids["prices"]], parameters={"m": 2}, run_id=None, now=NOW + minutes(1))
    ledger.withdraw_requests(ids["prices"], NOW)
    (request,) = ledger.open_requests([ids["prices"]])[ids["prices"]]
    assert request.parameters == {"m": 2}  # what was withdrawn is not taken on


def test_asking_again_renews_the_request_and_merges_the_parameters(ledger: Ledger, ids: Ids) -> None:
    for minute, parameters in enumerate([{"a": 1, "b": 2}, {}, {"b": 3}, {"c": 4}]):
        asking = run_id(f"m{minute}")
        ledger.request([ids["prices"]] * 2, parameters=parameters, run_id=asking, now=NOW + minutes(minute))
    (request,) = ledger.open_requests([ids["prices"]])[ids["prices"]]
    assert (request.parameters, request.created_at) == ({"a": 1, "b": 3, "c": 4}, NOW + minutes(3))
    (row,) = rows(ledger.engine, RequestRow)
    assert (row.id, row.requested_by_run) == (request.request_id, run_id("m3"))


def test_a_flow_has_one_open_request_however_many_ask_at_once(ledger: Ledger, ids: Ids) -> None:
    def ask(number: int) -> None:
        ledger.request(ids.values(), parameters={f"p{number}": number}, run_id=None, now=NOW)

    at_once(ask)
    found = ledger.open_requests(list(ids.values()))
    assert set(found) == set(ids.values())
    for (request,) in found.values():
        assert request.parameters == {f"p{number}": number for number in range(THREADS)}
    assert len(rows(ledger.engine, RequestRow)) == len(ids)


def test_flows_asked_for_in_any_order_at_once_do_not_wait_for_each_other_for_ever(ledger: Ledger, ids: Ids) -> None:
    def ask(number: int) -> None:
        order = list(ids.values())
        random.Random(number).shuffle(order)
        ledger.request(order, parameters={}, run_id=None, now=NOW)

    for _ in range(5):
        at_once(ask)
    assert len(rows(ledger.engine, RequestRow)) == len(ids)


def test_a_renewed_request_outlives_a_cancellation_before_it(ledger: Ledger, ids: Ids) -> None:
    ledger.request([ids["prices"]], parameters={}, run_id=None, now=NOW)
    ledger.request([ids["prices"]], parameters={}, run_id=None, now=NOW + minutes(2))
    ledger.withdraw_requests(ids["prices"], NOW + minutes(1))
    assert len(ledger.open_requests([ids["prices"]])[ids["prices"]]) == 1


def test_a_run_spends_only_what_was_asked_for_before_it_was_judged(ledger: Ledger, ids: Ids) -> None:
    ledger.request([ids["prices"]], parameters={}, run_id=None, now=NOW + minutes(1))
    ledger.spend_requests(ids["prices"], run_id("p1"), NOW)
    assert len(ledger.open_requests([ids["prices"]])[ids["prices"]]) == 1


def test_a_spent_request_can_be_made_again(ledger: Ledger, ids: Ids) -> None:
    ledger.request([ids["prices"]], parameters={}, run_id=None, now=NOW)
    ledger.spend_requests(ids["prices"], run_id("p1"), NOW)
    ledger.request([ids["prices"]], parameters={}, run_id=None, now=NOW)
    assert len(ledger.open_requests([ids["prices"]])[ids["prices"]]) == 1


def test_open_requests_cost_one_statement(ledger: Ledger, ids: Ids) -> None:
    ledger.request(ids.values(), parameters={}, run_id=None, now=NOW)
    with statements(ledger.engine) as sent:
        ledger.open_requests(list(ids.values()))
    assert len(sent) == 1


# Claims


def claim(ledger: Ledger, ids: Ids, key: str = "key", fingerprint: str = "f") -> RunId | None:
    return ledger.claim(key, ids["prices"], fingerprint=fingerprint, reason="its inputs are newer", now=NOW)


def test_a_claim_is_one_however_many_take_it_at_once(ledger: Ledger, ids: Ids) -> None:
    assert at_once(lambda _: claim(ledger, ids)) == [None] * THREADS
    assert [row.key for row in rows(ledger.engine, ClaimRow)] == ["key"]


def test_a_claim_tells_which_run_has_come_of_it(ledger: Ledger, ids: Ids) -> None:
    assert claim(ledger, ids) is None
    ledger.note_started("key", run_id("p1"))
    assert at_once(lambda _: claim(ledger, ids)) == [run_id("p1")] * THREADS
    (row,) = rows(ledger.engine, ClaimRow)
    assert (row.prefect_run_id, row.flow_id, row.reason) == (run_id("p1"), ids["prices"], "its inputs are newer")


def test_a_claim_of_a_process_that_died_can_be_taken_again(ledger: Ledger, ids: Ids) -> None:
    assert claim(ledger, ids) is None
    assert claim(ledger, ids) is None


def test_a_claim_can_be_noted_again_when_its_run_was_deleted(ledger: Ledger, ids: Ids) -> None:
    assert claim(ledger, ids) is None
    ledger.note_started("key", run_id("p1"))
    ledger.note_started("key", run_id("p2"))
    assert claim(ledger, ids) == run_id("p2")
    assert ledger.claimed([run_id("p1"), run_id("p2")]) == {run_id("p2"): "f"}


def test_started_runs_tell_for_which_fingerprint(ledger: Ledger, ids: Ids) -> None:
    for number in (1, 2, 3):
        claim(ledger, ids, f"key-{number}", f"f-{number}")
    ledger.note_started("key-1", run_id("p1"))
    ledger.note_started("key-2", run_id("p2"))
    assert ledger.claimed([run_id("p1"), run_id("p2"), run_id("by hand")]) == {run_id("p1"): "f-1", run_id("p2"): "f-2"}
    assert ledger.claimed([run_id("p2")]) == {run_id("p2"): "f-2"}
    assert ledger.claimed([]) == {}


def test_each_key_is_a_claim_of_its_own(ledger: Ledger, ids: Ids) -> None:
    assert at_once(lambda number: claim(ledger, ids, f"key-{number}")) == [None] * THREADS
    assert len(rows(ledger.engine, ClaimRow)) == THREADS
