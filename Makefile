# The two commands: make demo, make test. Everything they need goes into this checkout.
SHELL := bash
# Each step is a process of its own: without bytecode it would compile what it imports every time.
export PYTHONDONTWRITEBYTECODE :=
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DAYS ?= 5
HOURS ?= 1
PROFILE ?= minimal
CLUSTER := tickvault
TESTS ?= tests/e2e
KUBECTL := kubectl --context kind-$(CLUSTER)
CHART = charts/tickvault --namespace tickvault --values charts/tickvault/profiles/$(PROFILE).yaml --values .images/values.yaml
# Helm says of every linked chart that it is linked.
QUIET := 2> >(grep -v 'walk.go' >&2)

.PHONY: help install demo test test-engines soak lint format docs images up e2e down doctor bench charts-docs clean

help: ## Show this list
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.complete ## Make the whole environment from uv.lock; make demo makes the part it needs

# Two sets of packages, a stamp each: what the demo needs, and everything. Bytecode is made of what is imported, then.
$(VENV)/.demo: uv.lock pyproject.toml
	$(call sync,--inexact --extra demo,What the demo needs goes into $(VENV): 240 MB to fetch and 0.8 GB on the disk)
	@touch $@

$(VENV)/.complete: uv.lock pyproject.toml
	$(call sync,--all-extras --group dev,Everything goes into $(VENV): 335 MB to fetch and 1.1 GB on the disk)
	@touch $(VENV)/.demo $@

define sync
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Tickvault needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is {v[0]}.{v[1]}; name another one: make PYTHON=python3.12 ...")'
	@echo "$(2)"
	@command -v uv >/dev/null || test -x .uv/bin/uv || { \
	  echo "uv, which installs, goes into .uv: 20 MB to fetch"; \
	  $(PYTHON) -m venv .uv || { echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv"; rm -rf .uv; exit 1; }; \
	  .uv/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	@set -- $$(command -v uv || echo .uv/bin/uv) sync --frozen $(1) --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"; \
	if test -t 2; then "$$@"; else "$$@" 2>&1 | grep --line-buffered -vE '^ [+~-] '; fi  # each package once more: no news
endef

demo: $(VENV)/.demo ## Run the platform here, simulated (DAYS=5, LIVE=1 for the public APIs)
	@$(BIN)/tickvault demo --days $(DAYS) $(if $(LIVE),--live)

test: install ## Run every test that needs no Docker
	@$(BIN)/pytest -q -n 3 --dist loadgroup --no-loadscope-reorder -m "not engine" tests

test-engines: install ## Run the tests with Trino, MinIO and Kafka in containers
	@$(BIN)/pytest -q --durations=15 -m engine --ignore tests/e2e tests

soak: install ## Run the fault suites with ever new seeds (HOURS=1, SEED=... to repeat one)
	@$(BIN)/python tests/soak.py --hours $(HOURS) $(if $(SEED),--seed $(SEED))

lint: install ## Check style, types, the rooms' imports, SQL and charts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo
	@cd dbt && ../$(BIN)/sqlfluff lint --disable-progress-bar models
	@if command -v helm >/dev/null; then helm lint --quiet --set global.generateSecrets=true $(dir $(wildcard charts/*/Chart.yaml)) $(QUIET); \
	else echo "helm is not on the PATH: the charts are not linted"; fi

format: install ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

docs: install ## Write dbt's documentation, from the demo's warehouse if there is one, and serve it
	@if test -d .tickvault/demo; then $(BIN)/tickvault local dbt docs --target dev-snowflake --serve 8581; \
	else SNOWFLAKE_ACCOUNT=fakesnow SNOWFLAKE_HOST=localhost SNOWFLAKE_PASSWORD=none $(BIN)/tickvault dbt docs --target dev-snowflake --offline --serve 8581; fi

doctor: install ## Check this machine and its cluster, with the events of pods that do not start
	@$(BIN)/tickvault doctor --cluster

images: ## Build the images whose content changed, and load them into the cluster if there is one
	@$(PYTHON) images/build.py
	@if kind get clusters 2>/dev/null | grep -qx $(CLUSTER); then $(PYTHON) images/load.py $(CLUSTER) < .images/references; fi

up: ## Create a kind cluster and install the platform in it (PROFILE=minimal or local)
	@echo "1/4 images"; $(PYTHON) images/build.py
	@echo "2/4 cluster $(CLUSTER)"; kind get clusters 2>/dev/null | grep -qx $(CLUSTER) || kind create cluster --config kind-config.yaml --wait 2m
	@$(KUBECTL) apply -f k8s/
	@echo "3/4 images into the cluster"; helm template tickvault $(CHART) --kube-version 1.34 $(QUIET) \
	  | sed -nE 's/^ *(- )?image: *"?([^"]+)"?$$/\2/p' | sort -u | $(PYTHON) images/load.py $(CLUSTER)
	@echo "4/4 release tickvault, profile $(PROFILE): until every pod is ready"
	@helm upgrade --install tickvault $(CHART) --kube-context kind-$(CLUSTER) --wait --wait-for-jobs --timeout 10m $(QUIET)

e2e: install ## Test the platform in the cluster that `make up` made (TESTS=tests/e2e/test_backup.py for a part)
	@REQUIRE_ENGINES=1 $(BIN)/pytest -q -s --durations=15 $(TESTS)

down: ## Remove the cluster and everything in it
	@kind delete cluster --name $(CLUSTER)
	@rm -rf .images

bench: install ## Print the figures, each beside a baseline of the same run
	@for name in generator load memory startup; do $(BIN)/python benchmarks/$$name.py; done

charts-docs: install ## Write the charts' READMEs and schemas from their values' comments
	@$(BIN)/python charts/readme.py

clean: ## Remove the environment and what the demo left
	@rm -rf .venv .uv .tickvault
