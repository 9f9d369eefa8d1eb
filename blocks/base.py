"""What the blocks of all instances share: the words of their forms, and the way to and from a spec."""

from typing import Any, ClassVar, Literal

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl

from instances.schedules import Schedule
from instances.specs import ComponentSpec, DatasetSpec, Freshness, OnStale, UpstreamRef
from instances.values import Duration

# Prefect takes only http addresses for a block type's logo and documentation.
REPOSITORY = "optaic/optaic"


def logo(name: str) -> HttpUrl:
    """Return the address of one of the pictures in docs/logos."""
    return HttpUrl(f"https://raw.githubusercontent.com/{REPOSITORY}/main/docs/logos/{name}.svg")


def documentation(place: str) -> HttpUrl:
    """Return the address of a page in docs, or of a heading on one, like 'instances.md#stores'."""
    return HttpUrl(f"https://github.com/{REPOSITORY}/blob/main/docs/{place}")


class InstanceBlock(Block):
    """Base of the blocks: one block document describes one instance, under the same name."""

    instance_type: ClassVar[str]

    project: str = Field(default="default", description="The project that the instance belongs to; a tag in Prefect.")
    description: str = Field(default="", description="What the instance is for, in a sentence.")
    protect: bool = Field(default=False, description="Whether the instance must not be deleted.")

    def spec_fields(self) -> dict[str, Any]:
        """Return the fields of the spec that this block describes, all but its name and its parts."""
        own = type(self).model_fields.keys() - Block.model_fields.keys()
        return {name: getattr(self, name) for name in own} | {"type": self.instance_type}


class ComponentBlock(InstanceBlock):
    """Base of the blocks of pipelines, stores and accessors: a definition with its config."""

    instance_type: ClassVar[Literal["pipeline", "store", "accessor"]]

    definition: str = Field(
        description="The name of the definition: what `optaic definitions` lists for this kind.",
        examples=["sp500-sample"],
    )
    definition_version: int | None = Field(
        default=None, description="The version of the definition to pin; the newest one when left out."
    )
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="The parameters of the definition, checked against its schema. Never put a secret here.",
    )

    def to_spec(self, name: str) -> ComponentSpec:
        """Return what this block describes, under `name`. Raises pydantic's `ValidationError`."""
        return ComponentSpec.model_validate(self.spec_fields() | {"name": name})


class FlowBlock(InstanceBlock):
    """Base of the blocks of all instances that have flows."""

    upstream_refs: list[UpstreamRef] = Field(
        default_factory=list,
        description=(
            "The instances that this one reads: a list of {instance, flow, role, required, max_age}. "
            "Without max_age an upstream must be READY; with it a version of at most that age is enough."
        ),
        examples=[[{"instance": "prices", "role": "input"}]],
    )
    schedule: Schedule = Field(
        default_factory=Schedule,
        description="The clock of the flow; `manual` means none: with inputs, it then follows them.",
    )
    freshness: Freshness = Field(
        default_factory=Freshness, description="When the data counts as fresh; all that is set must be met."
    )
    on_stale: OnStale = Field(
        default="block",
        description="What a run does when an upstream is not READY: block, refresh the upstreams, or warn and go on.",
    )
    auto: bool | None = Field(
        default=None,
        description="Whether the flow is kept ready automatically; the default is yes, with inputs and no schedule.",
    )
    source_retry: Duration = Field(
        default="15m",
        validate_default=True,
        description="After how long a source that had nothing new is asked again, like 15m or 2h.",
    )
    work_pool: str | None = Field(
        default=None, description="The work pool that its runs go to; bootstrap's own when left out."
    )
    work_queue: str | None = Field(
        default=None, description="The queue of the work pool; bootstrap's own when left out."
    )
    job_variables: dict[str, Any] = Field(
        default_factory=dict, description="Job variables of its runs, on top of bootstrap's own."
    )
    concurrency: int = Field(default=1, ge=1, description="How many runs of a flow may be under way at once.")


def part_name(instance: str, type_: str) -> str:
    """Return the name of a part that was described in place, inside its dataset."""
    return f"{instance}-{type_}"


AnyInstanceSpec = ComponentSpec | DatasetSpec
