# Needs on Debian 12: make git python3-venv (and bubblewrap for the sandbox).
PYTHON ?= python3
JOBS ?= auto
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The modules that are pure: no branch of them may stay unseen by the tests.
PURE := agent/messages.py,agent/arguments.py,agent/events.py,agent/log.py,agent/conversation.py,agent/context.py,agent/limits.py,agent/permit.py,agent/settings.py,agent/reply.py,agent/step.py,agent/loop.py,$\
	agent/cache/*,agent/forecast.py,agent/providers/wires/*,sandbox/policy.py
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-real soak bench check fmt docs lock

help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

demo: .venv/.runtime ## the main job on an embedded task and a scripted model: no key, no network
	@$(BIN)/treadle demo

test: .venv/.dev ## every test that needs neither root, Docker, npm nor a registry, with coverage
	$(BIN)/pytest -n $(JOBS) --maxprocesses 8 -m "not real and not soak and not live" --inline-snapshot=disable \
		--cov --cov-report=term --cov-fail-under=90
	$(BIN)/coverage report --include='$(PURE)' --fail-under=100

test-real: .venv/.dev ## the parts that are real: installs what they need; a skip is a failure
	.ci/prepare
	$(BIN)/pytest -m real --no-skip --timeout 300

soak: .venv/.dev ## the long counts
	$(BIN)/pytest -m soak --timeout 1800

bench: .venv/.dev ## measure start, steps, tokens and the rest on the distribution's Python, into benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

check: .venv/.dev ## format, lint, import contracts, types, ceilings, spelling, lock files; under 30 s
	@$(BIN)/pyright --pythonpath $(BIN)/python > .venv/types.log & types=$$!; failed=0; \
	$(MAKE) --no-print-directory check-quick || failed=1; \
	wait $$types || failed=1; cat .venv/types.log; exit $$failed

check-quick: .venv/.dev ## all of check but for the types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports --no-logo
	$(BIN)/typos
	$(BIN)/python .ci/lock.py --check
	$(BIN)/pytest -q -n 0 tests/test_ceilings.py

fmt: .venv/.dev ## format, and fix what can be fixed by itself
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
	$(BIN)/python .ci/parameters.py

docs: .venv/.dev ## the documentation as a site, in site/
	$(BIN)/zensical build --clean

lock: .venv/.dev ## renew the lock files from pyproject.toml; `make lock UPGRADE=--upgrade` moves the pins too
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python .ci/lock.py $(UPGRADE)

.venv/.runtime: requirements.lock pyproject.toml
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.runtime
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
