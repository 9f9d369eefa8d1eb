"""Free ports are found beside taken ones."""

import socket
from collections.abc import Iterator

import pytest

from prefect_optaic.stack.machine.ports import HOST, choose, free


@pytest.fixture(params=[HOST, "0.0.0.0"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((request.param, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_not_free(taken: int) -> None:
    assert not free(taken)


def test_the_next_free_port_is_chosen(taken: int) -> None:
    chosen = choose(taken)
    assert chosen != taken
    assert free(chosen)


def test_the_preferred_port_is_chosen_if_free(taken: int) -> None:
    preferred = choose(taken)
    assert choose(preferred) == preferred
