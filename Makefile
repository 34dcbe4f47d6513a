# make run    install into .venv, import a log, print a first report
# make test   install what the tests need, run them
# make check  lint, types and tests: what a change has to pass
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?= $(wildcard ../shared/data/semicomplete-access.log)
STORAGE ?= sqlite:build/tracks.db

.PHONY: run test browser lint check bench docs screenshots clean

run: $(VENV)/.installed
	@mkdir -p build
ifeq ($(strip $(DATA)),)
	$(BIN)/tracks sample --tracks 20000 --out build/sample.jsonl
	$(BIN)/tracks --storage $(STORAGE) import build/sample.jsonl
else
	$(BIN)/tracks --storage $(STORAGE) import $(DATA)
endif
	$(BIN)/tracks --storage $(STORAGE) overview

test: $(VENV)/.test browser
	$(BIN)/pytest -n auto

# The tests of pages look at them in Chromium, which has no package of Python's registry.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	       && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	  || echo "Chromium is missing: the tests of pages are skipped. Install it by your system's package manager."

lint: $(VENV)/.lint $(VENV)/.docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/make_reference.py --check

check: lint test

bench: $(VENV)/.bench
	$(BIN)/python -m bench all

docs: $(VENV)/.docs
	$(BIN)/python docs/make_reference.py

screenshots: $(VENV)/.screenshots
	$(BIN)/python docs/make_screenshots.py

clean:
	rm -rf build dist $(VENV)

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml
	$(BIN)/pip install --quiet --editable '.[http,postgres,service,zodb]'
	@touch $@

$(VENV)/.test $(VENV)/.lint $(VENV)/.bench $(VENV)/.docs $(VENV)/.screenshots: $(VENV)/.%: $(VENV)/.installed
	$(BIN)/pip install --quiet --group $*
	@touch $@

# The types of the tests are checked, so the tests' libraries have to be there.
$(VENV)/.lint: $(VENV)/.test $(VENV)/.bench
