# What a person or a machine does with this repository. Bare `make` lists it.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
# What needs neither a store nor a process of its own.
FAST := $(addprefix tests/,core gateway journal telemetry tidy wire)

.DEFAULT_GOAL := list
.PHONY: list setup run test check bench docs format lock

list:
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' Makefile

setup: ## make .venv as the lock says; quick when nothing changed
	@$(PYTHON) scripts/setup.py

run: setup ## start Tallygate; options as in: make run ARGS='--port 9000'
	@exec $(BIN)/tallygate serve $(ARGS)

test: setup ## run every test; some only, as in: make test ARGS='-k money'
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup ## format, lint, types, tidiness and the fast tests; under a minute
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -m 'not slow' $(FAST) $(ARGS)

bench: setup ## measure; the method is in bench/README.md
	@$(BIN)/python -m bench $(ARGS)

docs: setup ## write docs/reference again from the code
	@$(BIN)/python scripts/docs.py

format: setup ## format the code and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# The locks name versions and hashes, never a registry: every machine keeps its own mirror.
LOCK := UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile --quiet --generate-hashes \
	--no-emit-index-url --universal --python-version 3.11 pyproject.toml

lock: setup ## pin the dependencies again; newer ones with ARGS=--upgrade
	@$(LOCK) --output-file requirements/run.txt $(ARGS)
	@$(LOCK) --group dev --output-file requirements/dev.txt $(ARGS)
