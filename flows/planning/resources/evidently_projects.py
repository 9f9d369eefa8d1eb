"""The Evidently project of each model instance, which keeps what its monitoring found."""

from collections.abc import Mapping

from flows.integrations.services import Services
from flows.planning.resources.model_resources import ModelResourceSnapshot
from instances.plans.plan import Fields


class Projects:
    """A project's id follows from its name and the installation, so none is ever there twice.

    One without all panels on its dashboard, of an apply that was killed, is made whole.
    """

    kind = "Evidently project"
    handle = "evidently_project_id"
    server = "Evidently"

    @property
    def state(self) -> Fields:
        return {"whole": True}

    def existing(self, services: Services) -> Mapping[str, ModelResourceSnapshot]:
        return {
            name: ModelResourceSnapshot(str(each.id), {"whole": each.whole})
            for name, each in services.monitoring.projects().items()
        }

    def taken(self, services: Services, name: str) -> str | None:
        return None

    def ensure(self, services: Services, name: str) -> str:
        return str(services.monitoring.ensure(name).id)

    def delete(self, services: Services, name: str) -> None:
        services.monitoring.delete(name)
