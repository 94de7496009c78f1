# `make` alone prints this help. Everything installs into .venv; nothing is written outside the checkout.
.DEFAULT_GOAL := help
SHELL := /bin/bash
MUJOCO_GL ?= egl
# Mesa's software renderer is fastest here without threads of its own.
LP_NUM_THREADS ?= 0
export MUJOCO_GL LP_NUM_THREADS

VENV := .venv
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-test
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
TORCH := $(shell grep -E '^torch==' constraints.txt)
BENCHES := $(sort $(notdir $(basename $(filter-out %/__init__.py,$(wildcard tests/benchmarks/[!_]*.py)))))

.PHONY: help setup demo test bench lint clean

help: ## Print this list
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|' 2>/dev/null \
	  || grep -E '^[a-z]+:.*## ' Makefile

setup: $(STAMP) ## Create .venv with everything the demo needs (Python 3.11 or 3.12)

# A `python3.11` may be there and still not run (a version manager's shim), hence each is tried.
$(STAMP): pyproject.toml constraints.txt
	@found=; chosen=; \
	for python in $(PYTHON) python3.11 python3.12 python3 python; do \
	  command -v "$$python" >/dev/null || continue; \
	  version=$$("$$python" -c 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])' \
	    2>/dev/null </dev/null) || version="without venv or does not run"; \
	  case "$$version" in \
	    3.11|3.12) chosen=$$python; break;; \
	    *) found="$$found$${found:+, }$$python ($$version)";; \
	  esac; \
	done; \
	if [ -z "$$chosen" ]; then \
	  echo "make setup: needs Python 3.11 or 3.12 with venv; found: $${found:-none}." \
	    "Name one with: make setup PYTHON=/path/to/python3.11" >&2; exit 2; \
	fi; \
	if ! $(VENV)/bin/python -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then \
	  echo "make setup: $$chosen ($$version) -> $(VENV)"; "$$chosen" -m venv --clear $(VENV) || exit 1; \
	fi
	@# torch first and by version: a plain `torch` may bring several GB of CUDA packages.
	$(PIP) "$(TORCH)" -c constraints.txt
	$(PIP) -e ".[demo]" -c constraints.txt
	@touch $@

# What only tests and benchmarks need comes on top, so that the demo starts sooner.
$(TEST_STAMP): $(STAMP)
	$(PIP) -e ".[test]" -c constraints.txt
	@touch $@

demo: setup ## Set up, then run the main job from robot logs to a policy
	$(VENV)/bin/robot-rl demo

test: $(TEST_STAMP) ## Set up, then run the tests
	$(VENV)/bin/python -m pytest

bench: ## Run one benchmark: make bench NAME=x
	@if [ -z "$(filter $(NAME),$(BENCHES))" ]; then \
	  echo "make bench: no benchmark '$(NAME)'. Known: $(or $(BENCHES),none)" >&2; exit 2; \
	fi
	@$(MAKE) --no-print-directory $(TEST_STAMP)
	$(VENV)/bin/python tests/benchmarks/$(NAME).py

lint: $(TEST_STAMP) ## Check style with ruff
	$(VENV)/bin/ruff check robot_rl tests ros_ws launch

clean: ## Remove .venv, build output and caches; runs/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
	find robot_rl tests -name __pycache__ -prune -exec rm -rf {} +
