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

# What the lock files hold is complete and carries its hashes; of torch, the wheel and what it brings depend on the platform.
HASHED := pip install --quiet --no-deps --require-hashes -r

$(RUNTIME): requirements.lock requirements-torch.lock pyproject.toml | $(BIN)/python
	@echo "installing what the lock files hold into .venv: minutes and 2 GB the first time"
	$(BIN)/$(HASHED) requirements.lock
	$(BIN)/pip install --quiet -r requirements-torch.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	$(BIN)/$(HASHED) requirements-dev.lock
	@touch $@

$(BENCH): requirements-bench.lock $(DEV)
	$(BIN)/$(HASHED) requirements-bench.lock
	@touch $@

# Without their own pins: the launcher asks for a cloudpickle that joblib refuses, and works with the newer one.
$(RAY): requirements-ray.lock $(DEV)
	$(BIN)/$(HASHED) requirements-ray.lock
	@touch $@

$(NAUTILUS): requirements-nautilus.lock | $(BIN)/python
	$(PYTHON) -m venv .venv/nautilus
	@.venv/nautilus/bin/$(HASHED) requirements-nautilus.lock && touch $@ \
		|| echo "nautilus-trader cannot be installed here: the benchmarks leave it out"

run: $(RUNTIME) ## train on the simulated market and print a verdict
	$(BIN)/python -m botscalp.train

ui: $(RUNTIME) ## open MLflow on the runs under mlruns/
	@$(BIN)/python -m botscalp.ui

test: $(DEV) ## the tests that every change has to pass
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

browser: $(DEV) ## the pages in a real Chromium; pictures of them are left in screenshots/
	$(BIN)/python -m pytest -n auto --dist loadfile -rs tests/browser

test-all: $(BENCH) $(RAY) ## all tests: also browsers, long drills, other engines, real bars and the commands of the README
	$(BIN)/python -m pytest -n auto --dist loadfile --hypothesis-profile=thorough

# Twice: as it is, and with kernels that run as plain Python, which only few and small markets bear.
coverage: $(DEV) ## branches of the core that its own tests take; fails below 95 %
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not slow" $(addprefix tests/,windows labels features backtest statistics calibration data \
		test_indicators.py pipeline/test_verdict.py)
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest -p tests.coverage.interpreted $(addprefix tests/,coverage labels \
		$(addprefix features/test_compiled_pass.py::test_,every_column_is_what_its_formula_says the_pass_stays_inside_its_arrays) \
		$(addprefix backtest/test_backtest_,golden.py golden_account.py performance.py anatomy.py))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(DEV) ## style, types, and which module may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=docs/extend:src $(BIN)/mypy -p my_package
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

docs: $(DEV) ## write docs/config.md anew from conf/ and the classes that check it
	$(BIN)/python -m tests.docs.config_page

gallery: $(DEV) ## train on real bars and photograph the pages anew, for docs/images/
	$(BIN)/python tests/browser/gallery.py

# Torch and what the other files named hold are left out, and their versions kept to.
locked = .lock/bin/pip-compile --quiet $(UPGRADE) --generate-hashes --strip-extras --no-header --no-annotate --no-emit-index-url \
	--no-emit-find-links --unsafe-package torch $(foreach below,$(2),-c $(below)) \
	$$(sed -n 's/^\([a-z].*\)==.*/--unsafe-package \1/p' /dev/null $(2) $(3)) -o $(1)

licences: $(BENCH) $(RAY) ## write docs/licences.md anew from what is installed
	$(BIN)/python -m tests.licences

lock: ## write the lock files for pyproject.toml: pins that suit it stay, or UPGRADE=--upgrade
	$(PYTHON) -m venv --clear .lock
	.lock/bin/pip install --quiet pip-tools==7.6.2
	grep -o 'torch==[0-9.]*' pyproject.toml > requirements-torch.lock
	$(call locked,requirements.lock) pyproject.toml
	$(call locked,requirements-dev.lock,requirements.lock) --extra dev pyproject.toml
	$(call locked,requirements-bench.lock,requirements.lock requirements-dev.lock) --extra bench pyproject.toml
	echo ray==2.60.0 | $(call locked,requirements-ray.lock,,requirements.lock) -
	echo nautilus-trader==1.221.0 | $(call locked,requirements-nautilus.lock) -
	sed -i '/^$$/,$$d' requirements-*.lock requirements.lock  # what pip-compile says about the packages left out
	.lock/bin/pip download --quiet --no-deps --dest .lock hydra-ray-launcher==1.2.2  # apart: it asks for what it does not get
	(echo 'hydra-ray-launcher==1.2.2 \'; .lock/bin/pip hash .lock/hydra_ray_launcher-*.whl | sed -n 's/^--hash/    &/p') >> requirements-ray.lock
	rm -rf .lock

clean: ## remove what can be made again; never mlruns/
	rm -rf .venv build dist screenshots .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage*
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: coverage docs licences gallery help run ui test browser test-all lint bench bench-scale bench-gpu drill-resume drill-determinism \
	drill-hostile drill-resources drill-parallel drill-secrets drill-mutation lock clean
