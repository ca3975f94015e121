# Two commands: `make study` runs the first paper on a real language model, `make test` checks everything.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export OMP_NUM_THREADS ?= $(shell $(PYTHON) -c "import os; print(os.cpu_count() or 1)")
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: study test lint types imports docs tests claims serve-docs clean
.DELETE_ON_ERROR:

study: .venv/installed
	$(BIN)/axonal run relevance-patching

test: lint types imports docs tests

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --no-cache .

types: .venv/installed
	$(BIN)/basedpyright --level error

imports: .venv/installed
	$(BIN)/lint-imports

docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The workers are the parallelism here: two threads in each would only wait for one another.
tests: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup

# The ledger's page, from the runs in runs/: after running the studies whose verdicts it shows.
claims: .venv/installed
	$(BIN)/axonal claims --json | $(BIN)/python docs/hooks/ledger.py > docs/claims.md

serve-docs: .venv/installed
	$(BIN)/mkdocs serve

# torch comes first and pinned, so that no other package's requirement chooses its build.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'axonal needs Python 3.11 or later; name one with make PYTHON=...')"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv site build dist .pytest_cache .ruff_cache
