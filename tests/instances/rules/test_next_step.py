"""Why a flow has its status, and what will happen next."""

import datetime as dt
from typing import Any

import pytest

import instances.rules.cascade
import instances.rules.causes
from instances.rules.causes import Explanation, explain
from instances.rules.readiness import FreshnessReport, assess
from instances.world.facts import Clock, FlowFacts, Policy, Request, World
from tests.instances.sample_world import NOW, completed, failed, flow, hours, live, run_id, strict, world

READY = flow("prices", completed(version="1"))
NEWER = flow("prices", completed(version="2"))
FAILED = flow("prices", failed(message="no file"))
RUNNING = flow("prices", live())
CURRENT = completed(inputs={"prices": "1"}, fingerprint="old")
BY_CLOCK: dict[str, Any] = {"policy": Policy(clock=Clock(cron="0 20 * * *")), "auto": False}


def signal(*runs: Any, **fields: Any) -> FlowFacts:
    return flow("signal", *runs, edges=[strict("prices")], **fields)


def explained(judged: FlowFacts, *others: FlowFacts) -> Explanation:
    return explain(judged, world(judged, *others), NOW)


@pytest.mark.parametrize(
    ("judged", "prices", "told"),
    [
        (signal(CURRENT), READY, "nothing is due"),
        (
            signal(CURRENT),
            NEWER,
            "the cascade or the sweep starts it: it is STALE: it consumed prices v1, prices is at v2",
        ),
        (signal(CURRENT), FAILED, "it is looked at again when its inputs are ready"),
        (signal(CURRENT), RUNNING, "it is looked at again when these have ended: prices.refresh"),
        (signal(CURRENT, **BY_CLOCK), FAILED, "its schedule starts it at 20:00 UTC"),
        (
            signal(CURRENT, auto=False, requests=(Request(run_id("request"), NOW - hours(1)),)),
            FAILED,
            "it is asked for, and starts by itself when its inputs are ready",
        ),
        (
            signal(failed(fingerprint=assess(signal(), world(signal(), READY), NOW).fingerprint)),
            READY,
            "it is tried again when an input or its configuration has changed; or run it by hand",
        ),
        (
            signal(failed(fingerprint="other"), paused=True),
            READY,
            "nothing starts it: its deployment is paused; `optaic resume` resumes it",
        ),
        (
            signal(CURRENT, auto=False, paused=True, requests=(Request(run_id("request"), NOW - hours(1)),)),
            FAILED,
            "nothing starts it: its deployment is paused; `optaic resume` resumes it",
        ),
        (
            signal(CURRENT, paused=True),
            NEWER,
            "nothing starts it: its deployment is paused; `optaic resume` resumes it",
        ),
        (
            signal(CURRENT, policy=Policy(clock=Clock(cron="nonsense")), auto=False),
            READY,
            "nothing starts it now: it is not kept ready automatically; run it by hand, by its schedule, "
            "or set auto on signal",
        ),
    ],
)
def test_what_happens_next(judged: FlowFacts, prices: FlowFacts, told: str) -> None:
    assert explained(judged, prices).next_step == told


def test_causes_go_up_to_the_root() -> None:
    model = flow("returns.train", edges=[strict("signal")])
    causes = explained(model, signal(CURRENT), FAILED).causes
    assert [(cause.depth, cause.label, cause.status, cause.root) for cause in causes] == [
        (0, "returns.train", "NOT_INITIALIZED", False),
        (1, "prices.refresh", "ERROR", True),
    ]
    assert causes[1].reason.endswith(": no file")


def test_a_flow_is_assessed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assessed: list[str] = []

    def counted(judged: FlowFacts, others: World, now: dt.datetime) -> FreshnessReport:
        assessed.append(judged.label)
        return assess(judged, others, now)

    for module in (instances.rules.causes, instances.rules.cascade):
        monkeypatch.setattr(module, "assess", counted)
    explained(signal(CURRENT), NEWER)
    assert assessed == ["signal.refresh"]
