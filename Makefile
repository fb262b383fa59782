# Set-up is part of every target: each makes .venv from the lock files first, once.
.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3.11
BIN := .venv/bin
RUNTIME := .venv/runtime.stamp
DEV := .venv/dev.stamp
BENCH := .venv/bench.stamp
RAY := .venv/ray.stamp
# A peer of `make bench` alone, which needs pandas < 3 and so an environment of its own; 1.221.0 is the newest for Python 3.11.
NAUTILUS := .venv/nautilus.stamp
export MLFLOW_DISABLE_TELEMETRY := true

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	$(BIN)/pip install --quiet -r requirements-dev.lock
	@touch $@

$(BENCH): requirements-bench.lock $(DEV)
	$(BIN)/pip install --quiet -r requirements-bench.lock
	@touch $@

# Without their own pins: the launcher asks for a cloudpickle that joblib refuses, and works with the newer one.
$(RAY): requirements-ray.lock $(DEV)
	$(BIN)/pip install --quiet --no-deps -r requirements-ray.lock
	@touch $@

$(NAUTILUS): requirements-nautilus.lock | $(BIN)/python
	$(PYTHON) -m venv .venv/nautilus
	@.venv/nautilus/bin/pip install --quiet -r requirements-nautilus.lock && touch $@ \
		|| echo "nautilus-trader cannot be installed here: the benchmarks leave it out"

run: $(RUNTIME) ## train on the simulated market and print a verdict
	$(BIN)/python -m botscalp.train

ui: $(RUNTIME) ## open MLflow on the runs under mlruns/
	@$(BIN)/python -m botscalp.ui

test: $(DEV) ## the tests that every change has to pass
	$(BIN)/python -m pytest -n auto -m "not slow"

browser: $(DEV) ## the pages in a real Chromium; pictures of them are left in screenshots/
	$(BIN)/python -m pytest -n auto --dist loadfile -rs tests/browser

test-all: $(BENCH) $(RAY) ## all tests: also browsers, long drills, other engines, real bars and the commands of the README
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(DEV) ## style, types, and which module may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd src/hydra_plugins/hydra_ec2_launcher/box && $(CURDIR)/$(BIN)/mypy --explicit-package-bases --strict --cache-dir /dev/null .
	$(BIN)/lint-imports

bench: $(BENCH) $(NAUTILUS) ## measure against the machine and against other engines, and write docs/benchmarks.md
	$(BIN)/python -m tests.bench

bench-scale: $(DEV) ## take 94.7 million bars through everything, and write docs/benchmarks-scale.md
	$(BIN)/python -m tests.bench.scale

bench-gpu: $(DEV) ## measure training on a CUDA device, where there is one, and write docs/benchmarks-gpu.md
	$(BIN)/python -m tests.bench.gpu

drill-resume: $(DEV) ## kill runs, sweeps, ingests and re-scores at random moments, go on, and compare to the last bit
	$(BIN)/python -m tests.drills.resume

drill-determinism: $(DEV) ## the same config twice, elsewhere, with more workers, another day, a month more: the same bits
	$(BIN)/python -m tests.drills.determinism

drill-hostile: $(DEV) ## broken files, malformed configs, hostile configs and models, odd markets
	$(BIN)/python -m tests.drills.hostile

drill-resources: $(DEV) ## disks full at every write, tracking gone, little memory, read-only folders, clocks that jump
	$(BIN)/python -m tests.drills.resources

drill-parallel: $(DEV) ## many processes on one fresh store, two sweeps on one cache
	$(BIN)/python -m tests.drills.parallel

drill-secrets: $(DEV) ## secrets planted wherever a user may keep some, looked for in all that is written
	$(BIN)/python -m tests.drills.leaks

drill-mutation: $(DEV) ## change the core a little in hundreds of ways, and count which changes the tests notice
	$(BIN)/python -m tests.drills.mutation

gallery: $(DEV) ## train on real bars and photograph the pages anew, for docs/images/
	$(BIN)/python tests/browser/gallery.py

lock: ## write the lock files anew from pyproject.toml
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/pip install --quiet "setuptools>=80" . && $(MAKE) --no-print-directory freeze > requirements.lock
	.lock/bin/pip install --quiet ".[dev]" && (echo "-r requirements.lock"; $(MAKE) --no-print-directory freeze | comm -13 requirements.lock -) > requirements-dev.lock
	.lock/bin/pip install --quiet ".[bench]" && (echo "-r requirements-dev.lock"; $(MAKE) --no-print-directory freeze | LC_ALL=C comm -13 <(LC_ALL=C sort requirements.lock requirements-dev.lock) -) > requirements-bench.lock
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/pip install --quiet nautilus-trader==1.221.0 && .lock/bin/pip freeze | LC_ALL=C sort > requirements-nautilus.lock
	rm -rf .lock build

freeze:
	@.lock/bin/pip freeze --all --exclude pip --exclude botscalp | sed 's/+cpu$$//' | LC_ALL=C sort

clean: ## remove what can be made again; never mlruns/
	rm -rf .venv build dist screenshots .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: gallery help run ui test browser test-all lint bench bench-scale bench-gpu drill-resume drill-determinism drill-hostile \
	drill-resources drill-parallel drill-secrets drill-mutation lock freeze clean
