"""Bootstrap: makes the rows, edges and deployments match the instance blocks."""

from dataclasses import dataclass
from uuid import UUID

from prefect import flow, get_client, get_run_logger
from prefect.artifacts import acreate_table_artifact
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound

from blocks.documents import read_blocks
from flows.deployments import DesiredDeployment, Storage, desired_deployment, write_deployment
from flows.prefect_reader import PrefectReader
from flows.services import Services, load_platform, opened
from instances.errors import OptaicError
from instances.repository import FlowRecord
from instances.resolution import resolve
from instances.specs import RunnableSpec

BOOTSTRAP = "bootstrap"


class NotDeployed(OptaicError):
    """Bootstrap's own deployment is not there, so nobody knows where flows find their code."""

    def __init__(self) -> None:
        super().__init__(
            f"there is no deployment '{BOOTSTRAP}/{BOOTSTRAP}' on this Prefect server, from which the flows of "
            "instances take their code and their work pool. Run `prefect deploy --all` in the project's folder."
        )


@dataclass(frozen=True)
class Bootstrapped:
    """The flows whose deployments bootstrap made, changed, and left as they were."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


@flow(name=BOOTSTRAP, persist_result=False)
async def bootstrap() -> Bootstrapped:
    """Make or update the rows, edges and deployments of all instances that blocks describe.

    Refuses before it writes: all problems are reported together.
    """
    async with get_client() as client:
        storage = await _storage(client)
        with opened(await load_platform()) as services:
            result = await match_blocks(client, services, storage)
    await _tell(result)
    return result


async def _storage(client: PrefectClient) -> Storage:
    context = FlowRunContext.get()
    own = context.flow_run.deployment_id if context and context.flow_run else None
    try:
        if own is not None:
            return Storage.of(await client.read_deployment(own))
        return Storage.of(await client.read_deployment_by_name(f"{BOOTSTRAP}/{BOOTSTRAP}"))
    except ObjectNotFound as error:
        raise NotDeployed from error


async def match_blocks(client: PrefectClient, services: Services, storage: Storage) -> Bootstrapped:
    """Make the rows, edges and deployments match the blocks; the deployments run where `storage` says.

    Raises `InvalidSpec` with every problem found, before anything is written.
    """
    blocks = await read_blocks(client)
    instances = resolve(blocks.specs, services.registry)
    services.repository.record_definitions(i.definition for i in instances if i.definition is not None)
    services.repository.save(instances)
    specs = {i.spec.name: i.spec for i in instances if isinstance(i.spec, RunnableSpec)}
    flows = services.repository.flows(instances=specs.keys())
    existing = await PrefectReader(client).deployments({f.deployment_id for f in flows if f.deployment_id})
    outcome: dict[str, list[str]] = {"created": [], "updated": [], "unchanged": []}
    for flow_record in flows:
        desired = desired_deployment(flow_record, specs[flow_record.instance], storage)
        found = existing.get(flow_record.deployment_id) if flow_record.deployment_id else None
        done = await _deploy(client, services, flow_record, desired, found)
        outcome[done].append(f"{flow_record.instance}.{flow_record.kind}")
    return Bootstrapped(**{how: tuple(names) for how, names in outcome.items()})


async def _deploy(
    client: PrefectClient,
    services: Services,
    flow_record: FlowRecord,
    desired: DesiredDeployment,
    existing: DeploymentResponse | None,
) -> str:
    content_hash = desired.content_hash
    if existing is not None and flow_record.deployment_hash == content_hash:
        return "unchanged"
    flow_id: UUID = existing.flow_id if existing else await client.create_flow_from_name(desired.flow_name)
    deployment_id = await write_deployment(client, desired, existing, flow_id)
    services.repository.set_deployment(flow_record.flow_id, deployment_id, content_hash)
    return "updated" if existing else "created"


async def _tell(result: Bootstrapped) -> None:
    counts = ", ".join(f"{len(names)} {how}" for how, names in vars(result).items())
    get_run_logger().info("deployments: %s", counts)
    table = [{"flow": name, "deployment": how} for how, names in vars(result).items() for name in names]
    await acreate_table_artifact(
        table=table or [{"flow": "none"}], key="bootstrap", description=f"Deployments: {counts}."
    )
