# Everything here works from a fresh clone: the first target makes .venv with the versions in constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint types docs wheel schema clean

help:
	@echo "make demo    run the flagship on a stream of permuted digits and write runs/demo/report.html"
	@echo "make test    the tests, without the slow ones (make test-slow: those)"
	@echo "make lint    ruff: rules and format"
	@echo "make types   mypy --strict"
	@echo "make docs    the documentation as a site, in site/ (its search needs a server: python3 -m http.server -d site)"
	@echo "make wheel   dist/*.whl and dist/*.tar.gz"
	@echo "make schema  configs/schema.json, for editors"
	@echo "make clean   remove what was built; runs/ and .venv/ stay"

# torch comes first and exactly as pinned: left to itself, the resolver would fetch gigabytes of CUDA packages.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

demo: $(INSTALLED)
	rm -rf runs/demo
	$(BIN)/lifelong run configs/digits.yaml --out runs/demo

# One thread: the models are tiny, and threads that wait for a busy core cost minutes.
test test-slow: export OMP_NUM_THREADS ?= 1
test test-slow: export WANDB_MODE = offline
test test-slow: export WANDB_SILENT = true

# As many workers as there are cores, as a rule: make test WORKERS=0 for none beside pytest itself.
WORKERS ?= 2

test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist worksteal

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

docs: export NO_MKDOCS_2_WARNING = 1
docs: $(INSTALLED)
	$(BIN)/python -m mkdocs build --quiet --strict

wheel: $(INSTALLED)
	rm -rf dist
	$(BIN)/python -m build --no-isolation

schema: $(INSTALLED)
	$(BIN)/lifelong schema > schema.pending
	mv schema.pending configs/schema.json

clean:
	rm -rf dist build site .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -not -path "./.venv/*" -prune -exec rm -rf {} +
