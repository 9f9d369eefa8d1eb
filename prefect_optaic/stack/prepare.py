"""What servers need before instances can live on them; the same for embedded ones and for one's own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prefect_optaic.stack.errors import StepFailed, Unreachable
from prefect_optaic.stack.machine.processes import tail
from prefect_optaic.stack.platform_block import save_platform
from prefect_optaic.stack.progress import Progress
from prefect_optaic.stack.project import Project
from prefect_optaic.stack.servers.worker import POOL
from prefect_optaic.stack.target import Target, use

if TYPE_CHECKING:
    from blocks.platform import Platform


def prepare(target: Target, *, progress: Progress, deploy: bool = True) -> "Platform":
    """Migrate the database, register and save the blocks, look for the pool, deploy `prefect.yaml`.

    Each of them only as far as needed: a second call changes nothing. Returns the Platform block.
    Raises `Unreachable` or `StepFailed`.
    """
    with progress.step("extension database"):
        migrate(target)
    use(target)
    with progress.step("blocks") as step:
        platform, step.detail = prepare_blocks(target)
    with progress.step("work pool") as step:
        pool = ensure_pool(create=target.embedded)
        step.detail = f"{POOL!r} is there" if pool else f"there is none named {POOL!r}"
    if deploy and not pool:
        progress.note(
            f"nothing deployed: make the pool first (`prefect work-pool create {POOL} --type process`), run this again"
        )
    elif deploy:
        with progress.step("deployments") as step:
            step.detail = deploy_missing(target)
    return platform


def migrate(target: Target) -> None:
    """Bring the extension database to this code's version. Raises `Unreachable`."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError

    from instances.storage.migrations import upgrade

    assert target.database_url is not None
    engine = create_engine(target.database_url)
    try:
        upgrade(engine)
    except OperationalError as error:
        raise Unreachable("OPTAIC_DATABASE_URL", target.database_url, str(error.orig).strip()) from error
    finally:
        engine.dispose()


def database_answers(target: Target) -> bool:
    """Can the extension database be connected to?"""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError

    assert target.database_url is not None
    engine = create_engine(target.database_url, connect_args={"connect_timeout": 5})
    try:
        engine.connect().close()
    except OperationalError:
        return False
    finally:
        engine.dispose()
    return True


def prepare_blocks(target: Target) -> "tuple[Platform, str]":
    """Register the block types of `blocks`, and save the Platform block where it is missing or outdated.

    Returns the Platform block, and what became of it. Raises `Unreachable`.
    """
    return asyncio.run(_prepare_blocks(target))


def ensure_pool(*, create: bool) -> bool:
    """Say whether the work pool is there; make it, as a process pool, if asked to."""
    return asyncio.run(_ensure_pool(create=create))


def deploy_missing(target: Target) -> str:
    """Deploy what `prefect.yaml` names, unless all of it is there; returns what was done.

    Raises `StepFailed`, with the end of the log.
    """
    project = Project.current()
    names = project.deployments()
    if not names:
        return "no prefect.yaml"
    if asyncio.run(_deployed(names, project, embedded=target.embedded)) >= names:
        return "all there"
    log = target.home.log("deploy")
    log.parent.mkdir(parents=True, exist_ok=True)
    file = str(project.prefect_yaml(target.home))
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", file]
    with log.open("wb") as output:
        # PWD is what `{{ $PWD }}` in prefect.yaml is replaced by.
        env = {**os.environ, **target.environment(), "PWD": str(project.folder)}
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=project.folder, env=env
        )
    if done.returncode:
        raise StepFailed("`prefect deploy --all`", done.returncode, log, tail(log))
    return ", ".join(sorted(names))


async def _prepare_blocks(target: Target) -> "tuple[Platform, str]":
    from prefect.blocks.core import Block
    from prefect.client.orchestration import get_client

    import blocks

    await _require(target)
    async with get_client() as client:
        # What `prefect block register -m blocks` does.
        for block in vars(blocks).values():
            if Block.is_block_class(block):
                await block.aregister_type_and_schema(client=client)
        return await save_platform(target, client)


async def _require(target: Target) -> None:
    from flows.integrations.prefect_api import PrefectApi, PrefectRefusal, PrefectSilent

    try:
        async with PrefectApi() as prefect:
            await prefect.check_health()
    except (PrefectSilent, PrefectRefusal) as error:
        raise Unreachable("PREFECT_API_URL", target.api_url, error.why) from error


async def _ensure_pool(*, create: bool) -> bool:
    from flows.integrations.prefect_api import PrefectApi

    async with PrefectApi() as prefect:
        if await prefect.has_work_pool(POOL):
            return True
        if create:
            from prefect.workers.process import ProcessWorker

            template = ProcessWorker.get_default_base_job_template()
            await prefect.create_work_pool(POOL, ProcessWorker.type, template)
    return create


async def _deployed(names: set[str], project: Project, *, embedded: bool) -> set[str]:
    """Return the names of the deployments that are there, and serve this project."""
    from flows.integrations.prefect_api import PrefectApi

    async with PrefectApi() as prefect:
        return {
            found["name"]
            for found in await prefect.deployments_named(names)
            if all(project.works_in(folder, embedded=embedded) for folder in _folders(found))
        }


def _folders(deployment: Mapping[str, Any]) -> list[str]:
    """Return the folders in which a deployment's runs work, where it names any."""
    step = "prefect.deployments.steps.set_working_directory"
    return [found[step]["directory"] for found in deployment["pull_steps"] or [] if step in found]
