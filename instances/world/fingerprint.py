"""Fingerprint: a name for what a run would compute: its pinned inputs and its configuration."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from definitions.contract import FlowKind
from instances.world.facts import FlowId, RunId


@dataclass(frozen=True)
class Pin:
    """The version of one direct input that a run is to read, and the run that left it.

    `made_by` is the configuration that the version was made by, where what the run computes depends on that too: a
    feature that is defined anew may come out the same, and yet mean something else to a model.
    """

    upstream: FlowId
    instance: str
    kind: FlowKind
    role: str
    version: str
    run_id: RunId
    made_by: str | None = None


def fingerprint(config_hash: str, pins: Iterable[Pin]) -> str:
    """Return the SHA-256 in hex; the order of the pins, and one given twice, make no difference."""
    inputs = sorted({(pin.role, str(pin.upstream), pin.version, *filter(None, [pin.made_by])) for pin in pins})
    content = {"config": config_hash, "inputs": [list(entry) for entry in inputs]}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
