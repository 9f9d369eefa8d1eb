"""What a definition is, and what each kind of plugin must do.

A definition is code plus a parameters schema, under a name and a version. An instance configures it.
"""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from definitions.errors import InvalidFlowSpec
from definitions.parameters import parsed
from definitions.status_aggregation import DEFAULT_CONTRACT, Aggregation, aggregation_of
from research.errors import shown

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl

    from definitions.work.flow_spec import FlowSpec


_BROUGHT = re.compile("(?=.{1,40}$)[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Kind(StrEnum):
    """The kinds of definitions that instances refer to."""

    PIPELINE = "pipeline"
    STORE = "store"
    ACCESSOR = "accessor"
    OPERATOR = "operator"
    MACRO = "macro"
    ML_MODULE = "ml_module"
    PORTFOLIO_OPTIMIZER = "portfolio_optimizer"


_BRINGING = (Kind.PIPELINE, Kind.ML_MODULE, Kind.PORTFOLIO_OPTIMIZER)  # kinds whose instances have flows


class FlowKind(StrEnum):
    """The flows that an instance can have; each is one Prefect deployment.

    The members are those of the types of instances. A definition may bring others: `FlowKind("report")` is one, always
    the same, and no member.
    """

    REFRESH = "refresh"
    PREVIEW = "preview"
    TRAIN = "train"
    INFER = "infer"
    MONITOR = "monitor"
    OPTIMIZE = "optimize"
    BACKTEST = "backtest"

    @classmethod
    def _missing_(cls, value: object) -> "FlowKind | None":
        if not isinstance(value, str) or not _BROUGHT.fullmatch(value):
            return None
        kind = str.__new__(cls, value)
        kind._name_, kind._value_ = value.upper(), value
        known: dict[str, FlowKind] = cls._value2member_map_  # type: ignore[assignment]
        return known.setdefault(value, kind)

    @property
    def built_in(self) -> bool:
        """Whether it is a flow of a type of instances, and none that a definition brings."""
        return self.name in type(self).__members__


@dataclass(frozen=True)
class Role:
    """A part that an upstream instance can play; `many` says whether several may play it."""

    name: str
    required: bool = True
    many: bool = False


class Credentials(Protocol):
    """Secrets by the name of the block that keeps them; no secret is ever part of a config."""

    def secret(self, block_name: str) -> str:
        """Return the value of the Prefect `Secret` block; `MissingSecret` if there is none."""
        ...

    def database_url(self, block_name: str) -> str:
        """Return the URL, password included, of a `SqlAlchemyConnector` block."""
        ...


@dataclass(frozen=True)
class Resources:
    """What a plugin needs of the platform: where data lives, for which instance, and the secrets."""

    data_root: str
    instance: str
    credentials: Credentials


@dataclass(frozen=True)
class Watermark:
    """How far data reaches: the last `date`, and the last `knowledge_date` where data is revised."""

    date: dt.date
    knowledge_date: dt.date | None = None


@dataclass(frozen=True)
class Input:
    """One pinned input: the upstream's name, the role it plays, and its rows, at which version.

    `frame` is in long form: `date`, `entity`, value columns; one row per (date, entity). `neutral` is the
    value that says nothing: that of the `signal_spec`, 0 for what is no signal. `known_as` is the name of before the
    upstream was renamed, if it was: its columns still bear it beside those of others, so that what has learned
    them knows them. `revised` says whether its rows can be revised, and are dated by when they were known.
    """

    instance: str
    role: str
    frame: "pl.DataFrame"
    version: str | None = None
    neutral: float = 0.0
    known_as: str | None = None
    revised: bool = False


@dataclass(frozen=True)
class ExtractRequest:
    """What a refresh asks of its pipeline: rows newer than `since`, or all of them when it is None.

    `missing` names the inputs that are not required, and have left nothing to read yet.
    """

    since: Watermark | None = None
    inputs: tuple[Input, ...] = ()
    missing: tuple[str, ...] = ()


class Pipeline(Protocol):
    """Reads rows from a source, or computes them from the inputs."""

    def check(self) -> None:
        """Raise `SourceError` when the source can be seen, without reading it, to be unusable."""
        ...

    def extract(self, request: ExtractRequest) -> "pl.DataFrame":
        """Return rows in long form: `date` (Date), `entity` (String), value columns.

        May hold `knowledge_date` (Date). May return rows that the store has; the store drops them.
        Raises `SourceError`.
        """
        ...


@dataclass(frozen=True)
class RowChanges:
    """What a write has done to a store's rows: how many keys are new, have other values, and are gone."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class StoreVersion:
    """One committed version of a store's table; a write may say what it has changed in it."""

    version: str
    row_count: int
    watermark: Watermark | None
    changed: bool = False  # of a write: whether it committed this version
    changes: RowChanges | None = field(default=None, compare=False)  # of a write, where the store knows


class Store(Protocol):
    """Keeps the versions of one instance's rows; commits are atomic."""

    def head(self) -> StoreVersion | None:
        """Return the newest version, or None when nothing was ever written."""
        ...

    def write(self, frame: "pl.DataFrame", *, replace: bool = False) -> StoreVersion:
        """Commit `frame`, in one transaction, and return the version that readers now see.

        Rows are keyed by (date, entity) and, where there is one, knowledge_date. Without `replace` new
        keys are appended, known keys with other values are updated, and all else stays; with it the
        table afterwards holds exactly `frame`. Where that changes nothing no version is committed.
        Raises `StoreError` on duplicate keys, nulls in a key, or columns that don't fit the table, and
        `StoreConflict` where another writer has committed since this one looked.
        """
        ...

    def scan(self, version: str) -> "pl.LazyFrame":
        """Return the rows of that version; `StoreError` when it does not exist."""
        ...

    def delete(self) -> None:
        """Delete all versions; nothing happens where there are none. Raises `StoreError` where it can't."""
        ...


@dataclass(frozen=True)
class ReadRequest:
    """Which rows a reader wants; dates are inclusive, `as_of` hides what was not known then.

    With `as_known` the rows are dated by when they were known, so that a row's date never lies before it.
    """

    version: str
    as_of: dt.date | None = None
    as_known: bool = False
    start: dt.date | None = None
    end: dt.date | None = None
    columns: tuple[str, ...] | None = None  # value columns; keys always come along


class Accessor(Protocol):
    """Reads a store the way that an instance's readers should see it."""

    def read(self, store: Store, request: ReadRequest) -> "pl.DataFrame":
        """Return rows in long form, one per (date, entity), sorted by entity and date."""
        ...


class Regressor(Protocol):
    """A fitted model, which can be pickled."""

    def predict(self, features: "pd.DataFrame") -> "np.ndarray[Any, np.dtype[np.float64]]":
        """Return a prediction for each row of `features`, whose columns are those that it was fitted on."""
        ...


class Module(Protocol):
    """A way to learn from features; its parameters are those of its definition."""

    def fit(self, features: "pd.DataFrame", target: "pd.Series[float]") -> Regressor:
        """Return a model fitted on rows of features (Float64, may hold NaN) and their target (no NaN)."""
        ...


@dataclass(frozen=True)
class AllocationRequest:
    """What is known when weights are decided, at the close of the last day of `returns`.

    `returns` are simple daily returns: a row for each date, a column for each entity, no NaN. The expected
    returns are per day, by entity; `covariance` is per day too, entity by entity; `previous` are the
    weights that are held now. None where it was not given: then the optimizer estimates from `returns`.
    `entities` are all that there are prices of, on any day: parameters that name others are wrong.
    """

    returns: "pd.DataFrame"
    expected_returns: "pd.Series[float] | None" = None
    covariance: "pd.DataFrame | None" = None
    previous: "pd.Series[float] | None" = None
    entities: frozenset[str] | None = None


@dataclass(frozen=True)
class Allocation:
    """Weights by entity, as shares of capital, and how they came about.

    `expected_return` and `volatility` are per year (252 days); `effective_bets` is the effective number of
    bets; `solver_status` is what the solver said, or 'closed form' where there is none. Where they are known,
    `diversification_ratio` is that of the weights, and `iterations` how many the solver took.
    """

    weights: "pd.Series[float]"
    expected_return: float
    volatility: float
    effective_bets: float
    solver_status: str
    diversification_ratio: float | None = None
    iterations: int | None = None


class Optimizer(Protocol):
    """A way to decide on the weights of a portfolio."""

    def allocate(self, request: AllocationRequest) -> Allocation:
        """Return weights that satisfy every constraint of its parameters.

        Raises `Infeasible`, which names the constraints, where there are none; never falls back silently.
        """
        ...


Factory = Callable[[Any, Resources], Any]


@dataclass(frozen=True)
class Definition:
    """Code plus a parameters schema, under a kind, a name and a version.

    `factory(parameters, resources)` makes the plugin: a `Pipeline`, a `Store`, ... according to `kind`.
    `uses(parameters)` names what else decides what the plugin computes, like the operators of an expression.
    `columns(parameters)`, of a pipeline, are those of its rows, or None where that is seen when it has read them, and
    `entities(parameters)` all that its rows can be of, alike;
    `unfit(parameters, columns)`, of a store or an accessor, says why rows with these columns are not for it, with the
    remedy, or returns None.
    `flow_specs` are flows of its own, beside `flows`, which each of its instances has too.
    `packages` are those that what it makes needs wherever it is loaded again, beside scikit-learn and NumPy.
    `status_aggregation_contract` says how the status of an instance follows from those of its flows:
    `{"aggregation_method": "min_severity", "status_priority": [...]}`. Raises `InvalidContract` for a wrong one.
    """

    kind: Kind
    name: str
    version: int
    summary: str
    parameters: type[BaseModel]
    factory: Factory
    flows: tuple[FlowKind, ...] = ()
    roles: tuple[Role, ...] = ()
    status_aggregation_contract: Mapping[str, Any] = field(default_factory=lambda: DEFAULT_CONTRACT, hash=False)
    uses: Callable[[Any], tuple[str, ...]] = field(default=lambda parameters: ())
    columns: Callable[[Any], tuple[str, ...] | None] = field(default=lambda parameters: None)
    entities: Callable[[Any], tuple[str, ...] | None] = field(default=lambda parameters: None)
    unfit: Callable[[Any, Collection[str]], str | None] = field(default=lambda parameters, columns: None)
    flow_specs: tuple["FlowSpec", ...] = ()
    packages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        aggregation_of(self.status_aggregation_contract, self.ref)
        if self.flow_specs:
            self._check_flow_specs()

    def _check_flow_specs(self) -> None:
        from definitions.work.flow_spec import FlowSpec

        if self.kind not in _BRINGING:
            raise InvalidFlowSpec(f"{self.ref} can't bring flows: its instances have none. Leave flow_specs out")
        for each in self.flow_specs:
            if not isinstance(each, FlowSpec):
                raise InvalidFlowSpec(f"flow_specs of {self.ref}: {shown(each)} is not a FlowSpec: make one of it")
        kinds = [each.kind for each in self.flow_specs]
        if twice := {kind for kind in kinds if kinds.count(kind) > 1}:
            raise InvalidFlowSpec(f"flow_specs of {self.ref}: there are two of the kind {min(twice)!r}: rename one")

    @property
    def ref(self) -> str:
        return f"{self.kind} {self.name}@{self.version}"

    @cached_property
    def aggregation(self) -> Aggregation:
        return aggregation_of(self.status_aggregation_contract, self.ref)

    @property
    def flow_kinds(self) -> tuple[FlowKind, ...]:
        """All flows that an instance of it has: those of the type that it calls for, then those that it brings."""
        return (*self.flows, *(each.flow_kind for each in self.flow_specs))

    def flow_spec(self, kind: FlowKind) -> "FlowSpec | None":
        """Return the flow of that kind that it brings; None where it brings none."""
        return next((each for each in self.flow_specs if each.kind == kind), None)

    @property
    def requirements(self) -> tuple[str, ...]:
        """Its packages at the versions that are installed here, as pip takes them."""
        return tuple(f"{name}=={version(name)}" for name in self.packages)

    @cached_property
    def schema(self) -> dict[str, Any]:
        return self.parameters.model_json_schema()

    @cached_property
    def content_hash(self) -> str:
        """Hash of all that a change of version must announce: schema, flows, roles, aggregation."""
        content: dict[str, Any] = {
            "schema": self.schema,
            "flows": list(self.flows),
            "roles": [[r.name, r.required, r.many] for r in self.roles],
            "aggregation": [self.aggregation.aggregation_method, list(self.aggregation.status_priority)],
        }
        if self.flow_specs:
            content["flow_specs"] = [[each.kind, each.parameters.model_json_schema()] for each in self.flow_specs]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def parse(self, config: Mapping[str, Any]) -> BaseModel:
        """Check `config` against the parameters schema; `InvalidConfig` names each bad field.

        A field that the schema has not is one too, also where the schema itself would pass over it.
        """
        return parsed(self.parameters, config, self.ref)
