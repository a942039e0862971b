# The commands of this project. `make run` and `make test` need nothing but Python >= 3.11.

VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help bootstrap run test faults bench check format image clean

help:
	@echo 'make run     install what is needed, then train full-train on the sample data'
	@echo 'make test    install what is needed, then the tests'
	@echo 'make faults  every fault sweep, whole: kills, full disks, power cuts (about an hour)'
	@echo 'make bench   every benchmark: DATA=folder of canonical.json, feedback.csv (over an hour)'
	@echo 'make check   style, types and layers'
	@echo 'make format  put the code into its format'
	@echo 'make image   the container image (BUILDER=podman, BASE=... to choose)'
	@echo 'make clean   remove what tools left behind; environment and model_store stay'

bootstrap:
	@VENV='$(VENV)' sh scripts/bootstrap

run: bootstrap
	$(BIN)/train full-train

test: bootstrap
	$(BIN)/python -m pytest -q

faults: bootstrap
	$(BIN)/python -m pytest tests/faults --sweep full -s -n 0 -o faulthandler_timeout=3600

DATA ?= data
FIGURES ?= figures.json
bench: bootstrap
	$(BIN)/python -m benchmarks $(DATA) --json $(FIGURES)

check: bootstrap
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

format: bootstrap
	$(BIN)/python -m ruff check --fix
	$(BIN)/python -m ruff format

BUILDER ?= docker
BASE ?= python:3.11-slim
image:
	$(BUILDER) build --build-arg BASE=$(BASE) --tag training-service .

clean:
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
