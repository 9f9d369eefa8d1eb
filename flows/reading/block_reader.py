"""Instance blocks: what the block documents on a Prefect server describe, as specs.

They are read as JSON, in whole lists: a thousand instances take a few dozen requests, and no block is imported.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from definitions.known_words import unknown_word
from flows.integrations.prefect_api import Json, PrefectApi
from instances.documents.earlier_forms import as_todays_form_says
from instances.documents.guide_form import in_our_form
from instances.documents.guide_words import GUIDE_WORDS
from instances.documents.spec_errors import spec_problems
from instances.errors import OptaicError, Problem
from instances.specification.specs import AnySpec, ComponentSpec, spec_adapter
from instances.specification.types import DEFAULT_PARTS, TYPES, followed, in_place, part_name
from instances.world.wording import a
from research.errors import shown


def block_slug(type_: str) -> str:
    """Return the slug of the block type for instances of a type."""
    return f"optaic-{type_.replace('_', '-')}-instance"


_PLUGIN = {"definition", "definition_version", "config"}  # what of a part's fields says what it does
PREFECTS_OWN = "block_type_slug"  # a key that Prefect adds to what is nested
TYPE_WITH_SLUG: Mapping[str, str] = {block_slug(type_): type_ for type_ in TYPES}


class BlocksNotRegistered(OptaicError):
    """The Prefect server does not know the block types of this project."""

    def __init__(self, block_type: str) -> None:
        super().__init__(
            f"this Prefect server has no block type {block_type!r}. "
            "Run `optaic up`, or `prefect block register -m blocks` against a server of your own."
        )


@dataclass(frozen=True)
class SavedBlock:
    """One block document with the spec that it describes; `parts` are those described in place.

    `unsaid` are the fields of parts that it says nothing of: those are the default ones. `note` says what of it is read
    otherwise than it is written, in units of before.
    """

    document_id: UUID
    spec: AnySpec
    block_name: str  # of its block type, as people see it
    parts: tuple[ComponentSpec, ...] = ()
    unsaid: tuple[str, ...] = ()
    note: str | None = None

    def lost(self, rows: Mapping[str, Json]) -> tuple[str, ...]:
        """Return the fields of `unsaid` whose parts were others when it was applied, as the `rows` have them."""
        before = rows.get(self.spec.name, {})
        if before.get("type") != self.spec.type:
            return ()
        now = {part.name: part.model_dump(include=_PLUGIN) for part in self.parts}
        applied = {field: rows.get(str(before.get(field)), {}) for field in self.unsaid}
        return tuple(
            field
            for field, part in applied.items()
            if before.get(field) != (name := getattr(self.spec, field)) or not now[name].items() <= part.items()
        )

    def renamed(self, name: str, names: Mapping[str, str], asked: Collection[str]) -> "SavedBlock":
        """Return the same block with the new names of what it refers to, and with its own where it has one."""
        spec, new = followed(self.spec, names), names.get(name)
        if new is None:
            return replace(self, spec=spec)
        inside = in_place(self.spec, {part.name: part for part in self.parts})
        own = {field: part.model_copy(update={"name": part_name(new, part.type)}) for field, part in inside.items()}
        fields = {field: part.name for field, part in own.items()} | ({"renamed_from": name} if new in asked else {})
        return replace(self, spec=spec.model_copy(update={"name": new, **fields}), parts=tuple(own.values()))


@dataclass(frozen=True)
class UnreadableBlock:
    """One block document that describes nothing valid, and why; `lost` are the fields of parts that it has not."""

    document_id: UUID
    type: str
    block_name: str  # of its block type, as people see it
    problem: str
    lost: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"its {self.block_name} block can't be read: {self.problem}"


@dataclass(frozen=True)
class SavedBlocks:
    """All instance blocks of a Prefect server, by name; of two with one name the first."""

    by_name: Mapping[str, SavedBlock]
    unreadable: Mapping[str, UnreadableBlock] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @property
    def names(self) -> set[str]:
        """The names of all instances that have a block or are described inside one, readable or not."""
        return {spec.name for spec in self.specs} | self.unreadable.keys()

    @property
    def ids(self) -> dict[str, UUID]:
        """The ids of all block documents, by name."""
        readable = {name: saved.document_id for name, saved in self.by_name.items()}
        return readable | {name: saved.document_id for name, saved in self.unreadable.items()}

    @property
    def types(self) -> dict[str, str]:
        """The types of the instances that have a block, by name."""
        readable = {name: saved.spec.type for name, saved in self.by_name.items()}
        return readable | {name: saved.type for name, saved in self.unreadable.items()}

    @property
    def specs(self) -> tuple[AnySpec, ...]:
        return self.merged(())

    def merged(self, specs: Sequence[AnySpec], *, without: Collection[str] = ()) -> tuple[AnySpec, ...]:
        """Return what the blocks would describe once `specs` are saved; blocks of the names `without` don't count."""
        names = {spec.name for spec in specs} | set(without)
        kept = [saved for name, saved in self.by_name.items() if name not in names]
        return (*specs, *(described for saved in kept for described in (*saved.parts, saved.spec)))

    def renamed(self, names: Mapping[str, str], asked: Collection[str]) -> "SavedBlocks":
        """Return what the blocks are once these instances are renamed: all that refers to them follows.

        One that has a block under its new name already is described by that. `asked` are the new names of those whose
        description says so itself.
        """
        there = self.ids.keys()
        found = {
            names.get(name, name): saved.renamed(name, names, asked)
            for name, saved in self.by_name.items()
            if names.get(name) not in there
        }
        unreadable = {name: saved for name, saved in self.unreadable.items() if name not in names}
        return SavedBlocks(found, unreadable, self.problems)

    def beside(self, rows: Mapping[str, Json]) -> "SavedBlocks":
        """Return the same beside the rows of what was applied: a part that a block says nothing of, and had, is lost.

        Prefect takes the reference to a block that is deleted out of those that refer to it.
        """
        lost = {name: fields for name, saved in self.by_name.items() if (fields := saved.lost(rows))}
        unreadable = dict(self.unreadable)
        for name, fields in lost.items():
            saved, problem = self.by_name[name], "; ".join(f"{field}: is missing" for field in fields)
            unreadable[name] = UnreadableBlock(saved.document_id, saved.spec.type, saved.block_name, problem, fields)
        return replace(
            self, by_name={n: saved for n, saved in self.by_name.items() if n not in lost}, unreadable=unreadable
        )


