"""The guide's form: the fields of one instance as the user's platform writes them, said in our words.

Both forms may be mixed in one document; what is said twice is refused. What the guide can say and we can't do is a
problem that names the field. docs/platform.md has the table.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from definitions.known_words import unknown_word
from instances.documents.called_definitions import call, is_called
from instances.documents.guide_words import DERIVED
from instances.specification.types import PARTS, TYPES
from research.errors import shown

Names = Mapping[str, str]
NO_NAMES: Names = MappingProxyType({})
PricesBehind = Callable[[list[str]], list[str]]
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def our_name(name: str) -> str:
    """Return a name of the guide's as Prefect takes it: '12M_Momentum' is '12m-momentum'."""
    return re.sub(r"[\s_]+", "-", name.strip()).lower()


@dataclass
class Translation:
    """The fields of an instance in our words, and what of the guide's can't be meant: places with what is wrong."""

    type: str
    fields: dict[str, Any]
    names: Names = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def take(self, word: str) -> Any:
        """Take a field out; what is null was not said."""
        return self.fields.pop(word, None)

    def mapping(self, word: str) -> dict[str, Any]:
        """Take a field out that is a mapping; what is none is a problem."""
        value = self.take(word)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problem(word, f"must be a mapping of fields, not {shown(value)}")
            return {}
        return {str(name): each for name, each in value.items() if each is not None}

    def problem(self, place: str, what: str) -> None:
        self.problems.append((place, what))

    def put(self, ours: str, value: Any, word: str) -> None:
        """Set a field of ours that a word of the guide's means."""
        if value is None:
            return
        if self.fields.get(ours) is not None:
            self.problem(word, f"means {ours!r}, which is there too: leave one of them out")
        self.fields[ours] = value

    def name(self, value: Any, place: str) -> Any:
        """Return the name of the instance that an id or a name of the guide's refers to."""
        if not isinstance(value, str):
            return value
        if value in self.names:
            return self.names[value]
        if _UUID.fullmatch(value):
            self.problem(place, f"{value} is the id of no document here: write the name of the instance")
        return our_name(value)

    def only(self, value: Mapping[str, Any], known: set[str], place: str) -> None:
        """Tell of what is in a mapping of the guide's and has no meaning there."""
        for word in value.keys() - known:
            self.problem(f"{place}.{word}", unknown_word(word, known))


def in_our_form(
    type_: str, fields: Mapping[str, Any], *, names: Names = NO_NAMES, prices_behind: PricesBehind | None = None
) -> Translation:
    """Return the fields of an instance in our words.

    `names` has the names of instances by their ids. `prices_behind` returns the datasets that lie behind instances,
    where those are known.
    """
    reading = Translation(type_, dict(fields), names)
    _unwrap(reading)
    ours = TYPES[type_].spec.model_fields
    for word in [word for word in reading.fields if word in DERIVED and word not in ours]:
        reading.take(word)
        reading.problem(word, "is derived from runs, and can't be set: leave it out")
    if "definition" in ours:
        _definition(reading)
    _schedule(reading)
    _upstreams(reading)
    if type_ in _OF_TYPE:
        _OF_TYPE[type_](reading, prices_behind)
    return reading


def _unwrap(reading: Translation) -> None:
    for word, value in reading.mapping("metadata_json").items():
        if word in reading.fields:
            reading.problem(f"metadata_json.{word}", f"stands beside metadata_json too: leave one {word!r} out")
        reading.fields[word] = value


def _definition(reading: Translation) -> None:
    definition = reading.take("definition_resource_id")
    if isinstance(definition, str) and _UUID.fullmatch(definition):
        reading.problem(
            "definition_resource_id",
            f"{definition} names no definition: write one of those that `optaic definitions` lists",
        )
    reading.put("definition", definition, "definition_resource_id")
    version = reading.take("definition_version_id")
    if isinstance(version, str) and version.isdigit():
        version = int(version)
    if isinstance(version, str):
        reading.problem("definition_version_id", f"must be the number of a version, not {shown(version)}")
        version = None
    reading.put("definition_version", version, "definition_version_id")
    if "config_json" in reading.fields:
        reading.put("config", reading.mapping("config_json"), "config_json")


