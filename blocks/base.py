"""What the blocks of all instances share: the words of their forms, and the way to and from a spec."""

from collections.abc import Mapping
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import HttpUrl

from instances.specification.fields import InstanceFields
from instances.specification.specs import AnySpec, ComponentSpec, spec_adapter

# Prefect takes only http addresses for a block type's logo and documentation.
REPOSITORY = "optaic/optaic"


def logo(name: str) -> HttpUrl:
    """Return the address of one of the pictures in docs/logos."""
    return HttpUrl(f"https://raw.githubusercontent.com/{REPOSITORY}/main/docs/logos/{name}.svg")


def documentation(place: str) -> HttpUrl:
    """Return the address of a page in docs, or of a heading on one, like 'instances.md#stores'."""
    return HttpUrl(f"https://github.com/{REPOSITORY}/blob/main/docs/{place}")


class InstanceBlock(Block, InstanceFields):
    """Base of the blocks: one block document describes one instance, under the same name.

    A block inherits its fields from the groups that its spec is made of. Those of the last group stand first in
    the form, so the group with what is required comes last.
    """

    instance_type: ClassVar[str]

    def __init_subclass__(cls, **settings: Any) -> None:
        """Derive from the type what Prefect shows of its block: names, logo and documentation."""
        super().__init_subclass__(**settings)
        kind = cls.instance_type.replace("_", "-")
        cls._block_type_name = f"{kind.replace('-', ' ').title()} Instance"
        cls._block_type_slug = f"optaic-{kind}-instance"
        cls._logo_url = logo(kind)
        cls._documentation_url = documentation(f"instances.md#{kind}s")

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


def part_name(instance: str, type_: str) -> str:
    """Return the name of a part that was described in place, inside its dataset."""
    return f"{instance}-{type_}"
