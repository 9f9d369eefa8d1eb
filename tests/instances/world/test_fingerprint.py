from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from definitions.contract import FlowKind
from instances.world.fingerprint import Pin, fingerprint
from tests.instances.sample_world import flow_id, run_id


def pin(upstream: str, version: str = "1", role: str = "input") -> Pin:
    run = run_id(f"{upstream} {version}")
    return Pin(flow_id(upstream), upstream, FlowKind.REFRESH, role, version, run)


pins = st.lists(
    st.builds(pin, st.sampled_from("abcd"), st.sampled_from("123"), st.sampled_from(["input", "signal"])), max_size=5
)


def test_it_is_stable_from_one_release_to_the_next() -> None:
    # It is kept in run rows: another value for the same pins would make every flow run once more.
    assert fingerprint("config-1", []) == "8774ebe0b5c078c372d53d344ab00a8bc15e9e841f819d3afb179458d5fa9f56"
    assert (
        fingerprint("config-1", [pin("prices", "12")])
        == "dc3814666a4a5e37be98d31eef3c1ffd0f4f9a0f9970b95d0df81770be9c49d4"
    )


@given(pins, st.randoms())
def test_order_and_repetition_make_no_difference(of_run: list[Pin], random: Random) -> None:
    again = [*of_run, *of_run[:1]]
    random.shuffle(again)
    assert fingerprint("config-1", again) == fingerprint("config-1", of_run)


@given(pins, pins)
def test_it_differs_when_what_is_read_differs(one: list[Pin], other: list[Pin]) -> None:
    def read(of_run: list[Pin]) -> set[tuple[object, str, str]]:
        return {(p.upstream, p.role, p.version) for p in of_run}

    assert (fingerprint("c", one) == fingerprint("c", other)) == (read(one) == read(other))


def test_it_differs_when_the_configuration_differs() -> None:
    assert fingerprint("config-1", [pin("prices")]) != fingerprint("config-2", [pin("prices")])


def test_which_run_left_a_version_makes_no_difference() -> None:
    confirmed = replace(pin("prices"), run_id=run_id("the skipped one"), instance="renamed")
    assert fingerprint("config-1", [confirmed]) == fingerprint("config-1", [pin("prices")])


def test_what_an_input_was_made_by_counts_where_it_is_said() -> None:
    plain = pin("momentum", "7", "features")
    prints = {fingerprint("config-1", [replace(plain, made_by=made_by)]) for made_by in (None, "a", "b")}
    assert len(prints) == 3
