# Each task sets up what it needs in $(VENV), once. PYTHON=python3.12 chooses another Python;
# ARGS="..." is passed on to the program.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
WORKERS ?= 2
# LANGUAGE=zh takes a translation. A variable of this name in the environment is gettext's.
language = $(if $(filter command%,$(origin LANGUAGE)),$(LANGUAGE))
python = $(VENV)/bin/python
cluster = $(VENV)/bin/mpiexec.gforker -n $(WORKERS) $(python) -m d2l_bn train --out runs/cluster
# A process for each core; one that has nothing left to do takes half of what another has.
pytest = $(python) -m pytest -q -n auto --dist worksteal
setup = @command -v "$(PYTHON)" >/dev/null \
    || { echo 'There is no "$(PYTHON)" here. Install Python: apt-get install python3 python3-venv'; exit 1; }; \
    "$(PYTHON)" scripts/setup_venv.py "$(VENV)"

.DEFAULT_GOAL := help
.PHONY: help setup lenet lenet-cluster resume-cluster resume test test-slow coverage test-all constraints dist lint chapters chapters-update tensorflow-chapter elsewhere notebooks translation address book book-pdf experiments bench release grade clean

help: ## list the tasks (this)
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 24

setup: ## install what training needs in .venv
	$(setup)

lenet: setup ## train LeNet, with batch normalization from scratch: runs/lenet
	$(python) -m d2l_bn train --out runs/lenet --overwrite $(ARGS)

lenet-cluster: ## the same over WORKERS=2 processes of this machine: runs/cluster
	$(setup) cluster
	$(cluster) --overwrite $(ARGS)

resume-cluster: ## go on with an interrupted training in runs/cluster
	$(setup) cluster
	$(cluster) --resume $(ARGS)

resume: setup ## go on with an interrupted training in runs/lenet
	$(python) -m d2l_bn train --out runs/lenet --resume $(ARGS)

test: ## run the quick tests
	$(setup) test
	$(pytest) -m "not slow" $(ARGS)

test-slow: ## run the slow tests
	$(setup) test
	$(pytest) -m slow $(ARGS)

coverage: ## run all tests, and print their branch coverage
	$(setup) test
	$(pytest) --cov $(ARGS)

test-all: ## run the quick tests on every Python 3.9 to 3.13 that is here
	@"$(PYTHON)" scripts/test_all.py

constraints: ## write constraints.txt anew (ARGS=--upgrade for the newest versions)
	$(setup) dist
	printf 'pip\nsetuptools\n' | $(python) -m uv pip compile -q --universal --python-version 3.9 \
	    $(addprefix --extra ,test lint notebooks book browser classroom cluster onnx tensorflow dist) \
	    --no-header --no-annotate --no-emit-index-url $(ARGS) pyproject.toml - -o constraints.txt

dist: ## build the source distribution and the wheel in dist/, and try both
	$(setup) dist
	rm -rf dist build
	$(python) -m build --no-isolation
	$(python) scripts/try_dist.py

lint: ## check style, format and types
	$(setup) test lint
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy

chapters: ## run the chapters, into runs/chapters (ARGS=3 for the third alone)
	$(setup) notebooks
	$(python) scripts/chapters.py $(ARGS)

chapters-update: ## run the chapters, and renew the notebooks in chapters/
	$(setup) notebooks
	$(python) scripts/chapters.py --update $(ARGS)

tensorflow-chapter: VENV = .venv-tensorflow
tensorflow-chapter: ## run chapter 7, with TensorFlow in an environment of its own
	$(setup) notebooks tensorflow torch
	$(python) scripts/chapters.py $(or $(ARGS),7)

elsewhere: VENV = .venv-elsewhere
elsewhere: ## ask Keras 3, flax and equinox for chapter 7's rows (PYTHON=python3.13)
	$(setup) elsewhere
	PYTHONPATH=chapters $(python) -m in_tensorflow.elsewhere

notebooks: ## open copies of chapters and exercises in JupyterLab: runs/notebooks
	$(setup) notebooks classroom
	$(python) scripts/notebooks.py $(addprefix --language ,$(language))
	$(python) -m jupyterlab runs/notebooks/$(language) $(ARGS)

translation: ## say what a translation lacks (LANGUAGE=zh ARGS="--renew NAME")
	$(setup) notebooks book classroom
	$(python) scripts/translate.py $(language) $(ARGS)

address: ## set the repository's address everywhere (URL=..., or that of git's remote)
	$(setup) notebooks
	$(python) scripts/address.py $(URL)

book: ## build chapters and reference as a web site: runs/book/html
	$(setup) notebooks book classroom
	$(python) scripts/book.py $(addprefix --language ,$(language))

book-pdf: ## the book as one PDF, for print and tablets: runs/book/d2l_bn.pdf
	$(setup) notebooks book classroom
	$(python) scripts/book_pdf.py $(addprefix --language ,$(language))

experiments: ## run what is missing of the long experiments; may be interrupted
	$(setup)
	$(python) -m experiments $(ARGS)

bench: setup ## measure speed beside Gluon, the source and PyTorch: runs/bench.json
	$(python) -m benchmarks $(ARGS)

release: ## make the students' exercises: runs/release
	$(setup) classroom
	$(python) -m classroom release $(addprefix --language ,$(language)) $(ARGS)

grade: ## mark what students handed in, submissions/STUDENT/*.ipynb: runs/grade
	$(setup) classroom
	$(python) -m classroom grade $(addprefix --language ,$(language)) $(ARGS)

clean: ## delete what the tasks made, the runs in runs/ excepted
	rm -rf .venv .venv-* build dist *.egg-info .*_cache .hypothesis .coverage*
