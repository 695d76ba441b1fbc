# make demo, make test: from a fresh clone, with Python 3.11 to 3.13, make and a package index. Everything they need
# and write (environment, caches, temporary files) stays in this folder.

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python -c requirements/constraints.txt

export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_COMPILE_BYTECODE = 1
export UV_CACHE_DIR = $(CURDIR)/.venv/cache
export PIP_NO_CACHE_DIR = 1
export TMPDIR = $(CURDIR)/.venv/tmp
export HF_HOME = $(CURDIR)/.venv/hf

comma := ,
said = echo "== $(1)"; began=$$SECONDS
took = echo "== $(1) took $$((SECONDS - began)) s"

.PHONY: demo test test-heavy bench check constraints clean

demo: .venv/core  ## draw a small world, run the whole way on it, and train a tiny model
	@$(call said,boxcar demo); \
	$(BIN)/boxcar demo && $(call took,the demo)

test: check  ## lint, types, and the default tests
	@$(call said,the tests but the heavy ones); \
	$(BIN)/python -m pytest -q && $(call took,the tests)

test-heavy: .venv/dev  ## the tests that take minutes: kills at random moments, memory at full size
	@$(call said,the heavy tests); \
	$(BIN)/python -m pytest -q -m heavy && $(call took,the heavy tests)

bench: .venv/dev  ## speed against peers, side by side
	@$(call said,the benches); \
	$(BIN)/python bench/convert.py && $(BIN)/python bench/tar.py && $(call took,the benches)

check: .venv/dev
	@$(call said,lint$(comma) format and types); \
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(call took,checking)

.venv/core: pyproject.toml requirements/constraints.txt
	@$(call said,installing what Boxcar needs into .venv); \
	test -n "$(PYTHON)" || { echo "no Python 3.11, 3.12 or 3.13 found: set PYTHON=..." >&2; exit 1; }; \
	mkdir -p .venv/tmp && { test -x $(BIN)/python || $(PYTHON) -m venv .venv; } && \
	{ test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'; } && \
	$(INSTALL) -e '.[fetch,train]' && touch $@ && $(call took,installing)

.venv/dev: .venv/core
	@$(call said,installing what the tests need); \
	$(INSTALL) -e '.[dev]' && touch $@ && $(call took,installing)

constraints: .venv/core  ## resolve the pins anew
	env -u UV_FIND_LINKS $(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --no-header \
		--no-annotate --no-emit-index-url --quiet --upgrade pyproject.toml -o requirements/constraints.txt

clean:
	rm -rf .venv demo-out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
