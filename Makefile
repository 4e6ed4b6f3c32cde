PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup imitate test test-slow check docs results-check format

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found; install Python 3.11 or call: make PYTHON=python3"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	# torch first and pinned: anything else that asks for it would bring a build with CUDA.
	# -qq leaves errors: a local index makes pip warn once a package.
	$(BIN)/pip install -qq --disable-pip-version-check torch==2.13.0 -c constraints.txt
	$(BIN)/pip install -qq --disable-pip-version-check -e '.[dev]' -c constraints.txt
	touch $(READY)

imitate: setup
	$(BIN)/python experiments/imitate_kuka.py --resume

test: setup
	# Two processes, a file at a time in each: networks of tests have one thread.
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: setup
	$(BIN)/pytest -m slow

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy agents encoders envs experiments rewards
	$(BIN)/python -m experiments.measurements.results_check

docs: setup
	# Material prints a notice about its future at every build; this variable of its own silences it.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

results-check: setup
	$(BIN)/python -m experiments.measurements.results_check

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
