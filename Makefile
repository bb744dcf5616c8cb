# Each target makes the virtual environment that it needs and is quick the second time.
#   make demo                      the whole stack with a sample video, until Ctrl-C
#   make demo ARGS="--seconds 60"  the same for a minute, with a JSON summary
#   make test ARGS="-k panes"      the tests; skips what needs Chromium, Java, Maven or torch where that is not there
#   make nightly                   all of them at length, with coverage (hours; adds torch)
#   make chaos                     breaks the flow for an hour, and prints a table of figures
#   make bench-panes               what panes and rolling windows cost, with goals
#   make bench-api                 how quick the REST API is, with goals
#   make bench-text                how quick texts are scored, with goals
#   make bench-dashboard           how quick the dashboard is, in Chromium, with goals
#   make messages                  the catalogues of messages, after a text has changed
#   make screenshots               the pictures of the dashboard in the README
#   make lint | bench | clean

SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

# The newest Python that Bytewax has wheels for; a shim that is there but does not run is passed over.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
PYTHON ?= $(shell for python in python3.12 python3.11 python3; do \
	$$python -c "$(SUPPORTED)" 2>/dev/null && { echo $$python; break; }; done)

# Three files of tests at a time: much of it is waiting. OpenMP's threads wait for work by spinning, which takes the cores from all others.
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest
PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder

# A stamp remembers what was installed last. uv is much quicker where it is there; pip always is.
PINS := pyproject.toml constraints.txt
UV := $(shell command -v uv)
INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet \
	--disable-pip-version-check) -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test nightly nightly-whole nightly-repeated chaos lint bench bench-panes bench-api bench-text bench-dashboard messages screenshots clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.local
	@$(BIN)/sentistream up --demo $(ARGS)

test: $(VENV)/.dev
	$(PYTEST) $(PARALLEL) $(ARGS)

nightly: nightly-whole nightly-repeated

nightly-whole: $(VENV)/.train
	$(PYTEST) $(PARALLEL) --nightly --timeout 3600 --cov $(ARGS)

# What fails by chance fails sooner where another program takes a core.
nightly-repeated: $(VENV)/.train
	$(BIN)/python -c "while True: pass" & trap "kill $$!" EXIT; \
	for run in 1 2 3 4 5; do $(PYTEST) $(PARALLEL) --reruns 0 $(ARGS) || exit; done

chaos: $(VENV)/.dev
	$(PYTEST) tests/chaos --nightly --timeout 3600 $(ARGS)

# The types of training/ are checked against those of torch.
lint: $(VENV)/.train
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m infra.bench $(ARGS)

bench-panes: $(VENV)/.dev
	$(BIN)/python -m infra.bench_panes $(ARGS)

bench-api: $(VENV)/.dev
	$(BIN)/python -m infra.bench_api $(ARGS)

bench-text: $(VENV)/.dev
	$(BIN)/python -m infra.bench_text $(ARGS)

bench-dashboard: $(VENV)/.dev
	$(BIN)/python -m infra.bench_dashboard $(ARGS)

screenshots: $(VENV)/.dev
	$(BIN)/python -m infra.screenshots

LOCALES := dashboard/locales

messages: $(VENV)/.dev
	$(BIN)/pybabel -q extract -k _ -k ngettext:1,2 -k pgettext:1c,2 --no-location -o $(LOCALES)/messages.pot dashboard
	$(BIN)/pybabel -q update -N --ignore-pot-creation-date -w 100 -i $(LOCALES)/messages.pot -d $(LOCALES)
	$(BIN)/pybabel -q compile -d $(LOCALES)
	rm $(LOCALES)/messages.pot

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

$(VENV)/.local: $(VENV)/.made $(PINS)
	$(INSTALL) -e ".[local]"
	@touch $@

$(VENV)/.dev: $(VENV)/.made $(PINS)
	$(INSTALL) -e ".[dev]"
	@touch $@

# For making models, and for the notebooks: adds torch, about 5 GB.
$(VENV)/.train: $(VENV)/.dev
	$(INSTALL) -e ".[dev,notebooks]"
	@touch $@

$(VENV)/.made:
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: no Python 3.11 or 3.12 was found (python3 is $$(python3 --version 2>&1))." \
			"Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi
	@$(PYTHON) -c "$(SUPPORTED)" || { \
		echo "error: SentiStream needs Python 3.11 or 3.12, and $(PYTHON) is another." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@
