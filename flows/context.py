"""Context: what the work of a run gets: its plugins, and its inputs at the pinned versions."""

from dataclasses import dataclass

from definitions.contract import Input, ReadRequest
from flows.services import Services
from instances.assembly import Parts, assemble, readable
from instances.fingerprint import Pin
from instances.repository import AppliedDataset, FlowRecord
from instances.specs import DatasetSpec


@dataclass(frozen=True)
class Context:
    """What the work of a run gets. With `everything` it is to read its source from the beginning.

    `missing` names the instances that it may read, and that have left nothing to read yet.
    """

    spec: DatasetSpec
    parts: Parts
    inputs: tuple[Input, ...]
    missing: tuple[str, ...] = ()
    everything: bool = False


def gather(services: Services, flow: FlowRecord, pins: tuple[Pin, ...], *, everything: bool) -> Context:
    """Return the context of one run; the inputs are read at the versions that its guard has pinned.

    Raises `DefinitionError` when a plugin can't be made or a pinned version can't be read.
    """
    datasets = services.repository.datasets({flow.instance, *(pin.instance for pin in pins)})
    own = datasets[flow.instance]
    pinned = {pin.instance for pin in pins}
    return Context(
        spec=own.spec,
        parts=assemble(own, services.registry, services.resources),
        inputs=tuple(_read(services, datasets[pin.instance], pin) for pin in pins),
        missing=tuple(ref.instance for ref in own.spec.upstream_refs if ref.instance not in pinned),
        everything=everything,
    )


def _read(services: Services, dataset: AppliedDataset, pin: Pin) -> Input:
    source = readable(dataset, services.registry, services.resources)
    frame = source.accessor.read(source.store, ReadRequest(version=pin.version))
    return Input(instance=pin.instance, role=pin.role, frame=frame)
