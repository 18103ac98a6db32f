# The words of this house. CI says the same ones (.ci/run).
#   make venv     the environment, from requirements.lock with hashes
#   make demo     one simulated day with every protocol        ARGS="…" goes to the command
#   make check    format, lint, types, import rule, the rules of the house (tests/house)
#   make test     the tests                                    ARGS="-k settle" goes to pytest
#   make versions the tests on the lowest and the highest Python, where there  ARGS=--highest
#   make bench    benchmarks that print ratios; bench-forecast: one against a plain LightGBM
#   make interop  against servers that nobody here wrote
#   make soak     many seeds
#   make package  wheel and sdist; the wheel, in an empty folder, plays the demo
#   make format   let ruff rewrite what it can
#   make lock     resolve requirements.lock again              ARGS=--upgrade for newer versions
#   make clean    forget everything a machine made

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.done

# Real data for tests and benchmarks lies beside the checkout; without it they skip, with a reason.
ifndef PEAKSHARE_DATA
SHARED := $(abspath ../shared)
ifneq ($(wildcard $(SHARED)/.),)
export PEAKSHARE_DATA := $(SHARED)
endif
endif

# Two cores, many small matrices: threads of the linear algebra would wait for each other.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help venv demo check test versions bench bench-forecast interop soak package format lock clean

help:
	@sed -n 's/^#   //p' Makefile

venv: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@echo "venv: making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@echo "venv: installing the $$(grep -c '^[a-z].*==' requirements.lock) locked packages (a minute or two)"
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@echo "venv: installing peakshare itself, editable"
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "venv: ready"

demo: $(STAMP)
	$(BIN)/peakshare demo $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.house

test: $(STAMP)
	$(BIN)/pytest -q $(ARGS)

versions: $(STAMP)
	@$(BIN)/python -m tests.house.pythons $(ARGS)

bench-forecast: $(STAMP)
	$(BIN)/python bench/bench_forecast.py $(ARGS)

bench: $(STAMP)
	@set -e; for page in bench/bench_*.py; do \
	  [ -e "$$page" ] || { echo "bench: no bench/bench_*.py yet"; break; }; \
	  echo "== $$page"; $(BIN)/python "$$page" $(ARGS); \
	done

interop: $(STAMP)
	$(BIN)/pytest -q -m interop $(ARGS)

soak: $(STAMP)
	$(BIN)/pytest -q -m soak --timeout 3600 $(ARGS)

package: $(STAMP)
	$(BIN)/pytest -q -m package --timeout 1200 $(ARGS)

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One resolution for Python 3.11 and newer on every platform; no address of an index is written.
lock:
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && \
	$(PYTHON) -m venv "$$tmp" && "$$tmp/bin/pip" install -qq --disable-pip-version-check uv && \
	"$$tmp/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --extra dev --custom-compile-command "make lock" $(ARGS) \
	  pyproject.toml -o requirements.lock
	@echo "lock: $$(grep -c '^[a-z].*==' requirements.lock) packages"

clean:
	rm -rf .venv .venv-* out build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
