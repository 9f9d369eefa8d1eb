"""Instances as custom Prefect Blocks. Importing this package registers them with Prefect."""

from blocks.components import AccessorInstance, PipelineInstance, StoreInstance
from blocks.datasets import DatasetInstance, SignalInstance
from blocks.experiments import ExperimentInstance
from blocks.platform import Platform

__all__ = [
    "AccessorInstance",
    "DatasetInstance",
    "ExperimentInstance",
    "PipelineInstance",
    "Platform",
    "SignalInstance",
    "StoreInstance",
]
