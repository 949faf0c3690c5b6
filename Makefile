# The two commands of a newcomer are `make up` and `make test`; each target below installs what it needs.
STACK ?= dev
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
PY := $(or $(PYTHON),python3)
TESTS ?= tests

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev up down preview status demo test check bench bench-policy clean lock

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  STACK=name chooses the stack (dev when not given)"

setup:  ## install everything into .venv and ~/.cache/tradewind; other targets do it by themselves
	@"$(PY)" tools/setup.py

setup-dev:
	@"$(PY)" tools/setup.py --dev

up: setup  ## bring the stack up, wait until it serves, print endpoint, key and price
	@./tw up --stack "$(STACK)"

down: setup  ## remove everything that the stack started
	@./tw down --stack "$(STACK)"

preview: setup  ## what `make up` would change, in resources and dollars
	@./tw preview --stack "$(STACK)"

status: setup  ## replicas, their states and what they cost
	@./tw status --stack "$(STACK)"

demo: setup-dev  ## an hour of a service's life in five minutes: storms, updates, kills; a table and a chart
	@.venv/bin/python -m bench.demo

test: setup-dev  ## all tests, end-to-end ones too
	@.venv/bin/python -m pytest $(TESTS)

check: setup-dev  ## format, lint, types
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/ty check

bench: setup-dev  ## all benchmarks, as tables
	@failed=0; for b in bench/[a-z]*.py; do echo "== $$b"; .venv/bin/python -m bench.$$(basename $$b .py) || failed=1; done; exit $$failed

bench-policy: setup-dev  ## placement policies on every scenario; ARGS=--quick for a few
	@.venv/bin/python -m bench.policy $(ARGS)

clean:  ## remove what all stacks started, and .venv, state and caches of this checkout
	@for lock in .tradewind/*/update.lock; do \
		[ ! -e "$$lock" ] || ./tw down --stack "$$(basename "$$(dirname "$$lock")")" || exit 1; done
	@rm -rf .venv .tradewind .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-strip-extras --custom-compile-command 'make lock' -q --upgrade
HOSTS := $(subst --universal --python-version 3.11,--python-version 3.12 --python-platform x86_64-manylinux_2_31,$(COMPILE))

lock:  ## pin the newest versions that requirements*.in allow (needs uv)
	@$(COMPILE) requirements.in -o requirements.txt
	@$(COMPILE) requirements-dev.in -o requirements-dev.txt
	@$(COMPILE) --override tools/vllm/cpu-overrides.in tools/vllm/cpu.in -o tools/vllm/cpu.txt
	@$(COMPILE) tools/vllm/gpu.in -o tools/vllm/gpu.txt
	@for kind in node edge controller; do $(HOSTS) tools/hosts/$$kind.in -o tools/hosts/$$kind.txt || exit 1; done
