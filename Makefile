# `make simulate` needs Python 3.11 or newer and nothing else. `make help` lists the rest.

PY ?= python3
VENV ?= .venv
SCENARIO ?= scenarios/ivig.yaml
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# pip compiles one file after the other; compileall uses every core. Compiling even where
# PYTHONDONTWRITEBYTECODE is set keeps imports fast.
INSTALL := $(PIP) install --quiet --no-compile
COMPILE := $(BIN)/python -m compileall -qq -j 0
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
BENCHMARKS := $(wildcard benchmarks/test_*.py)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help simulate install install-dev test test-slow test-long notebooks coverage bench lint format lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "Variables: PY=python3.13 (used when the environment is made), VENV=.venv, SCENARIO=file.yaml, ARGS='...'"

simulate: install ## install what is needed, then simulate SCENARIO
	$(BIN)/sps-adaptive simulate $(SCENARIO) $(ARGS)

install: $(VENV)/.installed ## the environment, from requirements.lock

install-dev: $(VENV)/.installed-dev ## the same with the tools for tests, notebooks and lint

test: install-dev ## the tests, without the slow ones
	$(BIN)/python -m pytest $(ARGS)

test-slow: install-dev ## the slow tests, without those that need minutes each
	@$(BIN)/python -m pytest -m "slow and not long" $(ARGS); code=$$?; \
	[ $$code -ne 5 ] || { echo "There are no slow tests."; exit 0; }; exit $$code

test-long: install-dev ## the tests that need minutes each
	$(BIN)/python -m pytest -m long $(ARGS)

coverage: install-dev ## the tests, with the lines and branches they miss
	$(BIN)/python -m pytest --cov $(ARGS)

notebooks: install-dev ## execute the notebooks
	@[ -n "$(NOTEBOOKS)" ] || { echo "There are no notebooks."; exit 0; }; \
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=600 $(NOTEBOOKS) $(ARGS)

bench: install-dev ## the benchmarks, one at a time
	@[ -n "$(BENCHMARKS)" ] || { echo "There are no benchmarks."; exit 0; }; \
	$(BIN)/python -m pytest -n 0 --benchmark-enable -m "slow or not slow" $(BENCHMARKS) $(ARGS)

lint: install-dev ## style, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: install-dev ## rewrite the code in the one format
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

clean: ## remove the environments and all caches, keep runs/
	rm -rf .venv* build dist .benchmarks .coverage htmlcov .hypothesis .import_linter_cache \
	  .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the environment: each stamp is newer than what it was made from

$(VENV)/pyvenv.cfg:
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "sps-adaptive needs Python 3.11 or newer, and '$(PY)' is not or does not run: name one, as in 'make simulate PY=python3.13'." >&2; \
	  exit 1; }
	@echo "Making $(VENV) with $$($(PY) --version)." >&2
	@$(PY) -m venv "$(VENV)" || { rm -f "$@"; exit 1; }

$(VENV)/.locked: requirements.lock | $(VENV)/pyvenv.cfg
	@echo "Installing what requirements.lock names (about a minute, once)." >&2
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(COMPILE) $(VENV)/lib || true  # some packages carry files that are not meant to compile
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.locked
	@$(INSTALL) --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.locked | $(VENV)/.installed
	@echo "Installing what requirements-dev.lock names (about a minute, once)." >&2
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(COMPILE) $(VENV)/lib || true
	@touch $@

# ---- the locks: every supported Python and system, hashes, no address.
# One version of each library for all Pythons (`fewest`), so that all compute the same numbers.
# Extras stay in the lock: some releases of pip do not count `coverage==1` as `coverage[toml]==1` and ask for a hash.
# `make lock UPGRADE=--upgrade` takes the newest; without it only what pyproject.toml asks for changes.

UPGRADE ?=
UV_COMPILE = .venv-lock/bin/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
  --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links --no-header $(UPGRADE)

lock: ## make the two lock files again
	@[ -x .venv-lock/bin/uv ] || { $(PY) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv; }
	$(UV_COMPILE) pyproject.toml --output-file requirements.lock >/dev/null
	$(UV_COMPILE) pyproject.toml --extra test --extra dev --extra notebooks --constraints requirements.lock \
	  --output-file requirements-dev.lock >/dev/null
	@! grep -n -i -E 'http|index-url' requirements.lock requirements-dev.lock
