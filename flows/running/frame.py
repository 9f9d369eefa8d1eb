"""The frame that all flows share: the guard, the work, the record. A flow's own file holds only its work."""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

from prefect import Flow, State, flow, get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed, Failed

from definitions.contract import FlowKind
from definitions.errors import DefinitionError
from definitions.work.metric_names import under_both_names
from definitions.work.outcome import Outcome
from flows.integrations.services import Services, opened
from flows.reading.server_clock import ServerClock, server_clock
from flows.running.context import Context, run_context
from flows.running.events import emit_instance_event
from flows.running.guard import GuardFinding, assess_upstream, check_upstream_freshness, log_failure, report_row
from flows.running.run_messages import (
    blocked_message,
    completed_message,
    outcome_page,
    skipped_message,
    superfluous_message,
    unreadable_message,
)
from flows.running.run_names import outcome_key, run_name
from flows.running.run_starter import cascade_hook, log_decisions, start_due
from instances.errors import OptaicError
from instances.rules.admission import ADMITTED, Admission, admit, flows_to_refresh
from instances.rules.late_runs import done_by
from instances.specification.applied import FlowRecord
from instances.specification.fields import OnStale
from instances.specification.plugins import readable
from instances.specification.shapes import SHAPES, Output
from instances.specification.work_order import WorkOrder
from instances.storage.advisory_locks import Lock, held
from instances.storage.ledger import GuardedRun
from instances.world.facts import BLOCKED, SKIPPED, RunId
from instances.world.moments import plain_moment
from instances.world.wording import short
from research.errors import ResearchError

P = ParamSpec("P")
R = TypeVar("R")
Work = Callable[[Context], Outcome]
# Entered with what a run of an instance left, yields what is recorded of that, and is left when it has been.
Recording = Callable[[Services, str, Outcome], AbstractContextManager[Outcome]]
FORESEEN = (OptaicError, DefinitionError, ResearchError)


class NotThroughDeployment(OptaicError):
    """A run that belongs to no deployment, or to another flow's."""

    def __init__(self, flow: str, belongs_to: str) -> None:
        instance, _, kind = flow.rpartition(".")
        super().__init__(
            f"this run is to {kind} {instance!r}, but belongs to {belongs_to}. Start it with "
            f"`optaic run {instance} {kind}` or `prefect deployment run '{kind}/{instance}'`, "
            "and leave its parameter `instance` as it is."
        )


@dataclass(frozen=True)
class Options:
    """A run's own parameters; `on_stale` None means the instance's setting.

    `parameters` are those that a flow of a package's own takes beside.
    """

    on_stale: OnStale | None = None
    force: bool = False
    everything: bool = False
    parameters: Mapping[str, object] = field(default_factory=dict)

    def as_parameters(self) -> dict[str, object]:
        """Return what a later run must be given to do the same."""
        given: dict[str, object] = {"on_stale": self.on_stale, "everything": self.everything}
        given["parameters"] = dict(self.parameters)
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True)
class _Run:
    """One run on its way through the frame; `due` is when it was, None where a person lets it run again."""

    services: Services
    run_id: RunId
    flow: FlowRecord
    options: Options
    due: dt.datetime | None
    clock: ServerClock

    @property
    def label(self) -> str:
        return f"{self.flow.instance}.{self.flow.kind}"

    def under(self, instance: str) -> "_Run":
        """Return the same run, of an instance that may be called otherwise by now."""
        return replace(self, flow=replace(self.flow, instance=instance))

    @property
    def on_stale(self) -> OnStale:
        return self.options.on_stale or self.flow.settings.on_stale


def flow_of(kind: FlowKind) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Flow[P, Coroutine[Any, Any, R]]]:
    """Return what makes the flow of that kind of a function, with the cascade in its hooks."""
    return flow(
        name=kind.value,
        flow_run_name=run_name,
        persist_result=False,
        on_completion=[cascade_hook],
        on_failure=[cascade_hook],
        on_crashed=[cascade_hook],
        on_cancellation=[cascade_hook],
    )


@contextmanager
def as_it_is(services: Services, instance: str, outcome: Outcome) -> Iterator[Outcome]:
    """Yield what a run left: that is what is recorded, unless the flow hands in more."""
    yield outcome


