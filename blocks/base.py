"""What the blocks of all instances share: the words of their forms, which are those of their specs."""

import os
from abc import ABC
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self
from uuid import UUID

from prefect.blocks.core import Block
from prefect.client.schemas.objects import BlockDocument
from pydantic import HttpUrl, ValidationError, model_validator

from blocks.errors import InvalidDocsUrl
from definitions.errors import DefinitionError
from definitions.known_words import unknown_word
from instances.documents.guide_form import in_our_form
from instances.documents.guide_words import GUIDE_WORDS
from instances.documents.spec_errors import problem_texts
from instances.errors import InvalidSpec
from instances.specification.fields import InstanceFields
from instances.specification.plugins import configured
from instances.specification.specs import DefinedSpec, spec_adapter
from instances.specification.types import TYPES, part_name

PREFECTS_OWN = "block_type_slug"  # a key that Prefect adds to what is nested


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


class OurBlock(Block, ABC):
    """Base of all our blocks: a field that there is not is refused, where Prefect would save it without a word."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, fields: Any) -> Any:
        if not isinstance(fields, Mapping):
            return fields
        known, said = cls.model_fields, cls._in_our_words(fields)
        for word in said:
            if word not in known and word != PREFECTS_OWN:
                raise ValueError(f"{word}: {unknown_word(word, known, cls._guide_words())}")
        return said

    @classmethod
    def _in_our_words(cls, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return fields

    @classmethod
    def _guide_words(cls) -> Mapping[str, str]:
        return {}

    @classmethod
    def _from_block_document(cls, block_document: BlockDocument) -> Self:
        """Load a block without those fields that it had when it was saved, and that there are no more."""
        form = block_document.block_schema.fields if block_document.block_schema is not None else {}
        before = form.get("properties", {}).keys() - cls.model_fields.keys()
        data = {name: value for name, value in block_document.data.items() if name not in before}
        return super()._from_block_document(block_document.model_copy(update={"data": data}))


class InstanceBlock(OurBlock, InstanceFields, ABC):
    """Base of the blocks: one block document describes one instance, under the same name.

    A block inherits its fields from the groups that its spec is made of. Those of the last group stand first in
    the form, so the group with what is required comes last. It is abstract: Prefect would offer it in its catalogue
    otherwise.
    """

    instance_type: ClassVar[str]

    @classmethod
    def _in_our_words(cls, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        found = in_our_form(cls.instance_type, fields)
        if found.problems:
            raise ValueError("; ".join(f"{place}: {what}" for place, what in found.problems))
        return found.fields

    @classmethod
    def _guide_words(cls) -> Mapping[str, str]:
        return GUIDE_WORDS[cls.instance_type]

    def __init_subclass__(cls, **settings: Any) -> None:
        """Derive from the type what Prefect shows of its block: names, logo and documentation."""
        super().__init_subclass__(**settings)
        kind = cls.instance_type.replace("_", "-")
        cls._block_type_name = f"{kind.replace('-', ' ').title()} Instance"
        cls._block_type_slug = f"optaic-{kind}-instance"
        cls._logo_url = logo(kind)
        cls._documentation_url = documentation(f"instances.md#{kind}s")

    async def _save(self, name: str | None = None, *args: Any, **settings: Any) -> UUID:
        self._check(name)
        return await super()._save(name, *args, **settings)

    def _save_sync(self, name: str | None = None, *args: Any, **settings: Any) -> UUID:
        self._check(name)
        return super()._save_sync(name, *args, **settings)

    def _check(self, name: str | None) -> None:
        """Raise `InvalidSpec` for what no plan would take: a name, a definition that is not installed, its config.

        What other instances it reads is for the plan to check, which knows them.
        """
        under = name or self._block_document_name
        if under is not None and (problems := list(self.problems(under))):
            raise InvalidSpec(problems)

    def problems(self, name: str) -> Iterator[str]:
        """Yield what is wrong with the instance that this block, and those inside it, would describe under a name."""
        instance_type = TYPES[self.instance_type]
        parts = {at: part_name(name, part) for at, part in instance_type.parts.items()}
        own = set(instance_type.spec.model_fields) - {"name", "type", *parts}
        data = self.model_dump(mode="json", include=own)
        try:
            spec = spec_adapter.validate_python({**data, **parts, "name": name, "type": self.instance_type})
            if isinstance(spec, DefinedSpec):
                from definitions.registry import default_registry

                configured(spec, default_registry())
        except ValidationError as error:
            yield from problem_texts(name, error)
        except DefinitionError as error:
            yield f"{name}: {error}"
        for at, inside in parts.items():
            part = getattr(self, at)
            if isinstance(part, InstanceBlock):
                yield from part.problems(inside)
