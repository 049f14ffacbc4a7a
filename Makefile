# Every verb sets up what it needs: `make train` and `make test` work on a fresh machine.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CONFIG ?= configs/cartpole.yaml

.PHONY: help install browser train test test-slow lint format bench chaos clean

help:
	@echo "make train      train $(CONFIG) (choose another with CONFIG=...)"
	@echo "make test       run the test suite (under 10 minutes on 2 cores)"
	@echo "make test-slow  run the slow tests as well"
	@echo "make browser    install Chromium (Debian, as root), in which the server's page is tested"
	@echo "make lint       ruff and mypy"
	@echo "make format     rewrite the sources in the house format"
	@echo "make bench      benchmarks, each against a peer"
	@echo "make chaos      kill runs of every algorithm at random moments; they must end the same, bit for bit"
	@echo "make clean      remove the virtual environment, caches and builds"

install: $(STAMP)

# torch goes first and alone, so that no other package can pull a newer build of it.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: $(PYTHON) not found. Install Python 3.11 (Debian: apt-get install python3.11-venv) or pass PYTHON=..."; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $(STAMP)

train: $(STAMP)
	$(BIN)/roboyard train $(CONFIG)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m "slow or not slow"

browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

chaos: $(STAMP)
	$(BIN)/python benchmarks/chaos.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