async def guarded_run(
    kind: FlowKind, instance: str, work: Work, options: Options, *, recording: Recording = as_it_is
) -> State[None]:
    """Take the current run through the frame and return the state in which it ends.

    `recording` has the last word on what is recorded of the work's outcome, until it has been recorded.
    Raises `NotThroughDeployment`, `NoPlatform`, `NotMigrated`, and what the work raises.
    """
    async with opened() as services:
        run = await _identify(services, kind, instance, options)
        standing = services.ledger.standing_order(run.run_id)
        if standing is not None:
            run = run.under(instance)  # as it was called when the order was written
            told = "another attempt of it, with the inputs and the configuration that its guard has written down"
            get_run_logger().info("%s: %s", run.label, told)
            return await _worked(run, standing, work, recording)
        checked, order = await _check(run)
        run = run.under(checked.flow.instance)
        admission = _record_guard(run, checked, order)
        get_run_logger().info("%s: %s. %s", run.label, admission, checked.report.why or "all inputs are ready")
        match admission:
            case Admission.SUPERFLUOUS:
                return _superfluous(run, checked)
            case Admission.BLOCKED:
                return await _blocked(run, checked)
            case Admission.SKIPPED:
                return _skipped(run, checked)
            case Admission.READY | Admission.WARNED | Admission.FORCED if order is None:
                return Failed(message=unreadable_message(_without_version(run, checked)))
            case Admission.READY | Admission.WARNED | Admission.FORCED:
                return await _worked(run, order, work, recording)


async def _identify(services: Services, kind: FlowKind, instance: str, options: Options) -> _Run:
    context = FlowRunContext.get()
    current = context.flow_run if context else None
    if current is None or current.deployment_id is None:
        raise NotThroughDeployment(f"{instance}.{kind}", "no deployment")
    flow = services.repository.flow_of_deployment(current.deployment_id)
    # A run of before its instance was renamed knows it by a former name.
    known_as = {instance, flow.instance} if flow and current.deployment_id in flow.former_deployments else {instance}
    if flow is None or flow.instance not in known_as or flow.kind is not kind:
        whose = f"the deployment of {flow.instance}.{flow.kind}" if flow else "a deployment that bootstrap did not make"
        raise NotThroughDeployment(f"{instance}.{kind}", whose)
    expected = current.expected_start_time if current.run_count <= 1 else None
    due = plain_moment("when the run was due", expected) if expected is not None else None
    return _Run(services, RunId(current.id), flow, options, due, await server_clock(services.prefect))


async def _check(run: _Run) -> tuple[GuardFinding, WorkOrder | None]:
    """Judge the run, and return what it is to work from, as it was judged; None where it has nothing to read.

    Whatever is applied meanwhile, the configuration of the judgement and of the work are one.
    """
    while True:
        checked = await check_upstream_freshness(run.flow.flow_id, run.clock.now(), run.services)
        facts, pins = checked.flow, checked.report.pins
        names = {facts.instance, *(pin.instance for pin in pins)}
        config_hash, applied = run.services.repository.configuration(run.flow.flow_id, names)
        if config_hash != facts.config_hash or names != applied.keys():
            continue
        if _without_version(run, checked):
            return checked, None
        last = facts.completed.provenance if facts.completed else None
        # What is newer than the store's watermark is not all that another configuration gives.
        reconfigured = last is None or not last.recorded or last.config_hash != config_hash
        return checked, WorkOrder(pins, applied, everything=run.options.everything or reconfigured)


def _record_guard(run: _Run, checked: GuardFinding, order: WorkOrder | None) -> Admission:
    """Decide how the run goes on, and write the guard's findings to its row before any work."""
    report, facts = checked.report, checked.flow
    superfluous = run.due is not None and done_by(facts, run.due, run.options.as_parameters()) is not None
    options = run.options
    # What a package's flow was given parameters for, no run before has done.
    asked = {"force": options.force, "everything": options.everything or bool(options.parameters)}
    admission = admit(facts, report, on_stale=run.on_stale, superfluous=superfluous, **asked)
    if admission is Admission.SUPERFLUOUS:  # it has looked at nothing, so it has nothing to write down
        return admission
    run.services.ledger.record_guard(
        GuardedRun(
            run_id=run.run_id,
            flow_id=run.flow.flow_id,
            kind=run.flow.kind,
            config_hash=facts.config_hash,
            fingerprint=report.fingerprint,
            admission=admission,
            forced=admission is Admission.FORCED,
            inputs=tuple((pin.upstream, pin.role, pin.version) for pin in report.pins),
            report=report_row(report),
            at=report.checked_at,
            made_by={pin.upstream: pin.made_by for pin in report.pins if pin.made_by is not None},
            order=order if admission in ADMITTED else None,
        )
    )
    if admission is not Admission.BLOCKED:
        run.services.ledger.spend_requests(run.flow.flow_id, run.run_id, report.checked_at)
    return admission


