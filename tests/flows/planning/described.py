"""What the tests of plans and applies share: datasets as a file describes them, and what a plan says."""

from collections.abc import Mapping
from typing import Any

from prefect.client.schemas.responses import DeploymentResponse

from instances.plans.plan import Plan
from instances.specification.specs import AnySpec, spec_adapter
from instances.specification.types import PARTS
from tests.flows.lab import Lab

CRON = {"type": "cron", "expression": "0 18 * * 1-5"}

Specs = tuple[AnySpec, ...]


def described(lab: Lab, name: str, *upstreams: str, config: Mapping[str, Any] | None = None, **fields: Any) -> Specs:
    """Return the specs of a dataset with its parts in place: from a file, or computed over its upstreams."""
    full = lab.prefix + name
    if not upstreams:
        lab.write(name, {"2024-01-02": 1.0})
    pipeline = ("expression", {"expression": "close"}) if upstreams else ("csv", {"path": str(lab._file(name))})
    parts = {"pipeline": (pipeline[0], config or pipeline[1]), "store": ("delta", {}), "accessor": ("simple", {})}
    common = {"project": fields.pop("project", "default")}
    specs: list[dict[str, Any]] = [
        common | {"name": f"{full}-{part}", "type": part, "definition": definition, "config": given}
        for part, (definition, given) in parts.items()
    ]
    own = {field: f"{full}-{type_}" for field, type_ in PARTS.items()}
    refs = [{"instance": lab.prefix + upstream} for upstream in upstreams]
    specs.append(common | {"name": full, "type": "dataset", "upstream_refs": refs} | own | fields)
    return tuple(spec_adapter.validate_python(spec) for spec in specs)


def with_fields(specs: Specs, name: str, **fields: Any) -> Specs:
    """Return the specs with other fields of the one named."""
    return tuple(
        spec_adapter.validate_python(spec.model_dump(mode="json") | fields) if spec.name.endswith(f"-{name}") else spec
        for spec in specs
    )


def said(plan: Plan) -> list[str]:
    """Return what a plan does, a line for each step."""
    return [f"{step.action} {step.label}" for step in plan.changes]


def changed(plan: Plan) -> dict[str, tuple[Any, Any]]:
    """Return the fields that the one step of a plan changes."""
    (step,) = plan.changes
    return {change.field: (change.before, change.after) for change in step.changes}


async def deployment_of(lab: Lab, name: str) -> DeploymentResponse:
    return await lab.client.read_deployment_by_name(f"refresh/{lab.prefix}{name}")


async def only_of(lab: Lab, specs: Specs) -> None:
    """Apply `specs`, and remove what other tests have left on record."""
    await lab.bootstrap(manifest=specs)
    await lab.bootstrap(prune=True)
