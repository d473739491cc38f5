# Two commands do all the set-up: `make demo` and `make test`. Both need nothing but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-clients test-frameworks lint bench bench-seeds examples-table clean

# Made again when the dependencies change; otherwise a second call costs nothing.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "tracediff needs Python 3.11 to 3.14; $(PYTHON) is older. Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(STAMP)  ## two programs traced, differentiated and improved against the bundled simulated model
	$(BIN)/tracediff demo

test: $(STAMP) lint  ## everything that must hold
	$(BIN)/python -m pytest -q

test-clients: $(STAMP)  ## the clients' oldest, a middle and their newest releases, and beside other instrumentations
	$(BIN)/python tests/clients.py $(CLIENTS)

test-frameworks: $(STAMP)  ## the frameworks' lowest and newest releases; the table of versions is written anew
	$(BIN)/python tests/frameworks.py $(FRAMEWORKS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)  ## cost of tracing, clients, a backward pass, inference and the overlay
	# Each exits with 1 where a bar is missed; the next is run all the same.
	-$(BIN)/python -m benchmarks.traced_call
	-$(BIN)/python -m benchmarks.client_overhead
	-$(BIN)/python -m benchmarks.import_cost
	-$(BIN)/python -m benchmarks.backward
	-$(BIN)/python -m benchmarks.inference
	-$(BIN)/python -m benchmarks.overlay

bench-seeds: $(STAMP)  ## the simulated world over 10 seeds, and where credit goes
	$(BIN)/python -m benchmarks.simulated_seeds
	$(BIN)/python -m benchmarks.credit

examples-table: $(STAMP)  ## every example tested and optimized in the simulated world; examples/README.md is written anew
	$(BIN)/python tests/frameworks.py examples-newest
	build/frameworks/examples-newest/bin/python -m benchmarks.examples_table --write

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
