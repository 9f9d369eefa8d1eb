"""Flows of a package's own: what a definition brings beside the flows of its type of instances."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from definitions.contract import FlowKind, Input, Resources
from definitions.errors import InvalidFlowSpec
from definitions.parameters import NoParameters, parsed
from definitions.work.outcome import Outcome
from research.errors import shown

OWN = "own"  # the role of the rows that the instance itself has left
_RESERVED = frozenset({"bootstrap", "sweep", "packaged"})  # flows that Prefect starts of us beside those of instances


@dataclass(frozen=True)
class FlowRequest:
    """What a flow of a package's own is to do its work from.

    `config` is that of the instance, `parameters` are those of this run, both as the definition's models parse them.
    `inputs` are what the instance reads, and in the role `own` the rows that it has left, all at the pinned versions.
    """

    instance: str
    config: BaseModel
    parameters: Any
    inputs: tuple[Input, ...]
    resources: Resources

    @property
    def own(self) -> Input | None:
        """The rows that the instance itself has left; None where it leaves none."""
        return next((each for each in self.inputs if each.role == OWN), None)


@dataclass(frozen=True)
class FlowSpec:
    """A flow that a definition brings: bootstrap deploys it for each instance, and its guard asks as everywhere.

    `work` returns what a run leaves: metrics, facts, a summary in Markdown, pictures; no version, for no flow reads it.
    It may raise any `DefinitionError`, whose message ends the run as Failed. `parameters` are those of a run, each with
    a default. Raises `InvalidFlowSpec` for a kind that can't be one.
    """

    kind: str
    work: Callable[[FlowRequest], Outcome]
    summary: str = ""
    parameters: type[BaseModel] = NoParameters

    def __post_init__(self) -> None:
        try:
            own = not FlowKind(self.kind).built_in
        except ValueError as error:
            raise InvalidFlowSpec(
                f"a flow can't be of the kind {shown(self.kind)}: write it in lower-case letters, digits and "
                "dashes, like 'risk-report'"
            ) from error
        if not own or self.kind in _RESERVED:
            raise InvalidFlowSpec(f"there is a flow {self.kind!r} already: choose another kind")
        needed = [name for name, field in self.parameters.model_fields.items() if field.is_required()]
        if needed:
            raise InvalidFlowSpec(
                f"the parameter {needed[0]!r} of the flow {self.kind!r} has no default: give it one, for a run that "
                "starts by itself is given none"
            )

    @property
    def flow_kind(self) -> FlowKind:
        return FlowKind(self.kind)

    def parse(self, parameters: Mapping[str, Any]) -> BaseModel:
        """Check a run's parameters against their model; `InvalidConfig` names each bad field."""
        return parsed(self.parameters, parameters, f"the flow {self.kind}", what="parameters")
