# `make demo` and `make test` need Python 3.11 or newer, make and a package registry. Both set up .venv on their first run.
#
#   PYTHON=python3.12          the interpreter to make .venv with
#   PIP_FLAGS="..."            more arguments for pip, for instance where PyTorch without CUDA is wanted:
#                              PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"
#   ARGS="..."                 arguments for the demo or for pytest; ARGS="-n 0" runs the tests in one process

PYTHON ?= python3
PIP_FLAGS ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# Compiling every module of every package takes half of the time of setting up; Python compiles those that it imports.
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --no-compile $(PIP_FLAGS)
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev

READERS := $(VENV)/.installed-readers

.PHONY: help demo test smoke lint format lock readers browser clean

help:
	@echo "make demo     track the sample clip; writes outputs/demo.mp4 and the boxes"
	@echo "make test     run the tests"
	@echo "make smoke    every experiment of the paper on drawn videos, in two minutes"
	@echo "make lint     ruff and mypy, as .ci/run does"
	@echo "make format   let ruff format the code"
	@echo "make lock     pin the newest versions in the lock files"
	@echo "make readers  other tools, which the tests of formats read our files with"
	@echo "make browser  Debian's Chromium, which the tests of the page use"
	@echo "make clean    remove .venv, outputs and caches"

demo: $(RUNTIME)
	$(BIN)/asmd demo $(ARGS)

# Files are shared by two processes: what a module sets up (a server, a browser, a run of two processes) is set up once.
test: $(DEV)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# Each time from the beginning: what is finished in a folder is not done again.
smoke: $(DEV)
	rm -rf outputs/smoke
	$(BIN)/asmd experiment all --scale smoke --output outputs/smoke

lint: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Local versions such as +cpu name one machine's build; the lock keeps the release, which every build of it satisfies.
# The CUDA packages are left out: PyTorch's builds with CUDA pin their own, and its other builds have none.
LOCK := $(BIN)/pip-compile --quiet --upgrade --strip-extras --allow-unsafe --constraint .ci/constraints.txt \
	--no-header --no-annotate --no-emit-find-links --no-emit-index-url --no-emit-options
TIDY := sed -i -E -e 's/^([^+ ]+)\+[a-z0-9.]+/\1/' -e '/^(nvidia-|cuda-|triton=|pip=|\#|$$)/d' \
	-e '1i \# Made by `make lock`.'

lock: $(DEV)
	$(LOCK) --extra fast --output-file requirements.lock pyproject.toml
	$(TIDY) requirements.lock
	$(LOCK) --constraint requirements.lock --extra dev --extra fast --extra int8 --extra cluster --extra web --extra export --extra train --extra toolkits \
		--output-file requirements-dev.lock pyproject.toml
	$(TIDY) requirements-dev.lock

# Without what they ask for (another OpenCV among it), in a folder of their own that only these tests look into.
readers: $(READERS)

$(READERS): tests/convert/readers.lock $(DEV)
	rm -rf $(VENV)/readers
	$(PIP) --no-deps --target $(VENV)/readers -r tests/convert/readers.lock
	@touch $@

# Playwright's own browsers are not used. Where there is no apt-get, the tests of the page say what is missing.
browser:
	@command -v chromium >/dev/null || { command -v apt-get >/dev/null && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; } \
		|| echo "Chromium is not here and cannot be installed: the tests of the page need it"

clean:
	rm -rf $(VENV) outputs .pytest_cache .hypothesis .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# The order-only prerequisite makes the environment once; the stamps renew what is in it when a lock or pyproject changes.
$(RUNTIME): requirements.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) -r requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) -r requirements-dev.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@ $(RUNTIME)