async def read_blocks(prefect: PrefectApi) -> SavedBlocks:
    """Return what the instance blocks describe. Raises `BlocksNotRegistered`."""
    known = await prefect.block_types(TYPE_WITH_SLUG)
    if missing := TYPE_WITH_SLUG.keys() - {each["slug"] for each in known}:
        raise BlocksNotRegistered(min(missing))
    return described(await prefect.block_documents(TYPE_WITH_SLUG))


def described(documents: Sequence[Json]) -> SavedBlocks:
    """Return what block documents describe."""
    problems: list[Problem] = []
    found: dict[str, SavedBlock] = {}
    unreadable: dict[str, UnreadableBlock] = {}
    for document in documents:
        document_id, name = UUID(document["id"]), str(document["name"])
        own_type = TYPE_WITH_SLUG[document["block_type"]["slug"]]
        if name in found or name in unreadable:
            other = found[name].spec.type if name in found else unreadable[name].type
            told = f"{name}: is the name of {a(other)} and of {a(own_type)} block; delete one of them"
            problems.append(Problem(name, told))
            continue
        block_name = document["block_type"]["name"]
        form = document["block_schema"]["fields"]
        reading = as_todays_form_says(own_type, document["data"], form)
        try:
            spec, parts = specs_of(own_type, name, reading.data, _referred(document), form)
        except BlockMistakes as error:
            lost = tuple(part for part in TYPES[own_type].parts if part not in document["data"])
            unreadable[name] = UnreadableBlock(document_id, own_type, block_name, str(error), lost)
        else:
            unsaid = tuple(part for part in TYPES[own_type].parts if part not in document["data"])
            found[name] = SavedBlock(document_id, spec, block_name, parts, unsaid, reading.note)
    return SavedBlocks(found, unreadable, tuple(problems))


