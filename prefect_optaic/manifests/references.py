"""References in the text of a manifest: `${item}`, `${item.window}` and `${env:NAME}`; `$${` is a plain `${`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from definitions.addresses import redacted
from research.errors import shown

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(
    r"pass(word|wd|phrase)?(_|$)|pwd|token|secret|credential|signature|(api|access|account|private|shared)_?key",
    re.IGNORECASE,
)
_CONFIGS = {"config", "job_variables"}  # where paths and hosts are said
NO_ITEM = object()


def refers(value: object, to: str = "") -> bool:
    """Say whether there is a reference anywhere in a value: any, or one that begins with `to`."""
    if isinstance(value, str):
        return any((match[1] or "").startswith(to) for match in _REFERENCE.finditer(value) if match[1] is not None)
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return any(refers(each, to) for each in inner)


@dataclass
class Substitution:
    """Puts an item and variables of the environment in the place of references.

    `problems` collects what can't be put in: the place in the entry, and what is wrong there.
    """

    environment: Mapping[str, str]
    item: Any = NO_ITEM
    problems: list[tuple[str, str]] = field(default_factory=list)

    def within(self, value: Any, place: tuple[str, ...] = ()) -> Any:
        """Return a value with all references in it replaced; a text that is one reference becomes what it refers to."""
        if isinstance(value, str) and "${" in value:
            return self._text(value, place)
        if isinstance(value, dict):
            return {key: self.within(each, (*place, str(key))) for key, each in value.items()}
        if isinstance(value, list):
            return [self.within(each, (*place, str(number))) for number, each in enumerate(value)]
        return value

    def _text(self, text: str, place: tuple[str, ...]) -> Any:
        try:
            whole = _REFERENCE.fullmatch(text)
            if whole is not None and whole[1] is not None:
                return self._referred(whole, place)
            found = _REFERENCE.sub(
                lambda match: "${" if match[1] is None else self._worded(self._referred(match, place), match), text
            )
            if refers(text, "env:") and redacted(found) != found:
                raise _Refused(_secret(text))
            return found
        except _Refused as error:
            self.problems.append((".".join(place), str(error)))
            return text

    def _referred(self, match: re.Match[str], place: tuple[str, ...]) -> Any:
        """Return what a reference refers to."""
        written, (head, _, rest) = match[0], match[1].partition(":")
        if not written.endswith("}"):
            raise _Refused(f"{shown(written)} has no end: close it with }}, or write $${{ for the text itself")
        if head == "env" and _NAME.fullmatch(rest):
            return self._variable(rest, written, place)
        if match[1].split(".")[0] == "item" and self.item is not NO_ITEM:
            return self._of_item(match[1].split(".")[1:], written)
        if match[1].split(".")[0] == "item":
            raise _Refused(f"{shown(written)} is for entries with `for_each`: give this one a list, or take it out")
        raise _Refused(
            f"{shown(written)} refers to nothing: there are ${{item}} and ${{env:NAME}}; $${{ is a plain ${{"
        )

    def _of_item(self, path: list[str], written: str) -> Any:
        found = self.item
        for key in path:
            if not isinstance(found, Mapping) or key not in found:
                there = (
                    f"it has: {', '.join(map(str, found))}" if isinstance(found, Mapping) else f"it is {shown(found)}"
                )
                raise _Refused(f"the item of {shown(written)} has no {key!r}; {there}")
            found = found[key]
        return found

    def _variable(self, name: str, written: str, place: tuple[str, ...]) -> str:
        if not _CONFIGS.intersection(place):
            raise _Refused(f"{written} is for paths and hosts, in `config` and `job_variables`: write the value here")
        if _SECRET.search(name) or _SECRET.search(place[-1]):
            raise _Refused(_secret(written))
        value = self.environment.get(name, "")
        if not value:
            raise _Refused(f"the environment variable {name} is not set, where this command runs: set it")
        if redacted(value) != value:
            raise _Refused(_secret(written))
        return value

    def _worded(self, value: Any, match: re.Match[str]) -> str:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
        raise _Refused(
            f"{shown(match[0])} is {shown(value)}, which can't stand inside a text: name a word or a number in it"
        )


class _Refused(Exception):
    """A reference that nothing can be put in the place of."""


def _secret(written: str) -> str:
    return (
        f"{shown(written)} would write a secret into a config, which everybody can read: keep it in a Secret block, "
        "and name that block"
    )
