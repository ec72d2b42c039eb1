# Darkroom: `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RESULTS := .darkroom/test-results

.PHONY: help setup demo test lint types unit integration format openapi requirements clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with everything the project needs

$(READY): requirements/dev.txt pyproject.toml
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Darkroom needs Python 3.11 or newer, this is {sys.version.split()[0]}; name another: make setup PYTHON=python3.13")'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install -qq --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(READY) ## Develop sample photos (or PHOTOS=folder) on an embedded lab, and show everything
	@$(BIN)/darkroom demo $(if $(PHOTOS),"$(PHOTOS)")

test: lint types unit integration ## Lint, types, unit and integration tests

lint: $(READY) ## Ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy, strict, over services/ and every handler
	$(BIN)/mypy
	@for handler in images/*/handler.py; do echo "mypy $$handler"; $(BIN)/mypy "$$handler"; done

unit: $(READY) ## Unit tests: no network
	$(BIN)/pytest tests/unit -n 2 --junitxml=$(RESULTS)/unit.xml

# The longest files first, so that neither process waits for the other at the end.
longest := tests/integration/workflow tests/load
others := $(filter-out tests/integration/__pycache__ $(longest),$(patsubst %/,%,$(wildcard tests/integration/*/ tests/integration/test_*.py)))

integration: $(READY) ## Integration tests on the embedded lab
	$(BIN)/pytest $(longest) $(others) -m 'not containers' \
	  -n 2 --dist loadfile --no-loadscope-reorder --durations=10 \
	  --junitxml=$(RESULTS)/integration.xml

format: $(READY) ## Format and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(READY) ## Write the API's description, made from the code
	$(BIN)/python -m services.build.openapi

requirements: $(READY) ## Compile the pinned, hashed requirements from the *.in files
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade requirements/dev.in -o requirements/dev.txt
	@for input in images/*/requirements.in docker/worker-requirements.in; do \
	  echo "$$input"; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url \
	    --no-header --constraint requirements/dev.txt "$$input" -o "$${input%.in}.txt"; \
	done

include docker/Makefile.inc
include terraform/Makefile.inc

clean: ## Remove the environment and all local state
	rm -rf $(VENV) .darkroom build *.egg-info
