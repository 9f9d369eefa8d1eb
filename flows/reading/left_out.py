"""What is wrong with what the blocks describe, instance by instance: the next apply leaves it out."""

from collections.abc import Mapping

from flows.integrations.prefect_api import PrefectError
from flows.integrations.services import Services
from flows.reading.block_reader import read_blocks
from instances.errors import UnreadableRow
from instances.rules.instance_status import Flaw
from instances.specification.specs import AnySpec
from instances.specification.types import in_place

NO_BLOCK = "(blocks)"  # of what can't be read of all blocks at once: no instance is called so


async def read_flaws(services: Services) -> dict[str, Flaw]:
    """Return the flaw of each instance whose block, or a part in it, has one; sources are not looked at.

    What is as it was applied was sound then, and is not looked through again: a look at statuses is to be quick.
    """
    try:
        blocks = await read_blocks(services.prefect)
    except PrefectError as error:
        return {NO_BLOCK: Flaw("", f"the blocks can't be read: {error}")}
    if any(saved.unsaid for saved in blocks.by_name.values()):
        from instances.storage.row_fields import recorded_rows  # with all that definitions import

        blocks = blocks.beside(recorded_rows(services.engine))
    found = [(name, f"{name}: {block}") for name, block in blocks.unreadable.items()]
    specs = {spec.name: spec for spec in blocks.specs}
    whole = {part.name: spec.name for spec in specs.values() for part in in_place(spec, specs).values()}
    found += [(problem.instance, problem) for problem in blocks.problems]
    if blocks.unreadable or not _as_applied(services, specs):
        from instances.specification.resolution import resolution  # with all that definitions import

        resolved = resolution(blocks.specs, services.registry, broken=blocks.unreadable.keys())
        found += [(problem.instance, problem) for problem in resolved.problems]
    flaws: dict[str, Flaw] = {}
    types = {name: spec.type for name, spec in specs.items()} | blocks.types
    for name, problem in found:
        name = whole.get(name, name)
        flaws.setdefault(name, Flaw(types[name], problem))
    return flaws


def _as_applied(services: Services, specs: Mapping[str, AnySpec]) -> bool:
    """Say whether the blocks describe just what was applied; not where a row of that can't be read."""
    try:
        return {spec.name: spec for spec in services.repository.specs()} == specs
    except UnreadableRow:
        return False
