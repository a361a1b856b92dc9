# Two commands are all the set-up there is: `make run` and `make test`.
# Each target makes what it needs in .venv, from files with hashes.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
UV := $(BIN)/uv

.PHONY: help run test test-all storm alone browser docs bench check audit format lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: .venv/.run ## Migrate, seed and serve the embedded database (ARGS=--check: probe it and stop)
	@$(BIN)/python -m app demo run $(ARGS) || { code=$$?; test $$code -eq 130 || exit $$code; }

test: .venv/.test ## Run the daily tests on SQLite and PostgreSQL, some minutes (ARGS: for pytest)
	@env -u GATEHOUSE_TEST_MARIADB_URL -u GATEHOUSE_TEST_REDIS_URL -u GATEHOUSE_TEST_RABBITMQ_URL \
		$(BIN)/python -m pytest -n 2 -m "not thorough" $(ARGS)

test-all: .venv/.test ## Run every test, on every database and broker that GATEHOUSE_TEST_…_URL names (ARGS: for pytest)
	@$(BIN)/python -m pytest -n 2 $(ARGS)

storm: .venv/.test ## Run the long fault and cancellation tests, with percentiles (ARGS: for pytest)
	@$(BIN)/python -m pytest -s -p no:xdist -o "python_files=storm_*.py" --timeout=3600 tests/faults/storm $(ARGS)

alone: .venv/.test ## Try the library's wheel in an environment of its own, with a project of somebody else's
	@sh packages/unitwork/tests/alone.sh

browser: .venv/.browser ## Run the tests in a real browser, the system's Chromium (ARGS: for pytest)
	@$(BIN)/python -m pytest -p no:xdist tests/browser $(ARGS)

docs: .venv/.docs ## Build the site of guides, decisions and the library's reference into build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "build/site is built; look at it: $(BIN)/python -m http.server --directory build/site" >&2

bench: .bench/.made ## Measure ourselves and our peers in one run, into benchmarks/RESULTS.md (ARGS: names of works, --help)
	@$(BIN)/python -m benchmarks $(ARGS)

check: .venv/.test ## Format, lint, types, import rules, locks
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/uv pip check --quiet
	@$(BIN)/python requirements/check.py

audit: .venv/.test ## Ask whether a locked package has a known weakness (needs the advisory service)
	@$(BIN)/python requirements/audit.py

format: .venv/.test ## Format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: .venv/.tools ## Resolve requirements/*.txt anew, with hashes and without addresses
	@$(UV) pip compile --quiet --upgrade $(LOCK) requirements/tools.in -o requirements/tools.txt
	@$(UV) pip compile --quiet --upgrade $(LOCK) pyproject.toml -o requirements/run.txt
	@$(UV) pip compile --quiet --upgrade $(LOCK) requirements/bench.in -c requirements/run.txt -o requirements/bench.txt
	@$(UV) pip compile --quiet --upgrade $(LOCK) requirements/bench-sqla.in -o requirements/bench-sqla.txt
	@$(UV) pip compile --quiet --upgrade $(LOCK) pyproject.toml --group test --group check -c requirements/run.txt -o requirements/test.txt
	@$(UV) pip compile --quiet --upgrade $(LOCK) requirements/browser.in -c requirements/test.txt -o requirements/browser.txt
	@$(UV) pip compile --quiet --upgrade $(LOCK) requirements/docs.in -c requirements/test.txt -o requirements/docs.txt

clean: ## Remove the environment and what tests and tools left; keeps var/
	rm -rf .venv .bench build *.egg-info packages/unitwork/build packages/unitwork/src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

LOCK := --universal --generate-hashes --no-emit-package unitwork --no-annotate --python-version 3.11 --custom-compile-command "make lock"

.venv/.tools: requirements/tools.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Gatehouse needs Python 3.11 or newer; say which with PYTHON=…")'
	@echo "Making the environment .venv (once; a minute or so) …" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt
	@touch $@

.venv/.run: .venv/.tools requirements/run.txt pyproject.toml packages/unitwork/pyproject.toml
	@sh requirements/install.sh run
	@touch $@

.venv/.test: .venv/.tools requirements/test.txt pyproject.toml packages/unitwork/pyproject.toml
	@sh requirements/install.sh test
	@touch $@ .venv/.run

.bench/.made: .venv/.test requirements/bench.txt requirements/bench-sqla.txt
	@sh requirements/bench.sh
	@touch $@

.venv/.browser: .venv/.test requirements/browser.txt
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/browser.txt
	@touch $@

.venv/.docs: .venv/.test requirements/docs.txt
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/docs.txt
	@touch $@
