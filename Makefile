# `make demo`, `make test` and `make coverage`. Each makes .venv, installs what it needs, and runs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-release

.DEFAULT_GOAL := help
.PHONY: help demo test coverage clean

help:
	@echo "make demo      synthesize the Adult table that ships with tronie, into $(DEMO)/"
	@echo "make test      style, types, import contracts, tests"
	@echo "make coverage  the tests, and which lines they leave out"
	@echo "make clean     remove what the other commands made"

demo: $(VENV)/installed
	rm -rf $(DEMO)
	$(BIN)/tronie demo -o $(DEMO)
	$(BIN)/tronie verify $(DEMO)/certificate.json

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2

# Half as long again as the tests alone.
coverage: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2 --cov

clean:
	rm -rf $(VENV) $(DEMO) dist build .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# A file that stands for "installed": repeated calls install nothing, a changed pyproject.toml installs anew.
$(VENV)/installed: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@ $(VENV)/installed

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
