# One command for each wish; `make` alone lists them. Needs Python 3.11 or newer with venv, and nothing else.

VENV := .venv
BIN := $(VENV)/bin
LOCKS := requirements
ARGS ?=
# Most tests wait for servers most of the time, so more of them at once than there are cores.
AT_ONCE ?= 3
# The first of these that is new enough builds the environment.
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11
LOCK := pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help install run test check audit format faults fuzz bench screenshots lock clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.run-stamp ## What running needs, into .venv, pinned by hash

run: $(VENV)/.run-stamp ## Start everything here; ARGS="--port 0" passes arguments on
	@exec $(BIN)/python -m local $(ARGS)

test: $(VENV)/.test-stamp ## All tests, over real servers; ARGS="tests/api -x" chooses
	$(BIN)/python -m pytest --numprocesses $(AT_ONCE) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.test-stamp ## Format, lint, types, walls
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: ## Known weaknesses of the pinned packages, as pip-audit's databases on the internet have them
	@$(find_python); made=$$(mktemp -d); trap 'rm -rf "$$made"' EXIT; \
	$$python -m venv "$$made" && "$$made/bin/pip" install --quiet pip-audit || exit 1; \
	"$$made/bin/pip-audit" --strict --no-deps --disable-pip -r $(LOCKS)/test.txt

format: $(VENV)/.test-stamp ## Put the source in its usual form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

faults: $(VENV)/.test-stamp ## 500 jobs while everything dies at random moments; 200 in a worker of 512 MiB
	KAMMERTON_FAULTS_JOBS=500 $(BIN)/python -m pytest -s tests/system/test_faults.py tests/system/test_memory_limit.py $(ARGS)

fuzz: $(VENV)/.test-stamp ## Damaged files of every format; ARGS="--count 20000 --seed 2"
	$(BIN)/python -m benchmarks.fuzz $(ARGS)

bench: $(VENV)/.test-stamp ## Measure: each file of benchmarks/ says how; ARGS="tuning FOLDER"
	$(BIN)/python -m benchmarks.$(or $(ARGS),tuning)

screenshots: $(VENV)/.test-stamp ## docs/screenshots anew, from the real pages
	$(BIN)/python -m tools.screenshots $(ARGS)

lock: ## Pin requirements/*.txt anew from pyproject.toml; ARGS=--upgrade takes newer ones
	@$(find_python); uv=$(BIN)/uv; made=; \
	if ! test -x $$uv; then \
		made=$$(mktemp -d); trap 'rm -rf "$$made"' EXIT; \
		$$python -m venv "$$made" && "$$made/bin/pip" install --quiet uv && uv="$$made/bin/uv"; \
	fi; set -e; mkdir -p $(LOCKS); \
	$$uv $(LOCK) --extra api --extra worker --extra traces --extra plot --extra local --extra dev --output-file $(LOCKS)/test.txt; \
	$$uv $(LOCK) --extra api --extra worker --extra traces --extra plot --extra local --constraint $(LOCKS)/test.txt --output-file $(LOCKS)/run.txt; \
	$$uv $(LOCK) --extra worker --extra traces --constraint $(LOCKS)/test.txt --output-file $(LOCKS)/worker.txt; \
	$$uv $(LOCK) --extra api --extra traces --constraint $(LOCKS)/test.txt --output-file $(LOCKS)/api.txt

clean: ## Remove what was made, except your data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than its lock file once the lock file is installed: a second run installs nothing.
$(VENV)/.%-stamp: $(LOCKS)/%.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/bin/python:
	@$(find_python); $$python -m venv $(VENV) || { \
		rm -rf $(VENV); echo "Could not make $(VENV): on Debian and Ubuntu, apt install python3-venv." >&2; exit 1; }

# Leaves the name of a Python that is new enough in $$python.
define find_python
python=; for each in $(PYTHONS); do \
	if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$each; break; fi; \
done; \
if test -z "$$python"; then \
	echo "Kammerton needs Python 3.11 or newer: none of $(PYTHONS) is. Install one, then try again." >&2; exit 1; \
fi
endef
