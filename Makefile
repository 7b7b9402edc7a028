# The way in. `make help` lists what there is; each target is one script that says what it does.
.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help run demo dev test test-mlflow test-docker test-kubernetes soak check bench bench-scale bench-audit bench-promotion bench-pipeline bench-pages bench-data setup clean
help: ## list the targets
	@grep -hE '^[a-z-]+: .*## ' $(MAKEFILE_LIST) | sed 's/: .*## /\t/' | expand -t 18 | sed 's/^/  make /'

run: ## install what is missing, build and start Slipway (LISTEN=127.0.0.1:3000 DATA_DIR=.slipway)
	@exec scripts/run.sh

demo: ## walk one model from training to production and back, on the server that runs (or one it starts)
	@exec scripts/run.sh demo

dev: ## start Slipway from a quick build, and again whenever a file changes
	@exec scripts/dev.sh

test: ## run every test: Rust, Python with the MLflow client, browser (ONLY=rust|python|browser for a part)
	@exec scripts/test.sh $(ONLY)

test-mlflow: ## ask MLflow's own server and ours the same, and compare the answers
	@exec scripts/test.sh mlflow

test-docker: ## run the tests of steps in containers, with a Docker engine of their own (needs root)
	@exec scripts/test-docker.sh

test-kubernetes: ## run the tests of steps in a cluster: that of KUBECONFIG, or one that SLIPWAY_TEST_CLUSTER starts (one node, this machine)
	@exec scripts/test-kubernetes.sh

soak: ## run each race that must have one winner a thousand times (RACES=1000)
	@exec scripts/soak.sh

check: ## format, lints, dependency directions, licences, links, page sizes; changes nothing
	@exec scripts/check.sh

bench: ## measure a release build beside MLflow's server (SECONDS_EACH=8, OUT=file.md for the table), and its pipelines by the figures of other engines
	@scripts/bench.sh
	@exec scripts/bench-pipeline.sh

bench-scale: ## measure a release build on 100,000 runs and 50 million points
	@exec scripts/bench-scale.sh

bench-audit: ## measure the chain of history: verifying 100,000 events, writing and reading beside a million
	@exec scripts/bench-audit.sh

bench-data: ## measure datasets: a byte changed in a large file, and 100,000 small files (SIZE_MB=10240, FILES=1000000, OUT=file.md)
	@exec scripts/bench-data.sh

bench-promotion: ## measure a release build on 10,000 promotions and a million events: the pages, and a decision
	@exec scripts/bench-promotion.sh

bench-pipeline: ## measure a release build that runs pipelines whose steps do nothing (STEPS=10000 ROUNDS=20 IDLE=20)
	@exec scripts/bench-pipeline.sh

bench-pages: ## measure the pages of pipelines: a run of 10,000 steps, 1,000 runs that wait, a log of a million lines (SLIPWAY_BIN for another build)
	@exec scripts/bench-pages.sh

setup: ## only install what run, check and test need
	@exec scripts/setup.sh run check test-rust test-python test-browser

clean: ## delete what builds made; the server's data stays
	@exec scripts/clean.sh
