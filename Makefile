PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install run test check bench fuzz mutate fmt lock static

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

install: .venv/.installed node_modules/.installed ## provide everything: .venv, the page's client, Centrifugo 6 and 5
	@$(BIN)/python -m proxy.demo.provide 6.9.1 5.4.9

run: .venv/.installed node_modules/.installed ## start Centrifugo and the service and play the scenario (ONCE=1: then stop)
	@$(BIN)/python -m proxy dev $(if $(filter-out 0,$(ONCE)),--once)

test: install static ## run all checks and all tests, those against real servers included
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term-missing:skip-covered

check: .venv/.installed static ## run the static checks only: lint, format, types, layers

static: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install ## measure the service, against its baselines
	$(BIN)/python -m bench

fuzz: .venv/.installed ## compare expressions with Google's CEL for long (FUZZ_EXAMPLES, FUZZ_SEED: how many, which)
	FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),200000) FUZZ_SEED=$(or $(FUZZ_SEED),$(shell date +%s)) $(BIN)/python -m pytest -n 2 -rP tests/trust/test_cel.py

mutate: .venv/.installed ## change the policy's code in small ways and list what no test notices (PATHS: where)
	$(BIN)/python tools/mutate.py $(or $(PATHS),proxy/policy/deciding)

fmt: .venv/.installed ## format the code and mend what can be mended
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: .venv/.installed ## pin the newest versions that pyproject.toml allows, with their hashes
	$(BIN)/uv pip compile $(LOCK) --upgrade -o requirements.lock
	$(BIN)/uv pip compile $(LOCK) --upgrade --group dev -c requirements.lock -o requirements-dev.lock
	npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --no-audit --no-fund

LOCK := pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet

# The lock is complete: looking for dependencies, older versions of pip want what is newer than it.
.venv/.installed: requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the Python packages."
	@$(PIP) install --no-deps --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

node_modules/.installed: package-lock.json
	@if command -v npm >/dev/null; \
	then npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@; \
	else echo "npm is not installed: the demo page stays without its client."; fi

# What `docker compose` takes its secrets from; `make run` writes them, too.
.env: .venv/.installed
	@$(BIN)/python -c "from pathlib import Path; from proxy.demo.secrets import complete; print('Added:', *complete(Path('$@')))"
