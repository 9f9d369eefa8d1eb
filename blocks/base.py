"""What the blocks of all instances share: the words of their forms, and the way to and from a spec."""

import os
from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import HttpUrl, ValidationError
from pydantic.fields import FieldInfo

from blocks.errors import InvalidDocsUrl
from instances.specification.schedules import Schedule
from instances.specification.specs import (
    AnySpec,
    ComponentSpec,
    DefinedSpec,
    FlowSettings,
    Freshness,
    InstanceSpec,
    OnStale,
    RunnableSpec,
    UpstreamRef,
    spec_adapter,
)
from instances.specification.values import Duration, Spec


def logo(name: str) -> HttpUrl | None:
    """Return the address of one of the pictures in docs/logos, where docs is published."""
    return _published(f"logos/{name}.svg")


def documentation(place: str) -> HttpUrl | None:
    """Return the address of a page or heading in docs, like 'instances.md#stores', where docs is published."""
    return _published(place)


def _published(place: str) -> HttpUrl | None:
    """Return the address of a file in docs under OPTAIC_DOCS_URL, or none: Prefect takes http addresses alone."""
    address = os.environ.get("OPTAIC_DOCS_URL")
    if not address:
        return None  # the Prefect UI shows a neutral picture, and no link
    try:
        return HttpUrl(f"{address.rstrip('/')}/{place}")
    except ValidationError as error:
        raise InvalidDocsUrl(address) from error


def like(spec: type[Spec], field: str) -> Any:
    """Return a block's field that is as a spec has it: its default, its words and its examples."""
    known = spec.model_fields[field]
    default: dict[str, Any] = {"default_factory": known.default_factory} if known.default_factory else {}
    if not known.is_required() and not default:
        default = {"default": known.default}
    return FieldInfo(**default, description=known.description, examples=known.examples, validate_default=True)


class InstanceBlock(Block, ABC):
    """Base of the blocks: one block document describes one instance, under the same name.

    This one and the other bases are abstract: Prefect would offer them in its catalogue otherwise.
    """

    instance_type: ClassVar[str]

    project: str = like(InstanceSpec, "project")
    description: str = like(InstanceSpec, "description")
    protect: bool = like(InstanceSpec, "protect")

    def spec_fields(self) -> dict[str, Any]:
        """Return the fields of the spec that this block describes, all but its name and its parts."""
        own = type(self).model_fields.keys() - Block.model_fields.keys()
        return {name: getattr(self, name) for name in own} | {"type": self.instance_type}

    def to_specs(self, name: str, part_names: Mapping[str, str | None]) -> tuple[AnySpec, tuple[ComponentSpec, ...]]:
        """Return what this block describes, under `name`, and the parts that it describes in place.

        `part_names` has, for each field of a part, the name of the block it refers to; a part without a
        name of its own was described in place, and is named after this instance.
        Raises pydantic's `ValidationError`.
        """
        return spec_adapter.validate_python(self.spec_fields() | {"name": name}), ()


class DefinedBlock(InstanceBlock, ABC):
    """Base of the blocks of instances that name their definition themselves."""

    definition: str = like(DefinedSpec, "definition")
    definition_version: int | None = like(DefinedSpec, "definition_version")
    config: dict[str, Any] = like(DefinedSpec, "config")


class RunnableBlock(InstanceBlock, ABC):
    """Base of the blocks of all instances that have flows."""

    upstream_refs: list[UpstreamRef] = like(RunnableSpec, "upstream_refs")
    work_pool: str | None = like(RunnableSpec, "work_pool")
    work_queue: str | None = like(RunnableSpec, "work_queue")
    job_variables: dict[str, Any] = like(RunnableSpec, "job_variables")
    concurrency: int = like(RunnableSpec, "concurrency")


class OneFlowBlock(RunnableBlock, ABC):
    """Base of the blocks of all instances that have one flow."""

    schedule: Schedule = like(FlowSettings, "schedule")
    freshness: Freshness = like(FlowSettings, "freshness")
    on_stale: OnStale = like(FlowSettings, "on_stale")
    auto: bool | None = like(FlowSettings, "auto")
    source_retry: Duration = like(FlowSettings, "source_retry")


def part_name(instance: str, type_: str) -> str:
    """Return the name of a part that was described in place, inside its dataset."""
    return f"{instance}-{type_}"
