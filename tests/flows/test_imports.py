"""What a refresh pays for in imports."""

import subprocess
import sys

MODULES = ("flows.dataset", "flows.bootstrap", "flows.sweep")
HEAVY = ("mlflow", "evidently", "skfolio", "bt", "sklearn", "pandas", "matplotlib")
IMPORTED = f"""
import importlib, sys
for module in {MODULES!r}:
    importlib.import_module(module)
    print(module, *(name for name in {HEAVY!r} if name in sys.modules))
"""


def test_no_flow_module_imports_a_heavy_library() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == list(MODULES)
