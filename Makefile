# Every target sets up what it needs; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup run sweep test test-long test-browser test-slow chaos dashboard docs bench bench-sweeps gpu-check figures pages quickstart zoo zoo-tuned types exact-vs-fast size-and-depth claims type-claims equal-l0 activations lint audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

# The set-up: done when constraints.txt or pyproject.toml changes, otherwise never again.
$(READY): constraints.txt pyproject.toml
	@echo "setting up .venv (a few minutes, several GB: torch brings CUDA)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11, 3.12 or 3.13 is needed, got %d.%d; set PYTHON=..." % sys.version_info[:2] if not (3, 11) <= sys.version_info[:2] < (3, 14) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(READY) ## .venv with all packages, as every other target makes it too

run: $(READY) ## fetch MNIST, train a denoising autoencoder, show where to look
	@$(BIN)/hourglass train experiment=quickstart

sweep: $(READY) ## code size 2 to 64 by depth 0 to 2, 3 seeds, MNIST (9 minutes on 2 cores); writes experiments/code_size_by_depth/
	@$(BIN)/python -m experiments.code_size_by_depth.measure

test: $(READY) ## the test suite, but for what takes seconds each
	@$(BIN)/pytest

test-long: $(READY) ## the tests that take seconds each: whole sweeps, servers, killed processes (ten minutes)
	@$(BIN)/pytest -m 'long and not slow and not browser'

test-browser: $(READY) ## the dashboard in Debian's Chromium (2 minutes); what was seen is in build/screenshots
	@test -n "$(CHROMIUM)" || command -v chromium >/dev/null || { echo "test-browser needs Chromium: apt-get install chromium, or CHROMIUM=FILE"; exit 2; }
	@CHROMIUM="$(CHROMIUM)" $(BIN)/pytest -n 0 -m browser tests/browser

test-slow: $(READY) ## the tests that take minutes
	@$(BIN)/pytest -m slow

chaos: $(READY) ## commands killed, stopped, cut off from store and disk at random moments (20 minutes; SEED=, MINUTES=, ROUND=); writes benchmarks/CHAOS.md
	@$(BIN)/python tests/chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(ONLY),--only '$(ONLY)') \
		$(if $(ROUND),--round $(ROUND),--record)

dashboard: $(READY) ## the MLflow dashboard, on 127.0.0.1
	@$(BIN)/hourglass ui

docs: $(READY) ## the documentation as a site, every link checked: build/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir build/site
	@echo "build/site/index.html"

bench: $(READY) ## speed against peers, in one sitting; writes benchmarks/RESULTS.md (half an hour or more)
	@$(BIN)/python benchmarks/bench.py

bench-sweeps: $(READY) ## sweeps against other ways to run them; writes benchmarks/SWEEPS.md, MANY_JOBS.md and LARGE_STORE.md (an hour)
	@$(BIN)/python benchmarks/sweep.py
	@$(BIN)/python benchmarks/many_jobs.py
	@$(BIN)/python benchmarks/large_store.py

gpu-check: $(READY) ## what this machine's GPU does: tests, single runs, stacks, sweeps, memory (8 minutes); writes benchmarks/gpu/
	@$(BIN)/python benchmarks/gpu_check.py

figures: $(READY) ## the published figures, 3 seeds each; writes experiments/published_figures/
	@$(BIN)/python -m experiments.published_figures.measure

pages: $(READY) ## every record's page anew from its results.csv, and their index; trains nothing
	@$(BIN)/python -m experiments.pages

quickstart: $(READY) ## the recipe of `make run`, measured; writes experiments/quickstart/README.md
	@$(BIN)/python -m experiments.quickstart.measure

zoo: $(READY) ## every type on MNIST on one budget, 3 seeds (86 minutes on two quiet cores); writes experiments/zoo/README.md and its mosaics
	@$(BIN)/python -m experiments.zoo.measure

zoo-tuned: $(READY) ## the same with learning rate and schedule of each type searched in 12 trials (hours on 2 cores); writes experiments/zoo/TUNED.md
	@$(BIN)/python -m experiments.zoo.measure --tuned

types: $(READY) ## whether the types learn what their authors report; writes experiments/types/README.md (an hour)
	@$(BIN)/python -m experiments.types.measure

exact-vs-fast: $(READY) ## what bfloat16 changes; writes experiments/exact_vs_fast/README.md
	@$(BIN)/python -m experiments.exact_vs_fast.measure

size-and-depth: $(READY) ## how useful codes of 2 to 256 units are at depth 0 to 4, on digits and clothes, 5 seeds; writes experiments/size_and_depth/
	@$(BIN)/python -m experiments.size_and_depth.measure

claims: $(READY) ## the documents' claims put to the test, 5 seeds each; writes experiments/CLAIMS.md (560 trainings, an hour; QUICK=true: ten minutes, in build/)
	@$(BIN)/hourglass claim experiments/claims title="What is claimed, and what is so" $(if $(QUICK),quick=true into=build/CLAIMS.md,into=experiments/CLAIMS.md)

type-claims: $(READY) ## whether each type does what its paper says, 5 or 10 seeds each (an hour); writes experiments/TYPE_CLAIMS.md (QUICK=true: sooner, in build/)
	@$(BIN)/hourglass claim experiments/types title="Does each type do what its paper says?" $(if $(QUICK),quick=true into=build/TYPE_CLAIMS.md,into=experiments/TYPE_CLAIMS.md)

equal-l0: $(READY) ## sparse types with as many units on, 4 to 32 of 256; writes experiments/equal_l0/README.md
	@$(BIN)/python -m experiments.equal_l0.measure

activations: $(READY) ## sparse codes of a network's activations; writes experiments/activations/README.md (a quarter of an hour)
	@$(BIN)/python -m experiments.activations.measure

lint: $(READY) ## ruff, mypy, and who imports whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

audit: $(READY) ## known faults of the packages in constraints.txt; skipped where there is no network
	@$(BIN)/python .ci/audit

clean: ## remove .venv, caches and build products (not runs, databases or fetched data)
	rm -rf .venv .bench-peers build dist .mypy_cache .ruff_cache .pytest_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +
