"""The frame that all flows share: the guard, the work, the record. A flow's own file holds only its work."""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from prefect import Flow, State, flow, get_client, get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from definitions.contract import FlowKind
from definitions.errors import DefinitionError
from definitions.work.outcome import Outcome
from flows.integrations.services import Services, load_platform, opened
from flows.reading.server_clock import ServerClock, server_clock
from flows.running.champion import settled
from flows.running.context import Context, run_context
from flows.running.events import emit_instance_event
from flows.running.guard import GuardFinding, assess_upstream, check_upstream_freshness, log_failure, report_row
from flows.running.run_starter import cascade_hook, log_decisions, start_due
from instances.errors import OptaicError
from instances.rules.admission import ADMITTED, Admission, admit, flows_to_refresh
from instances.rules.late_runs import done_by, why_superfluous
from instances.specification.applied import FlowRecord
from instances.specification.specs import OnStale
from instances.specification.work_order import WorkOrder
from instances.storage.ledger import GuardedRun
from instances.world.facts import BLOCKED, SKIPPED, RunId
from instances.world.moments import plain_moment
from instances.world.wording import moment, short, version_of
from research.errors import ResearchError

P = ParamSpec("P")
R = TypeVar("R")
Work = Callable[[Context], Outcome]
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
    """A run's own parameters; `on_stale` None means the instance's setting."""

    on_stale: OnStale | None = None
    force: bool = False
    everything: bool = False

    def as_parameters(self) -> dict[str, object]:
        """Return what a later run must be given to do the same."""
        given: dict[str, object] = {"on_stale": self.on_stale, "everything": self.everything}
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


def run_name() -> str:
    """Return the name of the current run: its flow, and when it was due."""
    parameters, due = flow_run.parameters, flow_run.scheduled_start_time
    return f"{parameters['instance']}.{flow_run.flow_name} {due:%Y-%m-%d %H:%M:%S}"


async def guarded_run(kind: FlowKind, instance: str, work: Work, options: Options) -> State[None]:
    """Take the current run through the frame and return the state in which it ends.

    Raises `NotThroughDeployment`, `NoPlatform`, `NotMigrated`, and what the work raises.
    """
    with opened(await load_platform()) as services:
        run = await _identify(services, kind, instance, options)
        standing = services.ledger.standing_order(run.run_id)
        if standing is not None:
            told = "another attempt of it, with the inputs and the configuration that its guard has written down"
            get_run_logger().info("%s: %s", run.label, told)
            return await _worked(run, standing, work)
        checked, order = await _check(run)
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
                missing = ", ".join(_without_version(run, checked))
                return Failed(message=f"There is no version to read of {missing}. Run that first.")
            case Admission.READY | Admission.WARNED | Admission.FORCED:
                return await _worked(run, order, work)


async def _identify(services: Services, kind: FlowKind, instance: str, options: Options) -> _Run:
    context = FlowRunContext.get()
    current = context.flow_run if context else None
    if current is None or current.deployment_id is None:
        raise NotThroughDeployment(f"{instance}.{kind}", "no deployment")
    flow = services.repository.flow_of_deployment(current.deployment_id)
    if flow is None or (flow.instance, flow.kind) != (instance, kind):
        whose = f"the deployment of {flow.instance}.{flow.kind}" if flow else "a deployment that bootstrap did not make"
        raise NotThroughDeployment(f"{instance}.{kind}", whose)
    first = current.run_count <= 1 and current.expected_start_time is not None
    due = plain_moment("when the run was due", current.expected_start_time) if first else None
    async with get_client() as client:
        clock = await server_clock(client)
    return _Run(services, RunId(current.id), flow, options, due, clock)


