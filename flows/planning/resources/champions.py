"""The champion on record of each model: that which MLflow's alias names, also when a promotion was cut short."""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence

from definitions.contract import FlowKind
from flows.integrations.mlflow_client import TrackingError
from flows.integrations.services import Services
from flows.planning.resources.resource import DesiredState, Proposal, Refusal, StepsRefused
from flows.reading.run_reader import PrefectReader
from flows.reading.server_clock import server_now
from flows.reading.world_reader import read_world
from flows.running.champion import repair_champion
from instances.errors import OptaicError
from instances.plans.plan import Step, compare
from instances.specification.applied import FlowRecord
from instances.specification.specs import ModelSpec
from instances.world.facts import RunFact


class Champions:
    """MLflow's alias wins: a person may have set it there, or a process have died before it was recorded."""

    kind = "champion"

    async def plan(self, state: DesiredState, services: Services) -> Proposal:
        models = [instance.spec.name for instance in state.instances if isinstance(instance.spec, ModelSpec)]
        trained = await _trained(models, state.record.flows, services) if models else {}
        if not trained:
            return Proposal(())
        try:
            champions = await asyncio.to_thread(lambda: services.tracking.champions())
        except OptaicError:
            return Proposal(())  # said of the experiments already
        champions = {name: champions[of] for name in trained if (of := state.kept_as[name]) in champions}
        recorded = {name: run.provenance.version for name, run in trained.items() if run.provenance is not None}
        wrong = [name for name, version in recorded.items() if version != champions.get(name)]
        return Proposal(
            compare(
                self.kind,
                {name: {"version": champions.get(name)} for name in wrong},
                {name: {"version": recorded[name]} for name in wrong},
            )
        )

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, services: Services, done: Callable[[Step], None]
    ) -> None:
        models = [step.name for step in steps]
        trained = await _trained(models, services.repository.flows(instances=models), services)
        refusals: list[Refusal] = []
        for step in steps:
            now = await server_now(services.prefect)
            try:
                model, run_id = state.kept_as[step.name], trained[step.name].run_id
                await asyncio.to_thread(repair_champion, services, model, run_id, now)
            except TrackingError as error:  # of this model: the others go on
                refusals.append(Refusal(step, str(error), by="MLflow"))
            else:
                done(step)
        if refusals:
            raise StepsRefused(refusals)


async def _trained(models: Sequence[str], on_record: Iterable[FlowRecord], services: Services) -> Mapping[str, RunFact]:
    """Return the last completed training of each model that has one on record."""
    named = set(models)
    flows = {
        flow.flow_id: flow.instance for flow in on_record if flow.kind is FlowKind.TRAIN and flow.instance in named
    }
    if not flows:
        return {}
    reader, now = PrefectReader(services.prefect), dt.datetime.now(dt.UTC)
    world = await read_world(services.repository, services.ledger, reader, list(flows), now=now)
    completed = {name: world[flow_id].completed for flow_id, name in flows.items() if flow_id in world}
    return {
        name: run
        for name, run in completed.items()
        if run is not None and run.provenance is not None and run.provenance.recorded
    }
