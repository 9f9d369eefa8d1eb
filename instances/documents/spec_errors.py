"""Complaints: what pydantic finds wrong with a spec, in words for whoever wrote it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from definitions.known_words import model_at, unknown_word
from instances.documents.guide_words import GUIDE_WORDS
from instances.specification.types import TYPES
from research.errors import shown

_MAPPING = "must be a mapping of fields"
_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a field that there is",
    "string_type": "must be text",
    "string_pattern_mismatch": "must be of lowercase letters, digits and dashes, 63 at most, and end in no dash",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number, and not infinite",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "time_delta_type": "must be a duration, like 15m, 2h or 7d",
    "time_delta_parsing": "must be a duration, like 15m, 2h or 7d",
    "date_type": "must be a date, like 2024-01-31",
    "date_parsing": "must be a date, like 2024-01-31",
    "date_from_datetime_parsing": "must be a date, like 2024-01-31",
    "union_tag_not_found": "is missing",
}
_WITH_CONTEXT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "value_error": lambda context: str(context["error"]),
    "literal_error": lambda context: f"must be one of {context['expected']}",
    "enum": lambda context: f"must be one of {context['expected']}",
    "union_tag_invalid": lambda context: f"must be one of {context['expected_tags']}",
    "greater_than": lambda context: f"must be more than {context['gt']}",
    "greater_than_equal": lambda context: f"must be at least {context['ge']}",
    "less_than": lambda context: f"must be less than {context['lt']}",
    "less_than_equal": lambda context: f"must be at most {context['le']}",
}


def spec_problems(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Yield the place of each problem of a spec, as 'schedule.timezone', and what is wrong there.

    The place is empty where it is the whole that is wrong. Of a value that may be one of several things, all are told.
    """
    found: dict[str, tuple[dict[str, None], str]] = {}
    for item in error.errors(include_url=False):
        place, type_ = list(item["loc"]), None
        if place and place[0] in TYPES:  # the tag of the union
            type_ = str(place.pop(0))
        if item["type"].startswith("union_tag"):
            place = ["type"]
        told = _unknown(type_, place) if item["type"] == "extra_forbidden" and type_ is not None else _what(item)
        at = ".".join(str(part) for part in place if "[" not in str(part))  # others name what a value may be
        found.setdefault(at, ({}, _got(item)))[0][told] = None
    for at, (wrong, got) in found.items():
        yield at, f"{' or '.join(wrong)}{got}"


def _unknown(type_: str, place: Sequence[str | int]) -> str:
    model = model_at(TYPES[type_].spec, place[:-1])
    others = GUIDE_WORDS[type_] if len(place) == 1 else {}
    return unknown_word(place[-1], model.model_fields if model is not None else (), others)


def problem_texts(name: str, error: ValidationError) -> list[str]:
    """Return a sentence for each problem of the spec of that name."""
    return [problem_text(name, place, what) for place, what in spec_problems(error)]


def problem_text(name: str, place: str, what: str) -> str:
    """Return a sentence for one problem of the spec of that name; of a name or place without end the beginning."""
    return ": ".join(filter(None, (_cut(name), _cut(place), what)))


def _cut(text: str, letters: int = 80) -> str:
    return text if len(text) <= letters else f"{text[:letters]} ..."


def _what(item: ErrorDetails) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind in _WITH_CONTEXT:
        return _WITH_CONTEXT[kind](context)
    return _WORDS.get(kind) or item["msg"]


def _got(item: ErrorDetails) -> str:
    """Return what was found instead; nothing where that is said already, or is more than a value."""
    value = item["input"]
    if item["type"] in {"value_error", "missing", "union_tag_not_found", "extra_forbidden"}:
        return ""
    if item["type"] == "union_tag_invalid":
        value = item["ctx"]["tag"]
    if isinstance(value, Mapping | list | tuple):
        return f", not a {'mapping' if isinstance(value, Mapping) else 'list'}"
    return f", not {shown(value)}"