async def _check(run: _Run) -> tuple[GuardFinding, WorkOrder | None]:
    """Judge the run, and return what it is to work from, as it was judged; None where it has nothing to read.

    Whatever is applied meanwhile, the configuration of the judgement and of the work are one.
    """
    while True:
        checked = await check_upstream_freshness(run.flow.flow_id, run.clock.now(), run.services)
        facts, pins = checked.world[run.flow.flow_id], checked.report.pins
        names = {run.flow.instance, *(pin.instance for pin in pins)}
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
    report, facts = checked.report, checked.world[run.flow.flow_id]
    superfluous = run.due is not None and done_by(facts, run.due, run.options.as_parameters()) is not None
    admission = admit(facts, report, on_stale=run.on_stale, force=run.options.force, superfluous=superfluous)
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
    ledger, now = run.services.ledger, checked.report.checked_at
    ledger.request([run.flow.flow_id], parameters=run.options.as_parameters(), run_id=run.run_id, now=now)
    later = "It is asked for, and starts when its inputs are ready."
    if run.on_stale == "refresh":
        # The guard's own reading ends one step behind a tolerant edge.
        world = (await assess_upstream(run.services, run.flow.flow_id, now, all_ancestors=True)).world
        upstream = flows_to_refresh(checked.report, world)
        ledger.request(upstream, parameters={}, run_id=run.run_id, now=now)
        log_decisions(await start_due(run.services, upstream), get_run_logger())
        later = "Its upstream flows are asked for too, and it starts when they are ready."
    return Cancelled(name=BLOCKED, message=f"{checked.report.why}. {later}")


def _skipped(run: _Run, checked: GuardFinding) -> State[None]:
    confirmed = checked.world[run.flow.flow_id].completed
    assert confirmed is not None  # what made it a skip
    run.services.ledger.confirm(run.run_id, confirmed.run_id, run.clock.now())
    at = moment(confirmed.at, checked.report.checked_at)
    return Completed(
        name=SKIPPED,
        message=f"Its inputs and its configuration are those of run {short(confirmed.run_id)}, completed at {at}.",
    )


def _superfluous(run: _Run, checked: GuardFinding) -> State[None]:
    done = checked.world[run.flow.flow_id].completed
    assert done is not None  # what made it superfluous
    assert run.due is not None
    return Completed(name=SKIPPED, message=why_superfluous(done, run.due, checked.report.checked_at))


async def _worked(run: _Run, order: WorkOrder, work: Work) -> State[None]:
    def work_in_thread() -> Outcome:
        return work(run_context(run.services, run.flow, order, run_id=run.run_id))

    retry = run.flow.settings.schedule.retry_policy

    @task(name=run.flow.kind.value, persist_result=False, cache_policy=NO_CACHE)
    async def step() -> Outcome:
        return await asyncio.to_thread(work_in_thread)

    patient = step.with_options(retries=retry.max_retries, retry_delay_seconds=retry.backoff.total_seconds())
    try:
        outcome = await asyncio.to_thread(_record, run, await patient())
    except FORESEEN as error:  # its message says all that a person needs; anything else keeps its traceback
        return Failed(message=str(error))
    for event in outcome.events:
        with log_failure(f"the event {event.name}"):
            emit_instance_event(run.services.repository, run.flow, event)
    with log_failure("the summary"):
        await acreate_markdown_artifact(
            _shown(outcome), key=f"{run.label.replace('.', '-')}-outcome", description=f"What {run.label} left"
        )
    return Completed(message=outcome.message or _left(outcome))


def _record(run: _Run, outcome: Outcome) -> Outcome:
    """Write down what the run leaves, and return it."""
    with settled(run.services, run.flow, outcome) as left:
        run.services.ledger.record_outcome(run.run_id, left, run.clock.now())
    return left


def _without_version(run: _Run, checked: GuardFinding) -> list[str]:
    """Return the required inputs that were pinned to nothing: a forced or warned run can't work without them."""
    pinned = {pin.upstream for pin in checked.report.pins}
    missing = dict.fromkeys(e.upstream for e in run.flow.edges if e.required and e.upstream not in pinned)
    return [checked.world[flow_id].label if flow_id in checked.world else short(flow_id) for flow_id in missing]


def _shown(outcome: Outcome) -> str:
    """Return the Markdown of the artifact: the summary, then the pictures."""
    return "\n\n".join([outcome.summary, *(picture.markdown for picture in outcome.pictures)])


def _left(outcome: Outcome) -> str:
    if outcome.version is None:
        return "It leaves no version."
    rows = f", {outcome.row_count:,} rows" if outcome.row_count is not None else ""
    reach = f" up to {outcome.watermark}" if outcome.watermark else ""
    new = "" if outcome.found_new else ", nothing new"
    return f"{version_of(outcome.version)}{rows}{reach}{new}."
