"""What the blocks of all instances share: the words of their forms, which are those of their specs."""

from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import HttpUrl
from pydantic.fields import FieldInfo

from instances.specification.schedules import Schedule
from instances.specification.specs import (
    DefinedSpec,
    FlowSettings,
    Freshness,
    InstanceSpec,
    OnStale,
    RunnableSpec,
    UpstreamRef,
)
from instances.specification.values import Duration, Spec

# Prefect takes only http addresses for a block type's logo and documentation.
REPOSITORY = "optaic/optaic"


def logo(name: str) -> HttpUrl:
    """Return the address of one of the pictures in docs/logos."""
    return HttpUrl(f"https://raw.githubusercontent.com/{REPOSITORY}/main/docs/logos/{name}.svg")


def documentation(place: str) -> HttpUrl:
    """Return the address of a page in docs, or of a heading on one, like 'instances.md#stores'."""
    return HttpUrl(f"https://github.com/{REPOSITORY}/blob/main/docs/{place}")


def like(spec: type[Spec], field: str) -> Any:
    """Return a block's field that is as a spec has it: its default, its words and its examples."""
    known = spec.model_fields[field]
    default: dict[str, Any] = {"default_factory": known.default_factory} if known.default_factory else {}
    if not known.is_required() and not default:
        default = {"default": known.default}
    return FieldInfo(**default, description=known.description, examples=known.examples, validate_default=True)


class InstanceBlock(Block):
    """Base of the blocks: one block document describes one instance, under the same name."""

    instance_type: ClassVar[str]

    project: str = like(InstanceSpec, "project")
    description: str = like(InstanceSpec, "description")
    protect: bool = like(InstanceSpec, "protect")


class DefinedBlock(InstanceBlock):
    """Base of the blocks of instances that name their definition themselves."""

    definition: str = like(DefinedSpec, "definition")
    definition_version: int | None = like(DefinedSpec, "definition_version")
    config: dict[str, Any] = like(DefinedSpec, "config")


class RunnableBlock(InstanceBlock):
    """Base of the blocks of all instances that have flows."""

    upstream_refs: list[UpstreamRef] = like(RunnableSpec, "upstream_refs")
    work_pool: str | None = like(RunnableSpec, "work_pool")
    work_queue: str | None = like(RunnableSpec, "work_queue")
    job_variables: dict[str, Any] = like(RunnableSpec, "job_variables")
    concurrency: int = like(RunnableSpec, "concurrency")


class OneFlowBlock(RunnableBlock):
    """Base of the blocks of all instances that have one flow."""

    schedule: Schedule = like(FlowSettings, "schedule")
    freshness: Freshness = like(FlowSettings, "freshness")
    on_stale: OnStale = like(FlowSettings, "on_stale")
    auto: bool | None = like(FlowSettings, "auto")
    source_retry: Duration = like(FlowSettings, "source_retry")
