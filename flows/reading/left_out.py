"""What is wrong with what the blocks describe, instance by instance: the next apply leaves it out."""

from flows.integrations.prefect_api import PrefectError
from flows.integrations.services import Services
from flows.reading.block_reader import read_blocks
from instances.rules.instance_status import Flaw
from instances.specification.resolution import resolution
from instances.specification.types import in_place

NO_BLOCK = "(blocks)"  # of what can't be read of all blocks at once: no instance is called so


async def read_flaws(services: Services) -> dict[str, Flaw]:
    """Return the flaw of each instance whose block, or a part in it, has one; sources are not looked at."""
    try:
        blocks = await read_blocks(services.prefect)
    except PrefectError as error:
        return {NO_BLOCK: Flaw("", f"the blocks can't be read: {error}")}
    found = [(name, f"{name}: {block}") for name, block in blocks.unreadable.items()]
    specs = {spec.name: spec for spec in blocks.specs}
    whole = {part.name: spec.name for spec in specs.values() for part in in_place(spec, specs).values()}
    resolved = resolution(blocks.specs, services.registry, broken=blocks.unreadable.keys())
    found += [(problem.instance, problem) for problem in (*blocks.problems, *resolved.problems)]
    flaws: dict[str, Flaw] = {}
    types = {name: spec.type for name, spec in specs.items()} | blocks.types
    for name, problem in found:
        name = whole.get(name, name)
        flaws.setdefault(name, Flaw(types[name], problem))
    return flaws
