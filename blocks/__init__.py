"""Instances as custom Prefect Blocks. Importing this package registers them with Prefect."""

from blocks.components import AccessorInstance, PipelineInstance, StoreInstance
from blocks.datasets import DatasetInstance, SignalInstance
from blocks.experiments import ExperimentInstance
from blocks.models import ModelInstance
from blocks.platform import Platform
from blocks.portfolios import BacktestInstance, PortfolioOptimizerInstance

__all__ = [
    "AccessorInstance",
    "BacktestInstance",
    "DatasetInstance",
    "ExperimentInstance",
    "ModelInstance",
    "PipelineInstance",
    "Platform",
    "PortfolioOptimizerInstance",
    "SignalInstance",
    "StoreInstance",
]
