# Needs Python >= 3.11, Git and make. Everything else is fetched by `make setup`, which every target calls.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
UV := $(BIN)/uv
# The first Python that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
COMPILE := $(UV) pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --no-emit-index-url

.PHONY: help setup run test check check-lint check-format check-types check-layers check-size check-lock check-schemas \
	bench lock schemas train clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv from the lock; does nothing when that is done
	@test -n "$(PYTHON)" || { echo 'error: no Python >= 3.11 found; install one, or name it: make PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) tooling/bootstrap.py

run: setup ## Apply this repository's models to stage dev, score a sample, say what to try next
	@$(BIN)/python tooling/tour.py

test: setup ## Run the whole test suite
	@$(BIN)/python -m pytest

check: check-lint check-format check-types check-layers check-size check-lock check-schemas ## Lint, types, layers, sizes, freshness

check-lint: setup
	@$(BIN)/ruff check .

check-format: setup
	@$(BIN)/ruff format --check --quiet . || { echo 'error: not formatted; run: .venv/bin/ruff format .' >&2; exit 1; }

check-types: setup
	@$(BIN)/mypy

check-layers: setup
	@$(BIN)/lint-imports --no-cache

check-size: setup
	@$(BIN)/python tooling/checks/size.py

check-lock: setup
	@$(BIN)/python tooling/checks/lock.py

check-schemas: setup
	@$(BIN)/python -m mlops.pipeline.schema --check

bench: setup ## Measure speed and memory beside peers; prints one table
	@$(BIN)/python -m bench

lock: setup ## Resolve every lock again
	@$(COMPILE) pyproject.toml --group dev --extra local --no-emit-package mlops-scoring -o requirements.lock
	@$(COMPILE) training/requirements.in -o training/requirements.lock
	@for peer in bench/peers/*.in tests/scoring/conformance/*.in; do $(COMPILE) "$$peer" -o "$${peer%.in}.lock" || exit 1; done

schemas: setup ## Write the JSON Schemas of the YAML files
	@$(BIN)/python -m mlops.pipeline.schema

train: setup ## Train this repository's models again, into build/, in an environment of their own
	@python="$$($(BIN)/python tooling/locked_environment.py training/requirements.lock)" && \
	for recipe in linear network shuffled; do \
		"$$python" training/digits.py train $$recipe build/digits/$$recipe || exit 1; \
	done && "$$python" training/diabetes.py train build/diabetes && ls build/*/card.json build/*/*/card.json

clean: ## Remove what can be made again; .mlops, which holds live endpoints, stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -not -path './.mlops/*' -prune -exec rm -rf {} +
