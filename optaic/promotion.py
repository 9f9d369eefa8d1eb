"""Promotion: an experiment becomes a signal, a trained version becomes a model's champion."""

import datetime as dt

from blocks.base import part_name
from flows.cascade import Round, start_due
from flows.planning import Scope
from instances.errors import OptaicError
from instances.repository import Repository
from instances.specs import AnySpec, ComponentSpec, ExperimentSpec, ModelSpec, SignalInstanceSpec, SignalSpec
from instances.types import PARTS
from optaic.session import Session


class CannotPromote(OptaicError):
    """What is to be promoted can't be, as it is asked for."""


def signal_of(experiment: ExperimentSpec, name: str, signal_spec: SignalSpec) -> tuple[AnySpec, ...]:
    """Return the specs of a signal with the experiment's expression, inputs and project, and those of its parts."""
    shared = {"project": experiment.project}
    parts: dict[str, dict[str, object]] = {
        "pipeline_instance": {
            "definition": experiment.definition,
            "definition_version": experiment.definition_version,
            "config": experiment.config,
        },
        "store_instance": {"definition": "delta"},
        "accessor_instance": {"definition": "simple"},
    }
    named = {field: part_name(name, type_) for field, type_ in PARTS.items()}
    column = str(experiment.config.get("value_column", signal_spec.value_column))
    return (
        *(
            ComponentSpec.model_validate({"name": named[field], "type": PARTS[field], **shared, **part})
            for field, part in parts.items()
        ),
        SignalInstanceSpec.model_validate(
            {
                "name": name,
                "description": experiment.description or f"Promoted from the experiment {experiment.name}.",
                "upstream_refs": experiment.upstream_refs,
                "signal_spec": signal_spec.model_copy(update={"value_column": column}),
                **shared,
                **named,
            }
        ),
    )


def scope_of_signal(repository: Repository, experiment: str, name: str, signal_spec: SignalSpec) -> Scope:
    """Return what must be applied so that an applied experiment becomes a signal.

    Raises `UnknownInstance`, and `CannotPromote` for another type of instance or a name that is taken.
    """
    spec = repository.spec(experiment)
    if not isinstance(spec, ExperimentSpec):
        raise CannotPromote(f"{experiment!r} is a {spec.type}; only an experiment can become a signal.")
    if any(other.name == name for other in repository.specs()):
        raise CannotPromote(f"there is an instance named {name!r} already; choose another name for the signal.")
    return Scope(signal_of(spec, name, signal_spec))


async def promote_version(session: Session, model: str, version: str) -> Round:
    """Make a version a model's champion, and start what was waiting for it.

    Raises `UnknownInstance`, `NoSuchVersion`, and `CannotPromote` where there is nothing to promote.
    """
    from flows.board import read_all

    services, client = session.services, session.client
    spec = services.repository.spec(model)
    if not isinstance(spec, ModelSpec):
        raise CannotPromote(f"{model!r} is a {spec.type}; say which model, or --as SIGNAL for an experiment.")
    train = services.repository.flow_id(model, "train")
    _, world = await read_all(services, client, dt.datetime.now(dt.UTC))
    trained = world[train].completed
    if trained is None or trained.provenance is None:
        raise CannotPromote(f"{model!r} has not been trained yet: run `optaic run {model} train` first.")
    services.tracking.promote(model, version)
    services.ledger.amend_version(trained.run_id, version, {"mlflow_registered_model_name": model})
    return await start_due(services, services.repository.children(train))
