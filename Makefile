# `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

# Tests and labs start many processes: each would compile all of its modules.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RESULTS := .darkroom/test-results
COVERAGE_FOLDER := .darkroom/coverage
HANDLERS := .darkroom/handlers
# Processes of the integration tests.
PROCESSES ?= 4
# COVERAGE=1 measures what the tests and their child processes execute.
PYTEST = $(if $(COVERAGE),$(BIN)/coverage run -m pytest,$(BIN)/pytest)

.PHONY: help setup hooks demo up test lint types unit integration slow-test patterns audit audit-images coverage fuzz docs docs-serve format openapi requirements clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-19s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv with the pinned development requirements

$(VENV)/.requirements: requirements/dev.txt
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Darkroom needs Python 3.11 or newer, found {sys.version.split()[0]}; choose another: make setup PYTHON=python3.13")'
	@$(PYTHON) -m venv --clear $(VENV)
	@# uv, pinned with the others, installs in a fifth of pip's time. It does not read pip's configuration:
	@# where only that names the index, pip installs.
	@awk '/^uv==/ {found = 1} found {print; if (!/\\$$/) exit}' requirements/dev.txt > $(VENV)/uv.txt
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt \
	  || $(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(READY): $(VENV)/.requirements pyproject.toml
	@$(BIN)/pip install -qq --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

hooks: $(READY) ## Install the pre-commit hooks
	$(BIN)/pre-commit install

demo: $(READY) ## Develop sample photos or PHOTOS=folder, without Docker
	@$(BIN)/darkroom demo $(if $(PHOTOS),"$(PHOTOS)")

up: $(READY) ## Start a lab that stays, with samples
	@$(BIN)/darkroom up --samples

# mypy uses one core: unit tests use the others meanwhile.
test: $(READY) ## Lint, types, unit and quick integration tests
	@$(MAKE) --no-print-directory -j 2 checks unit
	@$(MAKE) --no-print-directory integration

.PHONY: checks
checks: lint # then types, one after the other
	@$(MAKE) --no-print-directory types

lint: $(READY) ## Ruff (rules and format) and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(READY) ## mypy (strict) over services/, tests/ and every handler
	$(BIN)/mypy
	@# All handlers are modules of one name: mypy takes copies, named by function, in one run.
	@rm -rf $(HANDLERS) && mkdir -p $(HANDLERS)
	@for folder in images/*/; do name=$$(basename "$$folder"); \
	  cp "$${folder}handler.py" "$(HANDLERS)/$${name//-/_}.py"; done
	$(BIN)/mypy $(HANDLERS)/*.py

# A file stays in one process: others would set up its fixtures again.
unit: $(READY) ## Unit tests (no network), the slow left out
	$(PYTEST) tests/unit -n 2 --dist loadfile -m 'not slow' --junitxml=$(RESULTS)/unit.xml

# The longest files run first, so that all test processes end at about the same time. Tests wait for
# other processes more than half of the time: two cores serve four of them.
longest := tests/integration/api/test_openapi.py tests/integration/workflow tests/integration/test_faults.py tests/integration/lab \
  tests/integration/test_queue_faults.py \
  tests/load tests/integration/api tests/integration/test_dead_letters.py
others := $(filter-out tests/integration/__pycache__ $(longest),$(patsubst %/,%,$(wildcard tests/integration/*/ tests/integration/test_*.py)))
slow_units = $(shell grep -rl --include='*.py' 'pytest.mark.slow$$' tests/unit)
INTEGRATION = $(PYTEST) $(longest) tests/security $(others) \
  -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --durations=10

integration: $(READY) ## Integration tests on embedded labs, the slow left out
	$(INTEGRATION) -m 'not containers and not slow' --junitxml=$(RESULTS)/integration.xml

slow-test: $(READY) ## Slow tests: faults, signals, load, hostile photos
	$(INTEGRATION) $(slow_units) -m 'not containers and slow' --junitxml=$(RESULTS)/slow.xml

audit: $(READY) ## Known vulnerabilities of dependencies (OSV_URL=)
	$(BIN)/python -m services.build.audit requirements

audit-images: $(READY) ## Known vulnerabilities in the built images
	$(BIN)/python -m services.build.audit images

# SKIPPED=1: a skipped test is shown, and does not fail.
patterns: $(READY) ## Check that the tests of every pattern ran
	@$(BIN)/python -m tests.support.pattern_page $(if $(SKIPPED),--allow-skipped) $(wildcard $(RESULTS)/*.xml)

coverage: $(READY) ## Coverage of unit and integration tests together
	@rm -rf $(COVERAGE_FOLDER)
	@$(MAKE) --no-print-directory unit integration slow-test COVERAGE=1
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report | tee $(COVERAGE_FOLDER)/report.txt
	@echo "Unit and integration tests cover $$($(BIN)/coverage report --format=total) % of services/ and images/."

# Time for each target; TARGETS="jpeg tiff" fuzzes some.
SECONDS_EACH = $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),60)
fuzz: $(READY) ## Fuzz the readers of photos (SECONDS=60 each, TARGETS=)
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS_EACH) $(TARGETS)

docs: $(READY) ## Build the documentation in .darkroom/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: $(READY) ## Serve the documentation at http://127.0.0.1:8000
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

format: $(READY) ## Format the code and apply ruff's fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(READY) ## Generate the API's OpenAPI document from the code
	$(BIN)/python -m services.build.openapi

# UPGRADE=0 keeps the current pins and only adds or removes what changed.
upgrade := $(if $(filter 0,$(UPGRADE)),,--upgrade)

requirements: $(READY) ## Compile the requirements (UPGRADE=0 keeps the pins)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header $(upgrade) pyproject.toml --extra dev -o requirements/dev.txt
	@for input in images/*/requirements.in docker/worker-requirements.in; do \
	  echo "$$input"; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url \
	    --no-header --constraint requirements/dev.txt "$$input" -o "$${input%.in}.txt"; \
	done

include services/web/Makefile.inc
include docker/Makefile.inc
include terraform/Makefile.inc

clean: ## Remove .venv and all local state
	rm -rf $(VENV) .darkroom build *.egg-info
