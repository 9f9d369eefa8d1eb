"""The work order of a run: what its guard wrote down, for every attempt of it to go by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from definitions.contract import FlowKind
from instances.specification.applied import AppliedInstance
from instances.specification.specs import ComponentSpec, spec_adapter
from instances.world.facts import FlowId, RunId
from instances.world.fingerprint import Pin


@dataclass(frozen=True)
class WorkOrder:
    """The versions that a run reads, and the instances as they were applied: its own, and those that it reads.

    With `everything` it is to read its source from the beginning.
    """

    pins: tuple[Pin, ...]
    instances: Mapping[str, AppliedInstance]
    everything: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as the run's row keeps it."""
        return {
            "pins": [_pin_json(pin) for pin in self.pins],
            "instances": {name: _applied_json(applied) for name, applied in self.instances.items()},
            "everything": self.everything,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "WorkOrder":
        return cls(
            pins=tuple(_pin(each) for each in content["pins"]),
            instances={name: _applied(each) for name, each in content["instances"].items()},
            everything=content["everything"],
        )


def _pin_json(pin: Pin) -> dict[str, Any]:
    return {
        "upstream": str(pin.upstream),
        "instance": pin.instance,
        "kind": pin.kind.value,
        "role": pin.role,
        "version": pin.version,
        "run_id": str(pin.run_id),
        "made_by": pin.made_by,
    }


def _pin(content: Mapping[str, Any]) -> Pin:
    ids = {"upstream": FlowId(UUID(content["upstream"])), "run_id": RunId(UUID(content["run_id"]))}
    return Pin(**{**content, **ids, "kind": FlowKind(content["kind"])})


def _applied_json(applied: AppliedInstance) -> dict[str, Any]:
    return {
        "spec": applied.spec.model_dump(mode="json"),
        "parts": {type_: part.model_dump(mode="json") for type_, part in applied.parts.items()},
        "handles": dict(applied.handles),
        "first_name": applied.first_name,
    }


def _applied(content: Mapping[str, Any]) -> AppliedInstance:
    return AppliedInstance(
        spec=spec_adapter.validate_python(content["spec"]),
        parts={type_: ComponentSpec.model_validate(part) for type_, part in content["parts"].items()},
        handles=content["handles"],
        first_name=content.get("first_name"),  # those of before there were renames have none
    )
