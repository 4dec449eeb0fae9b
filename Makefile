# The two commands: make demo, make test. Everything they need goes into this checkout.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DAYS ?= 5

.PHONY: help install demo test test-engines lint format docs images up e2e down doctor bench clean

help: ## Show this list
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.complete ## Make the virtual environment from uv.lock

$(VENV)/.complete: uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Tickvault needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is {v[0]}.{v[1]}; name another one: make PYTHON=python3.12 ...")'
	@command -v uv >/dev/null || test -x .uv/bin/uv || { \
	  $(PYTHON) -m venv .uv || { echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv"; rm -rf .uv; exit 1; }; \
	  .uv/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	@uv=$$(command -v uv || echo .uv/bin/uv); $$uv sync --quiet --frozen --all-extras --group dev --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	@touch $@

demo: install ## Run the platform here, simulated (DAYS=5, LIVE=1 for the public APIs)
	@$(BIN)/tickvault demo --days $(DAYS) $(if $(LIVE),--live)

test: install ## Run every test that needs no Docker
	@$(BIN)/pytest -q -n 2 --dist loadfile -m "not engine" tests

test-engines: install ## Run the tests with Trino, MinIO and Kafka in containers
	@$(BIN)/pytest -q -m engine --ignore tests/e2e tests

lint: install ## Check style, types, SQL and charts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@cd dbt && ../$(BIN)/sqlfluff lint --disable-progress-bar models tests

format: install ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

doctor: install ## Check this machine and its cluster, with the events of pods that do not start
	@$(BIN)/tickvault doctor --cluster

clean: ## Remove the environment and what the demo left
	@rm -rf .venv .uv .tickvault