def _referred(document: Json) -> dict[str, str]:
    """Return, by field, the names of the blocks that the nested fields of a document refer to."""
    references = {name: each["block_document"] for name, each in document["block_document_references"].items()}
    return {name: each["name"] for name, each in references.items() if not each["is_anonymous"]}


class BlockMistakes(OptaicError):
    """What keeps the data of a block from being a spec: each mistake with its place."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))


def specs_of(
    type_: str, name: str, data: Json, part_names: Mapping[str, str], form: Mapping[str, Any] = MappingProxyType({})
) -> tuple[AnySpec, tuple[ComponentSpec, ...]]:
    """Return what the data of a block describes under a name, and the parts that it describes in place.

    `part_names` has, for each field of a part, the name of the block that it refers to; a part without one was
    described in place, and is named after this instance. One that nothing is said of is the default one, in the
    instance's own project. `form` is the JSON schema under which the block was saved: what was a field then, and is
    none now, counts for nothing. Raises `BlockMistakes`.
    """
    data, told = _in_our_words(type_, data)
    types = TYPES[type_].parts
    shared = {"project": data["project"]} if "project" in data else {}
    data = {field: {**shared, **DEFAULT_PARTS[field]} for field in types if field in DEFAULT_PARTS} | dict(data)
    names = {at: part_names.get(at) or part_name(name, part_type) for at, part_type in types.items()}
    spec, mistakes = _parsed(type_, name, {**data, **names})
    mistakes += told + _unknown(type_, data, form)
    mistakes += [f"{at}: is missing" for at in types if at not in data]
    parts: list[ComponentSpec] = []
    for at, part_type in types.items():
        if at in data:
            inner, told = _in_our_words(part_type, data[at]) if isinstance(data[at], Mapping) else (data[at], [])
            part, wrong = _parsed(part_type, names[at], inner)
            wrong += told
            if at not in part_names:  # else its own document tells of it
                wrong += _unknown(part_type, inner, _form_inside(form, part_type))
            mistakes += [f"{at}{'.' if ': ' in each else ': '}{each}" for each in wrong]
            if isinstance(part, ComponentSpec) and at not in part_names:
                parts.append(part)
    if spec is None or mistakes:
        raise BlockMistakes(mistakes)
    return spec, tuple(parts)


def _in_our_words(type_: str, data: Json) -> tuple[Json, list[str]]:
    """Return data that may be in the guide's form in ours, and what of it can't be meant."""
    found = in_our_form(type_, data)
    return found.fields, [f"{place}: {what}" for place, what in found.problems]


def _form_inside(form: Mapping[str, Any], part_type: str) -> Mapping[str, Any]:
    """Return the form of a part that is described in place, as that of its instance has it."""
    found: Mapping[str, Any] = form.get("definitions", {}).get(f"{part_type.title()}Instance", {})
    return found


def _unknown(type_: str, data: object, form: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the fields of some data that there are not, and were not when it was saved."""
    known = {*TYPES[type_].spec.model_fields} - {"name", "type"}
    before = {*form.get("properties", {}), *TYPES[type_].parts, PREFECTS_OWN}
    fields = data if isinstance(data, Mapping) else {}
    return [f"{word}: {unknown_word(word, known, GUIDE_WORDS[type_])}" for word in fields if word not in known | before]


def _parsed(type_: str, name: str, data: object) -> tuple[AnySpec | None, list[str]]:
    """Return the spec that data describes, and what is wrong with it. What is no field is left out."""
    if not isinstance(data, Mapping):
        return None, [f"must be a mapping of fields, not {shown(data)}"]
    fields = {field: value for field, value in data.items() if field in TYPES[type_].spec.model_fields}
    try:
        return spec_adapter.validate_python(fields | {"name": name, "type": type_}), []
    except ValidationError as error:
        return None, [": ".join(filter(None, each)) for each in spec_problems(error)]
