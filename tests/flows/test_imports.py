"""What a refresh pays for in imports."""

import subprocess
import sys

import pytest

HEAVY = ("mlflow", "evidently", "skfolio", "bt", "sklearn", "pandas", "matplotlib")


@pytest.mark.parametrize("module", ["flows.dataset", "flows.bootstrap", "flows.sweep"])
def test_a_flow_module_imports_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
