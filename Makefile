# `make help` lists the targets. Needs Python 3.11+, pip and make; everything else goes into .venv.

PYTHON ?= python3
# Which torch to install: auto (CUDA on Linux) or cpu (a tenth of the size, no GPU): make setup TORCH=cpu
TORCH ?= $(if $(wildcard .venv/.ready-cpu),cpu,auto)
SPACE ?= quick
DATA ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(TORCH)
DEV := $(VENV)/.dev-$(TORCH)
RUN_DATA := $(if $(DATA),--data "$(DATA)")

PIN := $(BIN)/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links

# Where Python may not cache bytecode, each process would compile its libraries.
export UV_COMPILE_BYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test test-fast test-long test-faults test-cluster test-gpu test-versions check docs audit format lock clean
.PHONY: bench bench-training bench-startup bench-overhead bench-memory bench-peers bench-faults bench-trackers bench-scale bench-gpu bench-policy bench-smoke

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "variables: SPACE=default DATA=my/photographs (run), TORCH=cpu (setup), PYTHON=python3.12"

setup: $(READY) ## create .venv with the pinned dependencies (requirements.txt)

setup-dev: $(DEV) ## the same with all extras and development tools (requirements-dev.txt)

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# A CPU-only torch comes from PyTorch's own index, without the CUDA packages that the pins list; the
# pins are therefore constraints there, and the complete list otherwise.
$(READY): requirements.txt pyproject.toml | $(BIN)/uv
ifeq ($(TORCH),cpu)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend cpu -c requirements.txt -e .
else
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
endif
	@rm -f $(VENV)/.ready-* $(VENV)/.dev-*
	@touch $@

$(DEV): requirements-dev.txt $(READY)
ifeq ($(TORCH),cpu)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend cpu -c requirements-dev.txt -e '.[dev]'
else
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt
endif
	@touch $@

run: $(READY) ## search, retrain and test (SPACE=quick on synthetic hands)
	$(BIN)/python tune_main.py run $(SPACE) $(RUN_DATA)

# Tests that start Ray mostly wait, so several files run at once.
test: $(DEV) ## all tests except test-cluster, test-long and test-gpu
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not cluster and not long and not gpu"

test-fast: $(DEV) ## unit tests, in about a minute: without Ray and other slow parts
	$(BIN)/python -m pytest -n 2 -m "not ray and not slow and not cluster and not gpu"

test-long: $(DEV) ## the longest tests: rare faults, and all benchmarks in tiny sizes
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "long and not cluster and not gpu"

test-faults: $(DEV) ## tests that kill processes and fill disks, in minutes
	$(BIN)/python -m pytest -n 3 --dist loadfile -m faults

# Non-root users become root in user namespaces (network and mounts), where that is allowed.
NAMESPACES := unshare --map-root-user --net --mount
AS_ROOT = $(if $(filter-out 0,$(shell id -u)),$(shell $(NAMESPACES) true && echo "$(NAMESPACES) \
	sh -c 'ip link set lo up && mount -t tmpfs none /run && exec \"\$$0\" \"\$$@\"'"))

test-cluster: $(DEV) ## searches on several machines emulated by namespaces (Linux)
	$(AS_ROOT) $(BIN)/python -m pytest -m cluster

test-gpu: $(DEV) ## tests on an NVIDIA GPU; without one they are skipped, with a message
	@# Memory first: some releases of torch never free what a failed capture allocated, which a later test provokes.
	$(BIN)/python -m pytest -m gpu -rs tests/gpu/test_memory.py tests/gpu

# Separate environments, created afresh each time, so that new releases are picked up.
VERSIONS := lowest newest
INSTALL_lowest := --resolution lowest-direct
INSTALL_newest := --upgrade

test-versions: $(VERSIONS:%=test-%) ## end-to-end tests with the lowest declared and the newest dependencies

.PHONY: $(VERSIONS:%=test-%)
$(VERSIONS:%=test-%): test-%: | $(BIN)/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-$*
	$(BIN)/uv pip install --quiet --python .venv-$*/bin/python $(INSTALL_$*) \
		$(if $(filter cpu,$(TORCH)),--torch-backend cpu) -e '.[test]'
	.venv-$*/bin/python -m pytest -m versions $$(grep -rl mark.versions tests --include='test_*.py')

check: $(DEV) docs ## lint, formatting, types and documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(DEV) ## build the documentation into site/; broken links and missing docstrings fail
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

bench: bench-training bench-startup bench-overhead bench-memory bench-peers bench-faults bench-trackers bench-scale bench-gpu ## benchmarks of speed, memory and faults, over three hours on two cores; or one of bench-training, -startup, -overhead, -memory, -peers, -faults, -trackers, -scale, -gpu, and -policy, which it leaves out

bench-training bench-startup bench-overhead bench-memory bench-faults bench-trackers bench-scale bench-gpu bench-policy: bench-%: $(DEV)
	$(BIN)/python benchmarks/$*.py --json results/bench-$*.json

bench-smoke: $(DEV) ## smoke test of every benchmark, in tiny sizes
	$(BIN)/python -m pytest tests/benchmarks/test_smoke.py

bench-peers: $(DEV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c benchmarks/requirements.txt -e '.[peers]'
	$(BIN)/python benchmarks/peers.py --json results/bench-peers.json

format: $(DEV) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: | $(BIN)/uv ## check the pinned dependencies for known vulnerabilities
	$(BIN)/uv tool run pip-audit --strict --no-deps --disable-pip --requirement requirements-dev.txt

lock: | $(BIN)/uv ## pin the newest versions of all dependencies
	$(PIN) --upgrade -o requirements.txt
	$(PIN) --upgrade --extra dev -c requirements.txt -o requirements-dev.txt
	$(PIN) --upgrade --extra peers -c requirements.txt -o benchmarks/requirements.txt

clean: ## remove .venv, site and caches; results are kept
	rm -rf $(VENV) $(VERSIONS:%=.venv-%) site .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
