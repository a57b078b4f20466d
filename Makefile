# make demo: simulate an observation, image it, compare with the truth. make test: the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: env demo test test-full lint check-kernels benchmark clean

env: $(INSTALLED)

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --prefer-binary -e '.[dev]'
	$(BIN)/imaging warmup > /dev/null
	touch $@

demo: $(INSTALLED)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh workflow/demo/run.sh

test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not full" $(PYTEST_ARGS)

test-full: $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# The kernels as plain Python on tiny shapes: what the compiler hides shows here.
check-kernels: $(INSTALLED)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest tests/kernels $(PYTEST_ARGS)

# Beside ducc0, WSClean, CASA (CASA_PYTHON: a python with casatasks) and codex-africanus (AFRICANUS_PYTHON), those that
# are installed: an hour.
BENCHMARKS ?= gridding dirty_image cleaning major_cycle measurement
benchmark: $(INSTALLED)
	mkdir -p benchmarks/results
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py --json benchmarks/results/$$name.json || exit; done

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow

clean:
	rm -rf .venv .snakemake results demo
