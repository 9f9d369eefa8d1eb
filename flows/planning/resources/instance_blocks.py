"""The blocks of instances, where a manifest describes them."""

from collections.abc import Callable, Sequence

from flows.integrations.services import Services
from flows.planning.block_writer import BlockWriter, named_parts
from flows.planning.resources.resource import DesiredState, Proposal, Refusal, StepsRefused, run_concurrently
from flows.reading.block_reader import read_blocks
from instances.errors import Problem
from instances.plans.plan import Action, Fields, Step, compare
from instances.specification.specs import AnySpec, ComponentSpec
from instances.specification.types import TYPES, in_place
from instances.world.wording import a


class Blocks:
    """One block for each instance that a manifest describes, and for each part that has a name of its own."""

    kind = "block"

    async def plan(self, state: DesiredState, services: Services) -> Proposal:
        specs = {spec.name: spec for spec in state.to_save}
        inside = _inside(state)
        desired = {name: _fields(spec, in_place(spec, specs)) for name, spec in specs.items() if name not in inside}
        actual = {
            name: _fields(saved.spec, in_place(saved.spec, {part.name: part for part in saved.parts}))
            for name, saved in state.blocks.by_name.items()
        }
        actual |= {name: {"unreadable": saved.problem} for name, saved in state.blocks.unreadable.items()}
        actual |= {name: actual[name] | {"earlier_unit": note} for name, note in _notes(state).items()}
        return Proposal(
            compare(self.kind, desired, actual, deleted=state.deleted),
            _taken_names(state),
            tuple(
                f"{name}: {note}; save its block anew, or apply a file that describes it"
                for name, note in _notes(state).items()
                if name not in specs
            ),
        )

    async def apply(
        self, steps: Sequence[Step], state: DesiredState, services: Services, done: Callable[[Step], None]
    ) -> None:
        specs = {spec.name: spec for spec in state.to_save}
        inside = {name: specs[name] for name in _inside(state)}
        # Those of renamed instances are other ones than when the plan was made.
        there = await read_blocks(services.prefect) if state.renames.names else state.blocks
        writer = BlockWriter(services.prefect, there)

        async def one(step: Step) -> None:
            if step.action is Action.DELETE:
                await services.prefect.delete_block(there.ids[step.name])
            else:
                spec = specs[step.name]
                own = in_place(spec, inside)
                if missing := [name for name in named_parts(spec, own) if name not in writer.ids]:
                    raise StepsRefused([Refusal(step, f"there is no block {missing[0]}, which it refers to.")])
                await writer.save(spec, own)
            done(step)

        # A dataset's block refers to those of its parts: they are there before it, and go after it.
        parts = [step for step in steps if _is_part(step, state, specs)]
        others = [step for step in steps if step not in parts]
        deleting = any(step.action is Action.DELETE for step in steps)
        if deleting:
            await run_concurrently(one, others)
            await run_concurrently(one, parts)
            return
        refusals: list[Refusal] = []
        for group in (parts, others):
            try:
                await run_concurrently(one, group)
            except StepsRefused as error:
                refusals.extend(error.refusals)
        if refusals:
            raise StepsRefused(refusals)


def _taken_names(state: DesiredState) -> tuple[str, ...]:
    types = state.blocks.types
    return tuple(
        Problem(spec.name, f"{spec.name}: there is {a(types[spec.name])} of this name already; choose another name")
        for spec in state.to_save
        if types.get(spec.name, spec.type) != spec.type
    )


def _notes(state: DesiredState) -> dict[str, str]:
    """Return what is read otherwise than it is written, by the names of the blocks that stay."""
    blocks = state.blocks.by_name.items()
    return {name: saved.note for name, saved in blocks if saved.note is not None and name not in state.deleted}


def _inside(state: DesiredState) -> set[str]:
    """Return the names of the parts that get no block of their own, and have none yet."""
    specs = {spec.name: spec for spec in state.to_save}
    parts = (part for spec in state.to_save for part in in_place(spec, specs).values())
    return {part.name for part in parts} - state.blocks.ids.keys()


def _is_part(step: Step, state: DesiredState, specs: dict[str, AnySpec]) -> bool:
    type_ = specs[step.name].type if step.name in specs else state.blocks.types[step.name]
    return issubclass(TYPES[type_].spec, ComponentSpec)


def _fields(spec: AnySpec, inside: dict[str, ComponentSpec]) -> Fields:
    own = spec.model_dump(mode="json", exclude={"name"})
    return own | {field: part.model_dump(mode="json", exclude={"name"}) for field, part in inside.items()}
