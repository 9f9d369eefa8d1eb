import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from definitions.contract import Definition, FlowKind, Kind
from definitions.errors import DefinitionConflict, InvalidConfig, UnknownDefinition, UnknownVersion
from definitions.registry import Registry, default_registry


class Parameters(BaseModel):
    path: str


def definition(
    name: str, version: int = 1, *, kind: Kind = Kind.PIPELINE, flows: tuple[FlowKind, ...] = ()
) -> Definition:
    return Definition(kind, name, version, "", Parameters, lambda parameters, resources: None, flows)


REGISTRY = Registry(
    [definition("csv", 2), definition("csv", 10), definition("csv", 1), definition("csv", kind=Kind.STORE)]
)


def test_get_returns_the_newest_or_the_pinned_version() -> None:
    assert REGISTRY.get(Kind.PIPELINE, "csv").version == 10
    assert REGISTRY.get(Kind.PIPELINE, "csv", 2).version == 2
    assert REGISTRY.get(Kind.STORE, "csv").ref == "store csv@1"


def test_all_is_sorted_and_newest_has_one_of_each() -> None:
    refs = [one.ref for one in REGISTRY.all()]
    assert refs == ["pipeline csv@1", "pipeline csv@2", "pipeline csv@10", "store csv@1"]
    assert [one.ref for one in REGISTRY.newest(Kind.PIPELINE)] == ["pipeline csv@10"]


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(UnknownDefinition) as caught:
        REGISTRY.get(Kind.PIPELINE, "cvs")

    assert str(caught.value) == (
        "there is no pipeline definition named 'cvs'. Did you mean 'csv'? Installed: csv. "
        "Install the package that brings it (entry point group 'optaic.definitions'), or correct the name."
    )


def test_an_unknown_version_says_which_there_are() -> None:
    with pytest.raises(UnknownVersion) as caught:
        REGISTRY.get(Kind.PIPELINE, "csv", 3)

    assert str(caught.value) == (
        "pipeline definition 'csv' has no version 3; there are: 1, 2, 10. "
        "Pin one of those, or leave definition_version out for the newest."
    )


def test_two_contents_under_one_version_conflict() -> None:
    with pytest.raises(DefinitionConflict, match="pipeline csv@1 has changed under the same version"):
        Registry([definition("csv"), definition("csv", flows=(FlowKind.REFRESH,))])
    Registry([definition("csv"), definition("csv")])


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    default_registry.cache_clear()
    yield
    default_registry.cache_clear()


def install(folder: Path, name: str, code: str) -> None:
    """Lay out an installed package that brings definitions."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[optaic.definitions]\nmine = {name}:definitions\n")
    (folder / f"{name}.py").write_text(code)


BROKEN = {
    "broken_import": ("import nowhere", "ModuleNotFoundError(\"No module named 'nowhere'\")"),
    "broken_call": ("def definitions(): return 1 / 0", "ZeroDivisionError('division by zero')"),
    "broken_contract": (
        "from definitions.modules.module import module_definition\n"
        "from definitions.modules.ridge import RidgeParameters\n"
        "def definitions():\n"
        "    given = dict(name='own', version=1, summary='', parameters=RidgeParameters, factory=RidgeParameters)\n"
        "    return [module_definition(**given, status_aggregation_contract={'status_priority': ['BAD']})]\n",
        "status_aggregation_contract of ml_module own@1: 'BAD' is no status. There are: ERROR, UNKNOWN, "
        "NOT_INITIALIZED, STALE, STALE_SOURCE_DELAYED, RUNNING, READY",
    ),
    "broken_result": ("def definitions(): return ['csv']", "it gives 'csv', which is not a Definition"),
}


@pytest.mark.usefixtures("fresh_registry")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_package_is_named_and_stops_itself_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, problem = BROKEN[name]
    install(tmp_path, name, code)
    monkeypatch.syspath_prepend(tmp_path)

    registry = default_registry()
    told = (
        f"package {name!r} does not load its definitions (entry point 'mine' = {name}:definitions): {problem}. "
        "Repair it or uninstall it."
    )
    assert list(map(str, registry.broken)) == [told]
    assert registry.get(Kind.STORE, "delta").name == "delta"
    with pytest.raises(UnknownDefinition) as caught:
        registry.get(Kind.ML_MODULE, "own")
    assert f"It may be of a package that is broken: {told} Install the package" in str(caught.value)


MEDIAN = """
from definitions.operators.operator_definitions import operator_definition
from research.expressions.operators import Axis, Form, Operator, Series

MEDIAN = Operator("MEDIAN", "", (Form((Series("x"),), Axis.DATE, lambda x: x.median()),))

def definitions():
    return [operator_definition(MEDIAN)]
"""


@pytest.mark.usefixtures("fresh_registry")
def test_an_installed_package_brings_an_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"expression": "close - MEDIAN(close)"}
    with pytest.raises(InvalidConfig, match="there is no operator 'MEDIAN'"):
        default_registry().get(Kind.PIPELINE, "expression").parse(config)

    install(tmp_path, "median_operator", MEDIAN)
    monkeypatch.syspath_prepend(tmp_path)
    default_registry.cache_clear()

    default_registry().get(Kind.PIPELINE, "expression").parse(config)


def test_the_builtin_definitions_load_without_heavy_libraries() -> None:
    code = """
import sys
import definitions.builtin
definitions.builtin.definitions()
heavy = {"mlflow", "evidently", "skfolio", "bt", "sklearn", "pandas", "matplotlib", "prefect", "sqlalchemy"}
print(sorted(heavy & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"


FLOWS = {
    Kind.PIPELINE: (FlowKind.REFRESH,),
    Kind.ML_MODULE: (FlowKind.TRAIN, FlowKind.INFER, FlowKind.MONITOR),
    Kind.PORTFOLIO_OPTIMIZER: (FlowKind.OPTIMIZE,),
}


def test_every_builtin_definition_says_what_it_is() -> None:
    for one in default_registry().all():
        assert one.summary.endswith("."), one.ref
        assert all(field.description for field in one.parameters.model_fields.values()), one.ref
        more = (FlowKind.PREVIEW,) if one.ref == "pipeline expression@2" else ()
        assert one.flows == (*FLOWS.get(one.kind, ()), *more), one.ref


def test_what_is_wrong_with_a_config_as_a_whole_has_no_place() -> None:
    optimizer = default_registry().get(Kind.PORTFOLIO_OPTIMIZER, "mean-variance")
    with pytest.raises(InvalidConfig) as caught:
        optimizer.parse({"objective": "minimum-variance", "risk_aversion": 2})
    assert str(caught.value).startswith(
        "the config does not fit portfolio_optimizer mean-variance@2: risk_aversion has no part in minimum-variance: "
        "leave it out, or choose maximum-utility (got {"
    )
