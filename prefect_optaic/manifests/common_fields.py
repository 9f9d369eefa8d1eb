"""Common fields: what a manifest says once for many instances, its `project` and its `defaults`.

    project: many
    defaults:
      on_stale: refresh                 # of every instance that has such a field
      signal:                           # of signals, before what stands above
        upstream_refs: [{instance: prices}]

What an entry says itself comes before both. Each field is taken whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from instances.documents.spec_errors import spec_problems
from instances.specification.specs import spec_adapter
from instances.specification.types import PARTS, TYPES
from prefect_optaic.manifests.manifest_files import Document
from prefect_optaic.manifests.references import refers
from research.errors import did_you_mean, shown

_OWN = {"name", "type"}  # what no two instances have in common, or what decides on the fields
_Key = tuple[str, str]  # type or '', field


@dataclass(frozen=True)
class CommonFields:
    """The fields that go for the entries of one file; `wrong` are those whose values are told of already."""

    values: Mapping[_Key, Any] = field(default_factory=dict)
    wrong: frozenset[_Key] = frozenset()

    @property
    def project(self) -> str | None:
        """The project of all entries that say none themselves, where it can be one."""
        found = self.values.get(("", "project"))
        return found if isinstance(found, str) and ("", "project") not in self.wrong else None

    def under(self, entry: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
        """Return an entry with what goes for it, and the fields of it whose values are told of already."""
        type_ = entry.get("type")
        if not isinstance(type_, str) or type_ not in TYPES:
            return dict(entry), frozenset()
        keys = {
            name: (of, name)
            for of in ("", type_)
            for _, name in self._keys(of)
            if name in TYPES[type_].spec.model_fields
        }
        taken = {name: key for name, key in keys.items() if name not in entry}
        fields = {name: self.values[key] for name, key in taken.items()}
        return dict(entry) | fields, frozenset(name for name, key in taken.items() if key in self.wrong)

    def _keys(self, type_: str) -> Iterator[_Key]:
        yield from (key for key in self.values if key[0] == type_)


def common_fields(documents: Sequence[Document]) -> tuple[tuple[CommonFields, ...], tuple[str, ...]]:
    """Return what goes for the entries of each document, and what is wrong with it.

    What a document does not say is that of the others, which must agree on it then.
    """
    said = [_said(document) for document in documents]
    problems = [f"{document.file}: {problem}" for document in documents for problem in _problems(document)]
    wrong = frozenset(key for own in said for key, value in own.items() if list(_wrong_value(key, value)))
    found: list[CommonFields] = []
    for document, own in zip(documents, said, strict=True):
        values = dict(own)
        for key in {key: None for other in said for key in other if key not in own}:
            sources = [(other, each[key]) for other, each in zip(documents, said, strict=True) if key in each]
            values[key] = sources[0][1]
            odd = next((source for source in sources if source[1] != sources[0][1]), None)
            if odd is not None and document.instances:
                problems.append(
                    f"{document.file}: {_place(key)}: {sources[0][0].file} says {shown(sources[0][1])} and "
                    f"{odd[0].file} says {shown(odd[1])}: say here which it is"
                )
        found.append(CommonFields(values, wrong))
    return tuple(found), tuple(problems)


def _said(document: Document) -> dict[_Key, Any]:
    """Return, of what a document says for all, what could be meant."""
    project = document.content.get("project")
    defaults = document.content.get("defaults")
    said: dict[_Key, Any] = {("", "project"): project} if project is not None else {}
    for name, value in defaults.items() if isinstance(defaults, dict) else ():
        if name not in TYPES:
            said.setdefault(("", str(name)), value)
        elif isinstance(value, dict):
            said |= {(name, str(own)): each for own, each in value.items()}
    return said


def _problems(document: Document) -> Iterator[str]:
    defaults = document.content.get("defaults", {})
    if not isinstance(defaults, dict):
        yield f"defaults: must be a mapping of fields, not {shown(defaults)}"
    elif "project" in defaults and document.content.get("project") is not None:
        yield "defaults.project: stands beside `project` at the top: keep one of the two"
    for name, value in defaults.items() if isinstance(defaults, dict) else ():
        if name in TYPES and not isinstance(value, dict):
            yield f"defaults.{name}: must be a mapping of fields, not {shown(value)}"
    for key, value in _said(document).items():
        yield from (f"{_place(key)}{problem}" for problem in _wrong_field(key) or _wrong_value(key, value))


def _place(key: _Key) -> str:
    type_, name = key
    return "project" if key == ("", "project") else ".".join(filter(None, ("defaults", type_, name)))


def _types(key: _Key) -> list[str]:
    """Return the types of instances that have a field."""
    type_, name = key
    return [each for each in ([type_] if type_ else TYPES) if name in TYPES[each].spec.model_fields]


def _wrong_field(key: _Key) -> list[str]:
    type_, name = key
    if name in _OWN:
        return [": differs from instance to instance: say it there"]
    if _types(key):
        return []
    known = {each for of in ([type_] if type_ else TYPES) for each in TYPES[of].spec.model_fields} - _OWN
    whose = f"of {type_}s" if type_ else "of any instance, and no type"
    return [f": is no field {whose}.{did_you_mean(name, known | (set() if type_ else set(TYPES)))}"]


def _wrong_value(key: _Key, value: Any) -> list[str]:
    """Return what is wrong with a value, each with the place in it; of one with references each entry tells."""
    if refers(value):
        return []
    _, name = key
    found: dict[str, None] = {}
    for type_ in _types(key):
        try:
            if name in PARTS and isinstance(value, dict):
                spec_adapter.validate_python({"name": "x", "type": PARTS[name], **value})
            else:
                info = TYPES[type_].spec.model_fields[name]
                wanted: Any = Annotated[info.annotation, info]
                TypeAdapter(wanted).validate_python(value)
        except ValidationError as error:
            found |= {f"{'.' if place else ''}{place}: {what}": None for place, what in spec_problems(error)}
    return list(found)
