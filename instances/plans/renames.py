"""Renames: which instances on record are to go on under another name, and what of that can't be."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from instances.errors import Problem
from instances.plans.plan import Fields
from instances.specification.applied import FlowRecord, RecordedName
from instances.specification.specs import AnySpec
from instances.specification.types import TYPES, followed, in_place, part_name, part_names, refers_to, with_names
from instances.world.wording import a


@dataclass(frozen=True)
class Renames:
    """The instances that are renamed: `names` has their new names by the present ones, those of their parts too.

    `asked` are the new names of those whose description says so itself. `problems` tells what can't be, and
    `warnings` what comes to nothing.
    """

    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    asked: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()

    def rows(self, rows: Mapping[str, Fields]) -> dict[str, Fields]:
        """Return what rows hold once these instances are renamed."""
        return {self.names.get(name, name): self._row(name, fields) for name, fields in rows.items()}

    def _row(self, name: str, fields: Fields) -> Fields:
        row = with_names(fields, self.names)
        row["flows"] = {kind: self._reading(flow) for kind, flow in fields.get("flows", {}).items()}
        return row | ({"renamed_from": name} if self.names.get(name) in self.asked else {})

    def _reading(self, flow: Mapping[str, Any]) -> dict[str, Any]:
        parted = {key: key.partition(".") for key in flow.get("reads", {})}
        reads = {f"{self.names.get(p[0], p[0])}{p[1]}{p[2]}": flow["reads"][key] for key, p in parted.items()}
        return {**flow, "reads": reads}


def find_renames(
    described: Iterable[AnySpec],
    in_file: Collection[str],
    rows: Mapping[str, Fields],
    recorded: Iterable[RecordedName],
    *,
    adopt: bool = False,
) -> Renames:
    """Return what is to be renamed of what is on record.

    One that has been renamed already is no matter, and one of which nothing is on record is made new, with a warning:
    so it is where a file is applied for the first time. `in_file` are the names that a manifest describes.
    """
    specs = {spec.name: spec for spec in described}
    wishes = {spec.name: spec.renamed_from for spec in specs.values() if spec.renamed_from is not None}
    counts = Counter(wishes.values())
    known = {each.name: each for each in recorded}
    present = {former: each.name for each in known.values() for former in each.former if former not in known}
    names: dict[str, str] = {}
    problems: list[Problem] = []
    warnings: list[str] = []
    for new, old in wishes.items():
        if new in known and (old in known[new].former or old not in known):
            continue  # done
        if why := _why_not(specs[new], old, rows, in_file, adopt=adopt):
            problems.append(Problem(new, f"{new}: renamed_from {old!r} {why}"))
        elif counts[old] > 1:
            both = ", ".join(sorted(name for name, each in wishes.items() if each == old))
            told = f"{new}: renamed_from {old!r} is said of {counts[old]} instances ({both}); keep one of them"
            problems.append(Problem(new, told))
        elif old in present:
            told = f"is {present[old]!r} by now; say renamed_from: {present[old]}, or take it out"
            problems.append(Problem(new, f"{new}: renamed_from {old!r} {told}"))
        elif old not in known:
            warnings.append(f"{new}: renamed_from {old!r} names no instance that is on record, so {new} is made new")
        else:
            names |= {old: new} | _with_parts(specs[new], old, rows, specs)
    return Renames(names, frozenset(wishes) & set(names.values()), tuple(problems), tuple(warnings))


def _why_not(
    spec: AnySpec, old: str, rows: Mapping[str, Fields], in_file: Collection[str], *, adopt: bool
) -> str | None:
    if old == spec.name:
        return "is its own name; take it out"
    if old in in_file:
        return "is still described in the same manifest; take one of the two out"
    if old not in rows:
        return None
    type_, project = rows[old].get("type"), str(rows[old].get("project", ""))
    if spec.name in rows:
        return (
            "can't be: both are on record, each an instance of its own. Choose another name, or take renamed_from "
            "out, or `optaic destroy` one of them first"
        )
    if type_ != spec.type:
        return f"is {a(str(type_))}, and {spec.name} {a(spec.type)}: an instance keeps its type; make a new one"
    if (whole := next((name for name, row in rows.items() if _inside(old, name, row)), None)) is not None:
        return f"is a part of {whole}, and named after it: it is renamed with that"
    if project != spec.project and not adopt:
        return f"is an instance of the project {project!r}; leave it there, or take it over with --adopt"
    return None


def _inside(part: str, name: str, row: Fields) -> bool:
    """Say whether a part is one that is described inside an instance."""
    type_ = TYPES.get(str(row.get("type")))
    return type_ is not None and any(
        row.get(field) == part == part_name(name, part_type) for field, part_type in type_.parts.items()
    )


def _with_parts(spec: AnySpec, old: str, rows: Mapping[str, Fields], specs: Mapping[str, AnySpec]) -> dict[str, str]:
    """Return the renames of the parts that were described inside an instance, and still are."""
    types = TYPES[spec.type].parts
    inside = {field: (part_name(old, types[field]), part.name) for field, part in in_place(spec, specs).items()}
    return {was: new for field, (was, new) in inside.items() if rows[old].get(field) == was and new not in rows}


def present_names(recorded: Iterable[RecordedName], described: Collection[str]) -> dict[str, str]:
    """Return the present names of instances by their former ones, as far as nothing else is called so."""
    found = {former: each.name for each in recorded for former in each.former}
    return {former: name for former, name in found.items() if former not in described}


def called_now(recorded: Iterable[RecordedName], former: str) -> tuple[str, ...]:
    """Return the present names of the instances that had a name before."""
    return tuple(each.name for each in recorded if former in each.former)


def former_references(specs: Iterable[AnySpec], present: Mapping[str, str]) -> tuple[str, ...]:
    """Return a warning for each instance that refers to another one by a former name."""
    return tuple(
        f"{spec.name} refers to {old!r}, which is called {new!r} now, and is taken at that; write the new name there"
        for spec in specs
        for old, new in present.items()
        if refers_to(spec, {old})
    )


def made_again(recorded: Iterable[RecordedName], described: Iterable[AnySpec]) -> tuple[str, ...]:
    """Return a warning for each new instance that has the former name of another: an old file may describe it.

    Parts are not told of: they come with their instance.
    """
    known, specs = tuple(recorded), tuple(described)
    parts = {part for spec in specs for part in part_names(spec)}
    new = {spec.name for spec in specs} - parts - {each.name for each in known}
    return tuple(
        f"{name} is new: what had this name is called {each.name!r} now, and keeps its rows. If that is meant, write "
        f"{each.name!r} in its place"
        for each in known
        for name in each.former
        if name in new
    )


def kept_names(recorded: Iterable[RecordedName], described: Iterable[str]) -> dict[str, str]:
    """Return the names under which what instances leave is kept, where these are not their own.

    So it is with those that were renamed, and with a new one whose name an instance had that was renamed.
    """
    known = {each.name: each.kept_as for each in recorded}
    taken = set(known.values())
    found = dict(known)
    for name in sorted(set(described) - known.keys()):
        kept, number = name, 1
        while kept in taken:
            kept, number = f"{name}.{number + 1}", number + 1
        found[name] = kept
        taken.add(kept)
    return {name: kept for name, kept in found.items() if kept != name}


def renamed_names(recorded: Iterable[RecordedName], names: Mapping[str, str]) -> tuple[RecordedName, ...]:
    """Return what is on record of names once these are renamed."""
    return tuple(
        RecordedName(names[each.name], each.kept_as, (*each.former, each.name)) if each.name in names else each
        for each in recorded
    )


def renamed_flows(flows: Iterable[FlowRecord], names: Mapping[str, str]) -> tuple[FlowRecord, ...]:
    """Return the flows on record once these instances are renamed."""
    return tuple(replace(flow, instance=names[flow.instance]) if flow.instance in names else flow for flow in flows)


def look_alikes(going: Iterable[AnySpec], coming: Iterable[AnySpec]) -> dict[str, str]:
    """Return the instances that would go for others that are the same but for their names, by name.

    The same is one of the same type with the same specification, where it may refer to another of these pairs. Parts
    that are described inside an instance count with that.
    """
    left, new = {spec.name: spec for spec in going}, {spec.name: spec for spec in coming}
    kinds = {name: _essence(new[name], new) for name in _wholes(new)}
    found: dict[str, str] = {}
    while True:
        pair = next(
            (
                (old, name)
                for old in sorted(_wholes(left) - found.keys())
                for name in sorted(kinds.keys() - found.values())
                if _essence(followed(left[old], found), left) == kinds[name]
            ),
            None,
        )
        if pair is None:
            return found
        found |= dict([pair])


def _wholes(specs: Mapping[str, AnySpec]) -> set[str]:
    return specs.keys() - {part.name for spec in specs.values() for part in in_place(spec, specs).values()}


def _essence(spec: AnySpec, specs: Mapping[str, AnySpec]) -> dict[str, Any]:
    """Return what an instance is, but for its name and those of the parts that are described inside it."""
    inside = {field: _essence(part, specs) for field, part in in_place(spec, specs).items()}
    return spec.model_dump(mode="json", exclude={"name", "renamed_from"}) | inside
