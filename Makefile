# Every target sets up what it needs. PYTHON chooses the interpreter, PARAMS goes to 02_train,
# STUDY to the study, FAULTS to the tests of faults.
PYTHON ?= python3
PARAMS ?=
STUDY ?=
FAULTS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help

help:  ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  PARAMS="-p epochs 3" sets parameters of the training notebook'
	@echo '  STUDY="--factors depth --seeds 1" chooses a part of the study'
	@echo '  FAULTS="--faults-json report/results/faults.json" publishes the count'

report: .venv/.installed  ## train, run the notebooks, render the report (HTML and PDF)
	$(BIN)/halfgen report $(PARAMS)

publish-report: .venv/.installed  ## render the report, keep it in report/published, renew the README
	$(BIN)/python scripts/publish_report.py
	$(BIN)/python scripts/draw_readme_pictures.py
	$(BIN)/python scripts/write_readme.py

test: .venv/.installed-test  ## run the tests but those of faults; needs no network and no GPU
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q --ignore tests/faults

test-faults: .venv/.installed-test  ## kill, fill, damage and stop everything; ends with a count
	$(BIN)/python -m pytest -q tests/faults $(FAULTS)

study: .venv/.installed-test  ## train all variants with three seeds; may be stopped and started again
	$(BIN)/halfgen study $(STUDY)
	$(BIN)/halfgen analyse

bench: .venv/.installed  ## measure our speed beside a plain loop's; needs an idle machine
	$(BIN)/halfgen bench
	$(BIN)/python scripts/write_readme.py

# its notebooks run in their own folder: HALFGEN_* paths are made absolute before
ABSOLUTELY = $(BIN)/python -c 'import os, sys; from halfgen_lib import files; os.execvpe(sys.argv[1], sys.argv[1:], files.environment())'

lab: .venv/.installed  ## open JupyterLab on the project, at its notebooks
	$(ABSOLUTELY) $(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 --LabApp.default_url=/lab/tree/notebooks

clean:  ## remove what was made, but not the runs, the data and .venv
	rm -rf report/build build *.egg-info .pytest_cache .ruff_cache
	find halfgen_lib benchmarks tests scripts -name __pycache__ -type d -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "halfgen needs Python 3.11 or later; this is " + sys.version)'
	$(PYTHON) -m venv .venv

# the very versions that were tested; pyproject.toml says which others may work
.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing into .venv (about two minutes)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[notebooks,paper,explore]'
	@mkdir -p .venv/share/jupyter/labextensions  # an editable install brings no data files
	@ln -sfn "$(CURDIR)/halfgen_lib/paper/labextension" .venv/share/jupyter/labextensions/halfgen
	@touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,study]'
	@touch $@

.PHONY: help report publish-report test test-faults study bench lab clean
