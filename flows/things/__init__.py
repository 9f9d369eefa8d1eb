"""The kinds of things that instances need in the world, each a module: how it is compared, how it is made.

A new kind is one more module with a `Things`, and its place in `ALL`.
"""

from flows.things.automations import Automations
from flows.things.base import Things, Tools, Wanted
from flows.things.blocks import Blocks
from flows.things.champions import Champions
from flows.things.data import Data
from flows.things.deployments import Deployments
from flows.things.evidently_projects import Projects
from flows.things.mlflow_experiments import Experiments
from flows.things.per_model import ModelResource, PerModel
from flows.things.rows import Flows, Rows

RESOURCES: tuple[ModelResource, ...] = (Experiments(), Projects())

# In this order they are made; they are deleted in the reverse one.
ALL: tuple[Things, ...] = (
    Blocks(),
    Rows(),
    Flows(),
    Data(RESOURCES),
    *map(PerModel, RESOURCES),
    Champions(),
    Deployments(),
    Automations(),
)

__all__ = ["ALL", "Things", "Tools", "Wanted"]
