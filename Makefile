# Two commands suffice: `make run` (the demo) and `make test`. Both set up .venv first; `make` lists the others.
# What may be given: PYTHON=/path/to/python, ARGS="…" for the demo or the tests, UPGRADE=1 for `make lock`.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
LOCKS := requirements/run.txt requirements/dev.txt
# Empty counts as not set: hundreds of processes start here, and what one has compiled the next need not compile again.
export PYTHONDONTWRITEBYTECODE :=

# A candidate counts when it runs (a pyenv shim may not), has the right version, and can make an environment with pip in it.
PYTHONS := $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3)
PROBE := import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit("is Python " + sys.version.split()[0]); import venv, ensurepip
# Prints one package of the lock with its hashes, or all but that one.
ONLY_UV := awk '/^[^ \#]/ { mine = /^uv==/ } mine'
ALL_BUT_UV := awk '/^[^ \#]/ { mine = /^uv==/ } !mine'

# The stamp names the folder: a checkout that was moved, or whose Python is gone, is set up again.
ifneq ($(shell cat $(STAMP) 2>/dev/null && $(BIN)/python -c "" 2>/dev/null || echo gone),$(CURDIR))
.PHONY: $(STAMP)
endif

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long bench bench-long check check-database check-locks lock format migration clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv and install everything, with hashes verified
	@:

run: setup ## start the demo: the service and an imitation of WeChat, on this machine only
	@exec $(BIN)/tongban demo $(ARGS)

# One process more than cores: nearly half of the time is spent waiting, for leases to end and processes that were killed.
test: setup ## run all tests, on SQLite and on a real PostgreSQL
	$(BIN)/python -m pytest -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --maxprocesses 8 --dist worksteal $(ARGS)

# Those that measure run one after the other. pytest's 5 means that ARGS left nothing of one half.
test-long: setup ## run the long fault runs and the soak: about half an hour
	@$(BIN)/python -m pytest -m "long and not alone" -n 2 --dist worksteal $(ARGS); shared=$$?; \
	  $(BIN)/python -m pytest -m "long and alone" $(ARGS); alone=$$?; \
	  echo "Shared: $$shared, alone: $$alone (5: no such test)."; \
	  case "$$shared $$alone" in "0 0"|"0 5"|"5 0") ;; *) exit 1 ;; esac

bench: setup ## measure the program beside its own limits: about eight minutes
	$(BIN)/python -m benchmarks all --old 1000000 --audiences 500 10000 $(ARGS)

bench-long: setup ## the same with ten million old pushes and an audience of a million: about an hour
	$(BIN)/python -m benchmarks all --old 1000000 10000000 --audiences 500 10000 1000000 $(ARGS)

check: setup ## lint, types, migrations, settings and locks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory check-database check-locks

format: setup ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv and what tools left; var/ stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements/dev.txt pyproject.toml
	@if [ -e $(STAMP) ] && [ "$$(cat $(STAMP))" != "$(CURDIR)" ]; then rm -rf $(VENV); fi
	@if ! $(BIN)/python -c '$(PROBE); import pip' 2>/dev/null; then \
	  for python in $(PYTHONS); do \
	    if why=$$("$$python" -c '$(PROBE)' 2>&1); then found=$$python; break; fi; \
	    tried="$$tried\n  $$python: $$(printf '%s\n' "$$why" | tail -n 1)"; \
	  done; \
	  if [ -z "$$found" ]; then \
	    printf '%b\n' "Tongban needs Python 3.11, 3.12 or 3.13 with venv and ensurepip. Tried:$$tried" \
	      "How to get it:" \
	      "  Debian, Ubuntu: sudo apt install python3 python3-venv" \
	      "  macOS:          brew install python@3.13" \
	      "  others:         https://www.python.org/downloads/" \
	      "Where it has another name or place: make setup PYTHON=/path/to/python3.13" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$("$$found" --version) ..."; \
	  "$$found" -m venv --clear $(VENV); \
	fi
	@echo "Installing what requirements/dev.txt names (the first time this takes a minute or two) ..."
	@$(ONLY_UV) requirements/dev.txt > $(VENV)/uv.txt
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $(VENV)/uv.txt; then \
	  $(BIN)/uv pip sync --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt; \
	else \
	  echo "uv has no build for this machine: pip installs the same lock, only slower ..."; \
	  $(ALL_BUT_UV) requirements/dev.txt > $(VENV)/without-uv.txt; \
	  $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $(VENV)/without-uv.txt; \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	@echo "$(CURDIR)" > $(STAMP)

# An empty database and keys of its own: what is checked is the program, not somebody's .env.
THROWAWAY = folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && export TONGBAN_DATABASE_URL="sqlite:///$$folder/tongban.db"
KEY = $$(head -c 32 /dev/urandom | base64)

check-database: setup
	@$(THROWAWAY) TONGBAN_MASTER_KEY="$(KEY)" TONGBAN_INDEX_KEY="$(KEY)" && \
	  echo "SQLite:" && $(BIN)/alembic upgrade head && $(BIN)/alembic check && $(BIN)/tongban check
	@echo "PostgreSQL:" && $(BIN)/python -m tests.postgres -- /bin/sh -c '$(BIN)/alembic upgrade head && $(BIN)/alembic check'

# $(1): the lock. It is compiled as `make lock` says.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
  $(if $(findstring dev,$(1)),--group dev) pyproject.toml

lock: setup ## bring the locks up to date with pyproject.toml (UPGRADE=1: newest versions)
	$(call COMPILE,run) $(if $(UPGRADE),--upgrade) -o requirements/run.txt
	$(call COMPILE,dev) $(if $(UPGRADE),--upgrade) -o requirements/dev.txt

# Compiled again with the present pins as preferences; hashes are left out, for a release may get another file later.
check-locks: setup
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && cp $(LOCKS) "$$folder" && \
	  $(call COMPILE,run) -o "$$folder/run.txt" && $(call COMPILE,dev) -o "$$folder/dev.txt" && \
	  for lock in run dev; do \
	    for side in requirements "$$folder"; do grep '^[^ #]' "$$side/$$lock.txt" | tr -d ' \\' > "$$folder/$$lock.$$(basename "$$side")"; done; \
	    diff "$$folder/$$lock.requirements" "$$folder/$$lock.$$(basename "$$folder")" || { echo "requirements/$$lock.txt is not up to date: run 'make lock'" >&2; exit 1; }; \
	  done && echo "The locks are up to date."

TIDY_REVISIONS = sed -i.old '/^    \# \#\#\#/d' migrations/versions/0*.py && rm migrations/versions/*.old && \
  $(BIN)/ruff format --quiet migrations/versions && $(BIN)/ruff check --quiet --fix migrations/versions

migration: setup ## draft a revision from app/models: make migration NAME="groups get a colour"
	@test -n "$(NAME)" || { echo 'Say what changes: make migration NAME="groups get a colour"' >&2; exit 2; }
	@$(THROWAWAY) && $(BIN)/alembic upgrade head && \
	  $(BIN)/alembic revision --autogenerate -m "$(NAME)" --rev-id "$$(printf '%04d' $$(( $$(ls migrations/versions/0*.py | wc -l) + 1 )))"
	@$(TIDY_REVISIONS)
	@echo "Read it, then: make test ARGS=tests/migrations"
