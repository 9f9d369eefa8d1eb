"""The kinds of resources that instances need in the world, each a module: how it is compared, how it is made.

A new kind is one more module with a `ResourceKind`, and its place in `RESOURCE_KINDS`.
"""

from flows.planning.resources.automations import Automations
from flows.planning.resources.champions import Champions
from flows.planning.resources.deployments import Deployments
from flows.planning.resources.evidently_projects import Projects
from flows.planning.resources.instance_blocks import Blocks
from flows.planning.resources.instance_data import Data
from flows.planning.resources.instance_renames import InstanceRenames
from flows.planning.resources.instance_rows import Flows, Rows
from flows.planning.resources.mlflow_experiments import Experiments
from flows.planning.resources.model_resources import ModelResource, PerModel
from flows.planning.resources.resource import DesiredState, ResourceKind

MODEL_RESOURCES: tuple[ModelResource, ...] = (Experiments(), Projects())

# In this order they are made; they are deleted in the reverse one.
RESOURCE_KINDS: tuple[ResourceKind, ...] = (
    InstanceRenames(),
    Blocks(),
    Rows(),
    Flows(),
    Data(MODEL_RESOURCES),
    *map(PerModel, MODEL_RESOURCES),
    Champions(),
    Deployments(),
    Automations(),
)

__all__ = ["RESOURCE_KINDS", "DesiredState", "ResourceKind"]
