# The same commands for people and CI. Every target makes .venv by itself, with pinned versions.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint check fast-test format bench wheel-test clean help

help:  ## these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(INSTALLED)  ## planners, tabular learners and SB3's DQN side by side on FrozenLake
	$(RUN)/gymagine compare FrozenLake-v1 \
	    --agents value-iteration monte-carlo sarsa q-learning sb3:dqn --seeds 5

test: $(INSTALLED)  ## the whole test suite
	$(RUN)/pytest -n 2 --dist worksteal

fast-test: $(INSTALLED)
	$(RUN)/pytest -n 2 --dist worksteal -m "not slow"

lint: $(INSTALLED)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/pytest -q tests/test_tree.py

check: lint fast-test  ## lint, format, types, layers, fast tests

format: $(INSTALLED)
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

bench: $(INSTALLED)  ## the speed tables of benchmarks/, against the peers
	benchmarks/run

wheel-test: $(INSTALLED)  ## build the wheel, install it afresh, run the fast tests from elsewhere
	PYTHON=$(RUN)/python .ci/wheel_test

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --constraint constraints.txt torch
	$(RUN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,video]"
	touch $@
