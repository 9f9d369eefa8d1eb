# One command sets up, one checks, one tests, one shows. CI runs the same ones.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast torture check format bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.ready: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@UV=$$(command -v uv || true); \
	if [ -z "$$UV" ]; then $(BIN)/python -m pip install --quiet uv; UV=$(BIN)/uv; fi; \
	echo "installing into $(VENV) ..."; \
	"$$UV" pip install --quiet --python $(BIN)/python --compile-bytecode -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m prefect_optaic.short_name
	@touch $@

setup: $(VENV)/.ready ## make .venv and install everything into it

demo: setup ## real prices through guarded deployments, on a stack of its own
	@$(BIN)/prefect-optaic demo

test: setup ## the tests; they start a real Postgres, Prefect server and worker
	$(BIN)/python -m pytest

test-fast: setup ## the tests that need no Prefect server
	$(BIN)/python -m pytest -m "not integration and not torture"

torture: setup ## what takes longer: kills at 30 points, many waves, every property on many examples
	$(BIN)/python -m pytest -m "torture or hypothesis" --hypothesis-profile=torture

check: setup ## format, lint, types, layers, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m instances.storage.migrations.check

format: setup ## format the code and repair what lint can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## measure; prints ratios, judges nothing
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

clean: ## stop the stack and remove all that the other targets made
	@if [ -x $(BIN)/prefect-optaic ]; then $(BIN)/prefect-optaic down; fi
	rm -rf $(VENV) .optaic .build build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
