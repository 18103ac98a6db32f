# The words of this house. CI says the same ones (.ci/run).
#   make venv     the environment, from requirements.lock with hashes
#   make demo     one simulated day with every protocol        ARGS="…" goes to the command
#   make check    format, lint, types, import rule, configs
#   make test     the tests                                    ARGS="-k settle" goes to pytest
#   make bench    benchmarks that print ratios
#   make interop  against servers that nobody here wrote
#   make soak     many seeds
#   make format   let ruff rewrite what it can
#   make lock     resolve requirements.lock again              ARGS=--upgrade for newer versions
#   make clean    forget everything a machine made

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.done

# Real data for tests and benchmarks lies beside the checkout; without it they skip, with a reason.
ifndef PEAKSHARE_DATA
SHARED := $(abspath ../shared)
ifneq ($(wildcard $(SHARED)/.),)
export PEAKSHARE_DATA := $(SHARED)
endif
endif

.DEFAULT_GOAL := help
.PHONY: help venv demo check test bench interop soak format lock clean

help:
	@sed -n 's/^#   //p' Makefile

venv: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@echo "venv: making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
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
	$(BIN)/peakshare check configs/demo

test: $(STAMP)
	$(BIN)/pytest -q $(ARGS)

bench: $(STAMP)
	@set -e; for page in bench/bench_*.py; do \
	  [ -e "$$page" ] || { echo "bench: no bench/bench_*.py yet"; break; }; \
	  echo "== $$page"; $(BIN)/python "$$page" $(ARGS); \
	done

interop: $(STAMP)
	$(BIN)/pytest -q -m interop $(ARGS)

soak: $(STAMP)
	$(BIN)/pytest -q -m soak --timeout 3600 $(ARGS)

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
	rm -rf .venv out build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