def _schedule(reading: Translation) -> None:
    if reading.fields.get("schedule_json") is None:
        reading.take("schedule_json")
        return
    schedule = reading.mapping("schedule_json")
    if reading.type == "model":
        reading.problem("schedule_json", "a model has a schedule for each flow: write train: {schedule: ...}")
        return
    reading.put("schedule", schedule, "schedule_json")


def _upstreams(reading: Translation) -> None:
    refs = reading.fields.get("upstream_refs")
    if not isinstance(refs, list | tuple):
        return
    found: list[Any] = []
    for number, ref in enumerate(refs):
        if isinstance(ref, Mapping) and "resource_id" in ref:
            place = f"upstream_refs.{number}.resource_id"
            if "instance" in ref:
                reading.problem(place, "means 'instance', which is there too: leave one of them out")
            own = {word: value for word, value in ref.items() if word != "resource_id"}
            ref = own | {"instance": reading.name(ref["resource_id"], place)}
        found.append(ref)
    reading.fields["upstream_refs"] = found


def _more_upstreams(reading: Translation, names: list[Any], **ref: Any) -> None:
    there = reading.fields.get("upstream_refs") or ()
    reading.fields["upstream_refs"] = [*there, *({"instance": name, **ref} for name in names)]


def _dataset(reading: Translation, prices_behind: PricesBehind | None) -> None:
    if (updates := reading.take("update_frequency")) is not None:
        known = reading.fields.pop("freshness", None) or {}
        if isinstance(known, Mapping) and "update_frequency" not in known:
            reading.put("freshness", {**known, "update_frequency": updates}, "update_frequency")
        else:
            reading.problem("update_frequency", "means freshness.update_frequency, which is there too: leave one out")
    for part in PARTS:
        word = f"{part}_id"
        if (value := reading.take(word)) is not None:
            reading.put(part, reading.name(value, word), word)


def _signal(reading: Translation, prices_behind: PricesBehind | None) -> None:
    _dataset(reading, prices_behind)
    if (expression := _expression(reading)) is not None:
        pipeline = {"definition": "expression", "config": {"expression": expression}}
        reading.put("pipeline_instance", pipeline, "expression")
    spec = reading.fields.get("signal_spec")
    if not isinstance(spec, Mapping):
        return
    spec = dict(spec)
    for word, ours in (("min_value", "min"), ("max_value", "max"), ("neutral_value", "neutral")):
        if word in spec:
            if ours in spec:
                reading.problem(f"signal_spec.{word}", f"means {ours!r}, which is there too: leave one of them out")
            value = spec.pop(word)
            spec |= {ours: value} if value is not None else {}
    schema = spec.pop("index_schema", None)
    if isinstance(schema, Mapping):
        reading.only(schema, {"columns", "date_frequency"}, "signal_spec.index_schema")
        if "columns" in schema:
            spec["index_columns"] = schema["columns"]
        if "date_frequency" in schema:
            spec["date_frequency"] = schema["date_frequency"]
    elif schema is not None:
        reading.problem("signal_spec.index_schema", f"must be a mapping of fields, not {shown(schema)}")
    reading.fields["signal_spec"] = spec


