# One command for each task; `make` alone lists them. Needs Python 3.11 or later with venv, and nothing else.

VENV := .venv
BIN := $(VENV)/bin
LOCKS := requirements
ARGS ?=
# Most tests wait for servers most of the time, so run more of them at once than there are cores.
AT_ONCE ?= 3
# The first of these that is new enough creates the environment.
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11
LOCK := pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help install run test test-unit test-integration test-system check audit format faults fuzz bench docs licenses screenshots lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nTo pass arguments to a command: make run ARGS="--port 0 --data-dir /tmp/kammerton"\n'

##@ Run

install: $(VENV)/.run-stamp ## Install Kammerton and its command, .venv/bin/kammerton, pinned by hash

run: $(VENV)/.run-stamp ## Start everything on this machine; stop it with Ctrl-C
	@exec $(BIN)/python -m local $(ARGS)

##@ Test

PYTEST := $(BIN)/python -m pytest --numprocesses $(AT_ONCE) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test-stamp ## Run all tests, with real servers; ARGS="tests/unit/api -x" selects some
	$(PYTEST) $(ARGS)

test-unit: $(VENV)/.test-stamp ## Run the unit tests: no server, about a minute
	$(PYTEST) tests/unit $(ARGS)

test-integration: $(VENV)/.test-stamp ## Run the contract and integration tests, with real servers
	$(PYTEST) tests/contract tests/integration tests/deployment tests/docs $(ARGS)

test-system: $(VENV)/.test-stamp ## Run the system and browser tests: everything in real processes
	$(PYTEST) tests/system tests/browser $(ARGS)

check: $(VENV)/.test-stamp ## Check format, lint, types, and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: ## Look up known vulnerabilities of the pinned packages (needs internet access)
	@$(find_python); made=$$(mktemp -d); trap 'rm -rf "$$made"' EXIT; \
	$$python -m venv "$$made" && "$$made/bin/pip" install --quiet pip-audit || exit 1; \
	"$$made/bin/pip-audit" --strict --no-deps --disable-pip -r $(LOCKS)/test.txt

format: $(VENV)/.test-stamp ## Format the source
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

faults: $(VENV)/.test-stamp ## Run 500 jobs while processes are killed at random; run 200 in a worker limited to 512 MiB
	KAMMERTON_FAULTS_JOBS=500 $(BIN)/python -m pytest -s tests/system/test_faults.py \
		tests/system/test_lying_storage.py tests/system/test_memory_limit.py \
		tests/system/test_worker_troubles.py $(ARGS)

fuzz: $(VENV)/.test-stamp ## Analyze damaged files of every format; ARGS="--count 20000 --seed 2"
	$(BIN)/python -m benchmarks.fuzz $(ARGS)

bench: $(VENV)/.test-stamp ## Run short forms of the benchmarks, or one: ARGS="tuning FOLDER"
	$(BIN)/python -m benchmarks$(if $(ARGS),.$(ARGS))

##@ Maintain

screenshots: $(VENV)/.test-stamp ## Take docs/screenshots again from the real pages
	$(BIN)/python -m tools.screenshots $(ARGS)

docs: $(VENV)/.test-stamp ## Generate docs/configuration.md and docs/formats.md from the source
	$(BIN)/python -m tools.configuration_docs
	$(BIN)/python -m tools.capacity_docs
	$(BIN)/python -m tools.formats_docs

licenses: $(VENV)/.run-stamp ## List the licenses of all installed packages
	@$(BIN)/python -m tools.licenses

lock: ## Pin requirements/*.txt from pyproject.toml; ARGS=--upgrade takes newer versions
	@$(find_python); uv=$(BIN)/uv; made=; \
	if ! test -x $$uv; then \
		made=$$(mktemp -d); trap 'rm -rf "$$made"' EXIT; \
		$$python -m venv "$$made" && "$$made/bin/pip" install --quiet uv && uv="$$made/bin/uv"; \
	fi; set -e; mkdir -p $(LOCKS); \
	$$uv $(LOCK) --extra api --extra worker --extra traces --extra plot --extra local --extra cli --extra dev --output-file $(LOCKS)/test.txt; \
	$$uv $(LOCK) --extra api --extra worker --extra traces --extra plot --extra local --extra cli --constraint $(LOCKS)/test.txt --output-file $(LOCKS)/run.txt; \
	$$uv $(LOCK) --extra worker --extra traces --constraint $(LOCKS)/test.txt --output-file $(LOCKS)/worker.txt; \
	$$uv $(LOCK) --extra api --extra traces --constraint $(LOCKS)/test.txt --output-file $(LOCKS)/api.txt

clean: ## Remove the environment and caches, but not your data
	rm -rf $(VENV) .venv-newest .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than its lock file once the lock file is installed: a second run installs nothing.
$(VENV)/.%-stamp: $(LOCKS)/%.txt | $(VENV)/bin/python
	@$(BIN)/python -m tools.install $<
	@ln -sf ../../cli/kammerton $(BIN)/kammerton
	@touch $@

$(VENV)/bin/python:
	@$(find_python); echo "Creating $(VENV) with $$($$python --version) …" >&2; $$python -m venv $(VENV) || { \
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
