# Everything a developer and the CI run; `make` lists it.
#
# One environment, .venv, serves all targets. It is filled from the hash-locked files of requirements/ in two steps:
# what a user installs first (enough for the demo), the development tools when a target needs them. It is filled
# again only when a lock file changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
RUNTIME := $(VENV)/runtime.stamp
DEV := $(VENV)/dev.stamp
PYTEST_ARGS ?=
# A process a core. Files stay whole where tests share a server, a database or a Swarm.
PARALLEL := --numprocesses=auto
BY_FILE := $(PARALLEL) --dist=loadfile
# How long each test took, for `make shares`.
REPORT = --junitxml=build/tests/$@.xml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test test-deps test-unit test-integration test-swarm shares lint fix bench soak docs dist lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@PYTHON='$(PYTHON)' scripts/make-venv $(VENV)

# The project itself is installed in place, without asking an index for anything: its build backend is locked too.
$(RUNTIME): requirements/runtime.txt requirements/build.txt | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(DEV): requirements/dev.txt $(RUNTIME)
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

venv: $(DEV) ## make or update .venv with the development tools

demo: $(RUNTIME) ## show the whole product in one run, without Docker or root
	@$(BIN)/python scripts/demo

test: test-deps test-unit test-integration test-swarm ## everything (root; installs the peers); with -k all of it, whatever fails

test-deps: ## install what the tests with peers need, from Debian's packages (root)
	scripts/install-test-deps

test-unit: $(DEV) ## unit and fuzz tests: no root, no network, no services
	$(BIN)/pytest tests/unit tests/fuzz $(PARALLEL) $(REPORT) $(PYTEST_ARGS)

test-integration: $(DEV) ## against PostgreSQL, a registry, openssl and other real peers
	$(BIN)/pytest tests/integration $(BY_FILE) $(REPORT) $(PYTEST_ARGS)

test-swarm: $(DEV) ## against real Docker Engines in swarm mode (root)
	$(BIN)/pytest tests/swarm $(BY_FILE) --no-loadscope-reorder $(REPORT) $(PYTEST_ARGS)

shares: $(DEV) ## how much of the last tests each part of the product took
	@$(BIN)/python scripts/test-shares

lint: $(DEV) ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(DEV) ## let ruff repair and format what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV) ## measure against the peers that the figures name
	$(BIN)/python -m benchmarks

soak: $(DEV) ## the whole test suite with the long loops on
	SWARMSEC_SOAK=1 $(BIN)/pytest --timeout=3600 $(PYTEST_ARGS)

docs: $(DEV) ## run the examples and check the links of the documentation
	$(BIN)/pytest tests/unit/docs $(PYTEST_ARGS)

dist: $(DEV) ## reproducible wheel and sdist, SBOM and SHA256SUMS in dist/
	$(BIN)/python scripts/build-dist dist

lock: ## resolve requirements/ anew; UPGRADE=1 takes newer versions
	PYTHON='$(PYTHON)' scripts/lock-requirements $(if $(UPGRADE),--upgrade)

clean: ## remove the environment, caches and everything built
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