def references(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what an instance says of those that it reads, as far as it can be read."""
    refs = fields.get("upstream_refs")
    return [ref for ref in refs if isinstance(ref, Mapping)] if isinstance(refs, list | tuple) else []


def _expression(reading: Translation) -> Any:
    """Take `expression` and `input_datasets` out; return the expression with the columns as they are named here."""
    expression, datasets = reading.take("expression"), reading.mapping("input_datasets")
    names = {word: reading.name(value, f"input_datasets.{word}") for word, value in datasets.items()}
    inputs = list(dict.fromkeys(name for name in names.values() if isinstance(name, str)))
    if inputs:
        _more_upstreams(reading, inputs)
    if len(inputs) > 1 and isinstance(expression, str):
        from definitions.joining import prefix  # Polars takes a while to import

        for word, instance in names.items():
            column = f"{prefix(str(instance))}_{word}"
            expression = re.sub(rf"\b{re.escape(word)}\b(?!\s*\()", column, expression)
    return expression


def _experiment(reading: Translation, prices_behind: PricesBehind | None) -> None:
    expression, config = _expression(reading), reading.fields.get("config") or {}
    if (called := reading.fields.get("definition")) is not None and is_called(called):
        reading.fields["definition"] = "expression"
        if expression is None and isinstance(config, Mapping):
            try:
                expression, config = call(called, config), {}
            except ValueError as error:
                reading.problem("definition", str(error))
    if expression is not None:
        if isinstance(config, Mapping) and "expression" in config:
            reading.problem("expression", "stands in the config too: leave one of them out")
        reading.fields["config"] = {**config, "expression": expression}
    preview = reading.mapping("preview_config")
    reading.only(preview, {"date_range", "universe"}, "preview_config")
    reading.put("date_range", preview.get("date_range"), "preview_config.date_range")
    reading.put("universe", preview.get("universe"), "preview_config.universe")


def _model(reading: Translation, prices_behind: PricesBehind | None) -> None:
    config = reading.fields.get("config")
    if not isinstance(config, Mapping) or "feature_columns" not in config:
        return
    wanted = config["feature_columns"]
    reading.fields["config"] = {word: value for word, value in config.items() if word != "feature_columns"}
    features = [ref.get("instance") for ref in references(reading.fields) if ref.get("role") == "features"]
    columns = [reading.name(each, "config_json.feature_columns") for each in wanted] if isinstance(wanted, list) else []
    if sorted(map(str, columns)) != sorted(map(str, features)):
        reading.problem(
            "config_json.feature_columns",
            f"{shown(wanted)} must name just the upstreams in the role 'features', which are "
            f"{', '.join(map(shown, features)) or 'none'}",
        )


def _optimizer(reading: Translation, prices_behind: PricesBehind | None) -> None:
    config = reading.fields.get("config") or {}
    if not isinstance(config, Mapping):
        return
    config = dict(config)
    if config.pop("solver", None) is not None:
        reading.problem("config_json.solver", "an optimizer chooses its solver itself: leave it out")
    _constraints(reading, config)
    reading.fields["config"] = config
    signals = reading.take("input_signal_ids")
    if isinstance(signals, list):
        _more_upstreams(reading, [reading.name(each, "input_signal_ids") for each in signals], role="signal")
    elif signals is not None:
        reading.problem("input_signal_ids", f"must be a list, not {shown(signals)}")
    if (dataset := reading.take("covariance_dataset_id")) is not None:
        covers = any(ref.get("role") == "prices" for ref in references(reading.fields))
        role = "covariance" if covers else "prices"
        _more_upstreams(reading, [reading.name(dataset, "covariance_dataset_id")], role=role)


def _constraints(reading: Translation, config: dict[str, Any]) -> None:
    given = reading.mapping("constraints_json")
    known = {"sum_to_one", "min_weight", "max_weight", "max_gross_leverage", "sector_limits"}
    reading.only(given, known, "constraints_json")
    for word, ours in (("min_weight",) * 2, ("max_weight",) * 2, ("max_gross_leverage", "gross_leverage")):
        if word in given and ours in config:
            reading.problem(f"constraints_json.{word}", f"means {ours!r}, which the config has too: leave one out")
        elif word in given:
            config[ours] = given[word]
    adds_up = given.get("sum_to_one", True)
    if adds_up is not True:
        reading.problem(
            "constraints_json.sum_to_one",
            f"the weights always have a given sum, and {shown(adds_up)} gives none: write config net_leverage",
        )
    elif "sum_to_one" in given and config.get("net_leverage", 1) != 1:
        reading.problem("constraints_json.sum_to_one", "net_leverage says otherwise: leave one of them out")
    limits = given.get("sector_limits")
    if limits is None:
        return
    if not isinstance(limits, Mapping) or not isinstance(config.get("groups"), Mapping):
        reading.problem(
            "constraints_json.sector_limits",
            "takes the sector of each entity: write config groups, like {AAPL: Technology}, beside it",
        )
        return
    if "group_limits" in config:
        reading.problem("constraints_json.sector_limits", "means 'group_limits', which the config has too")
    config["group_limits"] = {sector: {"max": share} for sector, share in limits.items()}


def _backtest(reading: Translation, prices_behind: PricesBehind | None) -> None:
    if "signals_json" in reading.fields:
        _signals(reading)
    for word, ours in (("date_range_json", "date_range"), ("config_json", "config")):
        if word in reading.fields:
            reading.put(ours, reading.mapping(word), word)
    if "assets_json" in reading.fields:
        _assets(reading, prices_behind)


def _signals(reading: Translation) -> None:
    given = reading.mapping("signals_json")
    reading.only(given, {"primary", "secondary", "optimizer_instance_id"}, "signals_json")
    if (optimizer := given.get("optimizer_instance_id")) is not None:
        reading.put("optimizer", reading.name(optimizer, "signals_json.optimizer_instance_id"), "signals_json")
    own: dict[str, Any] = {}
    if (primary := given.get("primary")) is not None:
        own["primary"] = reading.name(primary, "signals_json.primary")
    secondary = given.get("secondary")
    if isinstance(secondary, list):
        own["secondary"] = [reading.name(each, "signals_json.secondary") for each in secondary]
    elif secondary is not None:
        reading.problem("signals_json.secondary", f"must be a list, not {shown(secondary)}")
    reading.put("signals", own or None, "signals_json")


def _assets(reading: Translation, prices_behind: PricesBehind | None) -> None:
    given = reading.mapping("assets_json")
    reading.only(given, {"universe", "universe_dataset_id", "benchmark", "instance"}, "assets_json")
    prices = given.get("instance")
    prices = _prices(reading, prices_behind) if prices is None else reading.name(prices, "assets_json.instance")
    own = _universe(reading, given)
    if prices is None:
        return
    reading.put("assets", {"instance": prices, **own}, "assets_json")
    benchmark = given.get("benchmark")
    if isinstance(benchmark, Mapping):
        reading.only(benchmark, {"instance", "entity"}, "assets_json.benchmark")
        other = reading.name(benchmark.get("instance", prices), "assets_json.benchmark.instance")
        reading.put("benchmark", {**benchmark, "instance": other}, "assets_json.benchmark")
    elif benchmark is not None:
        reading.put("benchmark", {"instance": prices, "entity": benchmark}, "assets_json.benchmark")


def _universe(reading: Translation, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entities, a list, or the dataset of constituents that a backtest may hold."""
    listed, dataset, place = given.get("universe"), given.get("universe_dataset_id"), "assets_json.universe_dataset_id"
    if isinstance(listed, Mapping):
        reading.only(listed, {"instance"}, "assets_json.universe")
        listed = listed.get("instance")
    if isinstance(listed, str):  # a dataset there too
        if dataset is not None:
            reading.problem(place, "means 'universe', which is there too: leave one of them out")
        listed, dataset, place = None, listed, "assets_json.universe"
    if listed is not None and not isinstance(listed, list):
        reading.problem("assets_json.universe", f"must be a list of entities, or a dataset, not {shown(listed)}")
        listed = None
    if listed and dataset is not None:
        reading.problem(place, "and the entities of universe both say what may be held: leave one of them out")
    universe = {} if dataset is None else {"universe": reading.name(dataset, place)}
    return {"entities": listed or [], **universe}


def _prices(reading: Translation, prices_behind: PricesBehind | None) -> str | None:
    """Return the one dataset behind what a backtest follows; where there is not just one that is a problem."""
    signals = reading.fields.get("signals")
    followed = [signals.get("primary"), *(signals.get("secondary") or ())] if isinstance(signals, Mapping) else []
    followed.append(reading.fields.get("optimizer"))
    found = prices_behind([each for each in followed if isinstance(each, str)]) if prices_behind is not None else []
    if len(found) == 1:
        return found[0]
    behind = f"{len(found)} datasets ({', '.join(found)})" if found else "no dataset that is known here"
    reading.problem(
        "assets_json.instance",
        f"is missing: the dataset of the prices; only tickers are named, and behind the signals lies {behind}",
    )
    return None


_OF_TYPE: Mapping[str, Callable[[Translation, PricesBehind | None], None]] = MappingProxyType(
    {
        "dataset": _dataset,
        "signal": _signal,
        "experiment": _experiment,
        "model": _model,
        "portfolio_optimizer": _optimizer,
        "backtest": _backtest,
    }
)
