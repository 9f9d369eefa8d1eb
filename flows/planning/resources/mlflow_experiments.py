"""The MLflow experiment of each model instance, in which its trainings are logged."""

from collections.abc import Mapping

from flows.integrations.services import Services
from flows.planning.resources.model_resources import ModelResourceSnapshot
from instances.plans.plan import Fields


class Experiments:
    """A deleted experiment keeps its name in MLflow, and is restored."""

    kind = "MLflow experiment"
    handle = "mlflow_experiment_id"
    server = "MLflow"

    @property
    def state(self) -> Fields:
        return {"deleted": False}

    def existing(self, services: Services) -> Mapping[str, ModelResourceSnapshot]:
        experiments = services.tracking.experiments()
        return {name: ModelResourceSnapshot(each.id, {"deleted": each.deleted}) for name, each in experiments.items()}

    def taken(self, services: Services, name: str) -> str | None:
        why = services.tracking.taken(name)
        return str(why) if why is not None else None

    def ensure(self, services: Services, name: str) -> str:
        return services.tracking.ensure(name).id

    def delete(self, services: Services, name: str) -> None:
        services.tracking.delete_model(name)
        services.tracking.delete_experiment(name)
