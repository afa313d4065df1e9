# The commands of the README. `make demo` needs root, everything else below says what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo lint types test test-lab test-lab-full golden clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: $(STAMP)  ## install Stockade and its tests into .venv

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || (apt-get update -q && apt-get install -y -q python3 python3-venv)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

demo: $(STAMP)  ## build the lab cloud and use it: a VM with a volume, answering on its floating address (root)
	$(BIN)/stockade up
	$(BIN)/stockade demo

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

test: lint types  ## lint, types, unit, golden and property tests: minutes, no root
	$(BIN)/pytest -m 'not lab and not full' tests

test-lab: $(STAMP)  ## build the lab cloud and break every mechanism once: about 50 minutes, drills included (root)
	timeout 4200 $(BIN)/pytest -m 'lab and not full' --timeout=1800 --durations=12 tests/lab

test-lab-full: $(STAMP)  ## the long campaigns, resumable, results below docs/proof (root)
	$(BIN)/pytest -m full --timeout=36000 tests/lab

golden: $(STAMP)  ## write the golden files anew; look at the difference before you commit it
	STOCKADE_UPDATE_GOLDEN=1 $(BIN)/pytest -m 'not lab and not full' tests/golden tests/unit

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
