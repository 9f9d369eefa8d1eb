"""What runs say of themselves."""

import datetime as dt

import pytest

from definitions.work.outcome import Outcome
from flows.running.run_messages import (
    blocked_message,
    completed_message,
    outcome_page,
    skipped_message,
    unreadable_message,
    upstream_table,
    verdict_line,
)
from instances.rules.readiness import FreshnessReport, assess
from instances.world.facts import FlowFacts
from instances.world.wording import short
from research.frames.pictures import Picture
from tests.instances.sample_world import NOW, completed, days, failed, flow, strict, world

READY, FAILED = flow("prices", completed(version="7")), flow("prices", failed(message="no file"))


def report(*upstreams: FlowFacts) -> FreshnessReport:
    signal = flow("signal", edges=[strict(upstream.label) for upstream in upstreams])
    return assess(signal, world(signal, *upstreams), NOW)


def test_a_blocked_run_says_why_and_what_follows() -> None:
    assert FAILED.decisive is not None
    why = f"prices.refresh is ERROR: failed at 17:00 UTC, run {short(FAILED.decisive.run_id)}: no file"
    assert blocked_message(report(FAILED), upstreams_asked=False) == (
        f"{why}. It is asked for, and starts when its inputs are ready."
    )
    assert blocked_message(report(FAILED), upstreams_asked=True) == (
        f"{why}. Its upstream flows are asked for too, and it starts when they are ready."
    )


def test_a_skipped_run_names_the_one_that_it_confirms() -> None:
    confirmed = completed(days(1))
    assert skipped_message(confirmed, NOW) == (
        f"Its inputs and its configuration are those of run {short(confirmed.run_id)}, "
        f"completed at {NOW - days(1):%Y-%m-%d %H:%M} UTC."
    )


def test_a_run_without_a_version_to_read_names_what_to_run() -> None:
    assert unreadable_message(["a.refresh", "b.train"]) == (
        "There is no version to read of a.refresh, b.train. Run that first."
    )


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome(None), "It leaves no version."),
        (Outcome("7-1a2b3c4d", dt.date(2026, 3, 10), 1234), "v7, 1,234 rows up to 2026-03-10."),
        (Outcome("7", found_new=False), "v7, nothing new."),
        (Outcome("7", message="Version 7 trained and promoted."), "Version 7 trained and promoted."),
    ],
)
def test_a_completed_run_says_what_it_left(outcome: Outcome, told: str) -> None:
    assert completed_message(outcome) == told


def test_the_page_of_an_outcome_has_its_summary_before_its_pictures() -> None:
    picture = Picture("Scores", b"png")
    assert outcome_page(Outcome("1", summary="Done.")) == "Done."
    assert outcome_page(Outcome("1", summary="Done.", pictures=(picture,))) == f"Done.\n\n{picture.markdown}"


def test_the_guards_page_says_what_blocks() -> None:
    assert verdict_line(report()) == "**signal.refresh** has no upstream flows."
    assert upstream_table(report()) == [{"upstream": "none"}]
    assert verdict_line(report(READY)) == "**signal.refresh** may work: its upstream flow is ready."
    assert verdict_line(report(FAILED)).startswith("**signal.refresh** is blocked. prices.refresh is ERROR: ")
    (row,) = upstream_table(report(READY))
    assert (row["upstream"], row["blocks"], row["pinned version"]) == ("prices.refresh", "no", "7")
    assert upstream_table(report(FAILED))[0]["blocks"] == "root cause"