async def _blocked(run: _Run, checked: GuardFinding) -> State[None]:
    ledger, now, refreshing = run.services.ledger, checked.report.checked_at, run.on_stale == "refresh"
    ledger.request([run.flow.flow_id], parameters=run.options.as_parameters(), run_id=run.run_id, now=now)
    if refreshing:
        # The guard's own reading ends one step behind a tolerant edge.
        world = (await assess_upstream(run.services, run.flow.flow_id, now, all_ancestors=True)).world
        upstream = flows_to_refresh(checked.report, world)
        ledger.request(upstream, parameters={}, run_id=run.run_id, now=now)
        log_decisions(await start_due(run.services, upstream), get_run_logger())
    _tell_the_end_calmly()
    return Cancelled(name=BLOCKED, message=blocked_message(checked.report, upstreams_asked=refreshing))


class _CalmEnd(logging.Filter):
    """Logs the end of a blocked run as information: Prefect calls every end an error that is not Completed."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.getMessage().startswith(f"Finished in state {BLOCKED}("):
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        return True


_CALM_END = _CalmEnd()


def _tell_the_end_calmly() -> None:
    logging.getLogger("prefect.flow_runs").addFilter(_CALM_END)  # once, however often


def _skipped(run: _Run, checked: GuardFinding) -> State[None]:
    confirmed = checked.flow.completed
    assert confirmed is not None  # what made it a skip
    run.services.ledger.confirm(run.run_id, confirmed.run_id, run.clock.now())
    return Completed(name=SKIPPED, message=skipped_message(confirmed, checked.report.checked_at))


def _superfluous(run: _Run, checked: GuardFinding) -> State[None]:
    done = checked.flow.completed
    assert done is not None  # what made it superfluous
    assert run.due is not None
    return Completed(name=SKIPPED, message=superfluous_message(done, run.due, checked.report.checked_at))


async def _worked(run: _Run, order: WorkOrder, work: Work, recording: Recording) -> State[None]:
    def work_in_thread() -> Outcome:
        begun = time.perf_counter()
        outcome = work(run_context(run.services, run.flow, order, run_id=run.run_id))
        measured = {**outcome.metrics, "duration_seconds": time.perf_counter() - begun}
        return replace(outcome, metrics=under_both_names(run.flow.kind, measured))

    retry = run.flow.settings.schedule.retry_policy

    @task(name=run.flow.kind.value, persist_result=False, cache_policy=NO_CACHE)
    async def step() -> Outcome:
        return await asyncio.to_thread(work_in_thread)

    patient = step.with_options(
        retries=retry.max_retries, retry_delay_seconds=[wait.total_seconds() for wait in retry.waits]
    )
    try:
        outcome = await asyncio.to_thread(_record, run, order, await patient(), recording)
    except FORESEEN as error:  # its message says all that a person needs; anything else keeps its traceback
        return Failed(message=str(error))
    for event in outcome.events:
        with log_failure(f"the event {event.name}"):
            emit_instance_event(run.services.repository, run.flow, event)
    with log_failure("the summary"):
        await acreate_markdown_artifact(
            outcome_page(outcome),
            key=outcome_key(run.flow.instance, run.flow.kind),
            description=f"What {run.label} left",
        )
    return Completed(message=completed_message(outcome))


def _record(run: _Run, order: WorkOrder, outcome: Outcome, recording: Recording) -> Outcome:
    """Write down what the run leaves, and return it. Raises `FlowGone`."""
    services, one_flow = run.services, str(run.flow.flow_id)
    services.ledger.require_flow(run.run_id)
    with (
        held(services.engine, Lock.RECORD, of=one_flow),
        recording(services, order.instances[run.flow.instance].kept_as, _on_top(run, order, outcome)) as left,
    ):
        services.ledger.record_outcome(run.run_id, left, run.clock.now())
    return left


def _on_top(run: _Run, order: WorkOrder, outcome: Outcome) -> Outcome:
    """Return what a run leaves where another run of its flow may have committed on top before this one could record.

    The last to record must name the last version: by then it is this flow's, whoever has committed it.
    """
    services = run.services
    if SHAPES[run.flow.kind].leaves is not Output.ROWS or not services.ledger.overtaken(run.run_id):
        return outcome
    head = readable(order.instances[run.flow.instance], services.registry, services.resources).store.head()
    if head is None or head.version == outcome.version:
        return outcome
    watermark = head.watermark.date if head.watermark else None
    return replace(outcome, version=head.version, watermark=watermark, row_count=head.row_count)


def _without_version(run: _Run, checked: GuardFinding) -> list[str]:
    """Return the required inputs that were pinned to nothing: a forced or warned run can't work without them."""
    pinned = {pin.upstream for pin in checked.report.pins}
    missing = dict.fromkeys(e.upstream for e in run.flow.edges if e.required and e.upstream not in pinned)
    return [checked.world[flow_id].label if flow_id in checked.world else short(flow_id) for flow_id in missing]
