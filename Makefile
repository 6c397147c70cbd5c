# Every target sets up what it needs. PYTHON chooses the interpreter, PARAMS goes to 02_train,
# STUDY to the study.
PYTHON ?= python3
PARAMS ?=
STUDY ?=
BIN := .venv/bin

.DEFAULT_GOAL := help

help:  ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  PARAMS="-p epochs 3" sets parameters of the training notebook'
	@echo '  STUDY="--factors depth --seeds 1" chooses a part of the study'

report: .venv/.installed  ## train, run the notebooks, render the report (HTML and PDF)
	$(BIN)/halfgen report $(PARAMS)

test: .venv/.installed-test  ## run every test; needs no network and no GPU
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q

study: .venv/.installed-test  ## train all variants with three seeds; may be stopped and started again
	$(BIN)/halfgen study $(STUDY)
	$(BIN)/halfgen analyse

bench: .venv/.installed  ## measure our speed beside a plain loop's; needs an idle machine
	$(BIN)/halfgen bench
	$(BIN)/python scripts/write_readme_bench.py

lab: .venv/.installed  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

clean:  ## remove what was made, but not the runs, the data and .venv
	rm -rf report/build build *.egg-info .pytest_cache .ruff_cache
	find halfgen_lib tests scripts -name __pycache__ -type d -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "halfgen needs Python 3.11 or later; this is " + sys.version)'
	$(PYTHON) -m venv .venv

# the very versions that were tested; pyproject.toml says which others may work
.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing into .venv (about two minutes)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,study]'
	@touch $@

.PHONY: help report test study bench lab clean
