"""Known words: which fields a spec has at a place, and which word of those was most likely meant."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel

from research.errors import nearest, shown

SHOWN = 8  # fields in a message at most


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a type is made of, through unions, lists and mappings."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from models_in(argument)


def model_at(model: type[BaseModel], place: Iterable[str | int]) -> type[BaseModel] | None:
    """Return the model of what stands at a place inside a model; None where that is none."""
    found: type[BaseModel] | None = model
    for step in place:
        if found is None:
            return None
        if isinstance(step, str) and step in found.model_fields:
            found = next(models_in(found.model_fields[step].annotation), None)
    return found


def unknown_word(word: object, known: Collection[str], instead: Mapping[str, str] | None = None) -> str:
    """Return what is wrong with a field that there is not, and what was most likely meant.

    `instead` has further words that would do, each with the field that it stands for.
    """
    others = instead or {}
    if isinstance(word, str) and (near := nearest(word, [*known, *others])) is not None:
        means = f" (the guide's word for {others[near]!r})" if near in others and near not in known else ""
        return f"is not a field that there is; did you mean {near!r}{means}?"
    names = sorted(known)
    more = " ..." if names[SHOWN:] else ""
    return f"is not a field that there is; there are: {', '.join(names[:SHOWN]) or 'none'}{more}"


def _words(model: type[BaseModel], name: str) -> Iterator[str]:
    """Yield the words that a model takes for a field of it."""
    alias = model.model_fields[name].validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [] if alias is None else [alias]
    yield from (str(choice.path[0]) if isinstance(choice, AliasPath) else choice for choice in choices)
    if alias is None or model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name"):
        yield name


def unknown_fields(model: type[BaseModel], data: object, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place of each field of some data that a model has not, nested ones too, and what is wrong with it.

    A model that takes further fields by its own word (`extra="allow"`) has none that is unknown.
    """
    if not isinstance(data, Mapping) or model.model_config.get("extra") == "allow":
        return
    by_word = {word: field for name, field in model.model_fields.items() for word in _words(model, name)}
    for word, value in data.items():
        if word not in by_word:
            yield f"{at}{word if isinstance(word, str) else shown(word)}", unknown_word(word, by_word)
        else:
            yield from _unknown_inside(by_word[word].annotation, value, f"{at}{word}.")


def _unknown_inside(annotation: Any, value: object, at: str) -> Iterator[tuple[str, str]]:
    """Yield what `unknown_fields` does of a value of a type that is made of models."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from unknown_fields(annotation, value, at)
        return
    of = [argument for argument in get_args(annotation) if any(models_in(argument))]
    if not of:
        return
    origin = get_origin(annotation)
    if origin is Annotated or origin in (Union, UnionType):
        yield from min((list(_unknown_inside(each, value, at)) for each in of), key=len)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _unknown_inside(of[-1], each, f"{at}{key}.")
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _unknown_inside(of[0], each, f"{at}{number}.")
