"""What the blocks of all instances share: the words of their forms, which are those of their specs."""

import os
from abc import ABC
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import HttpUrl, ValidationError

from blocks.errors import InvalidDocsUrl
from instances.specification.fields import InstanceFields


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


class InstanceBlock(Block, InstanceFields, ABC):
    """Base of the blocks: one block document describes one instance, under the same name.

    A block inherits its fields from the groups that its spec is made of. Those of the last group stand first in
    the form, so the group with what is required comes last. It is abstract: Prefect would offer it in its catalogue
    otherwise.
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
