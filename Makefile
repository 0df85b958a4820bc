# Every target does its own set-up, quietly and once: a stamp in .venv (Python) or contracts/node_modules (Node)
# says for which lock file it was done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VENV_STAMP := $(VENV)/.made
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
NODE_STAMP := contracts/node_modules/.installed
GETH := $(VENV)/go/geth
VERSITYGW := $(VENV)/go/versitygw
TRANSIT := $(VENV)/go/transit-engine
BENCH_STAMP := bench/node_modules/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes
EDITABLE := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .

# What is compiled once serves every process that the tests start.
unexport PYTHONDONTWRITEBYTECODE

# Both cores; AGAIN=1: only what failed in the last run, on one.
PYTEST := $(BIN)/python -m pytest $(if $(AGAIN),--last-failed --last-failed-no-failures none,-n 3 --dist loadfile)

# `make test-postgres` runs them, where they say most: `make test` does not run them a second time on SQLite.
ON_POSTGRES := tests/integration/test_several_processes.py tests/integration/test_backup_of_a_named_database.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo serve system test test-python test-slow test-contracts test-postgres test-objects test-kms test-network engine soak lint types bench contracts lock auditor-kit clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

demo: $(RUN_STAMP) ## the main job, end to end, into var/demo (KEEP=1 continues with the state that is there; RPC=URL: on a node)
	@$(BIN)/python -m scripts.demo $(if $(KEEP),--keep) $(if $(RPC),--rpc $(RPC))

serve: $(RUN_STAMP) ## the service on the demo's state, or on an empty one (PORT=8080)
	@$(BIN)/python -m scripts.demo.serve --port $(or $(PORT),8080)

system: ## the programs of Debian that some tests drive: strace, PostgreSQL (as root; once)
	@command -v strace >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { \
		echo "Installing strace and postgresql (once) ..." && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends strace postgresql >/dev/null; }

# Side by side: the compiler of Solidity keeps one core busy and leaves the other.
test: ## the tests of Python and Solidity in ten minutes, but for the slow ones
	@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,--jobs 2 --output-sync=line) test-python test-contracts

test-python: $(DEV_STAMP) $(NODE_STAMP)
	@$(PYTEST) $(if $(AGAIN),--cov-append,--no-loadscope-reorder) --cov --cov-report= $(addprefix --ignore=,$(ON_POSTGRES))
	@$(BIN)/coverage report --skip-covered --fail-under=95
	@$(BIN)/coverage report --format=total --fail-under=100 \
		--include='ledger/merkle/*,ledger/statements/*,ledger/evidence/*'

test-slow: $(DEV_STAMP) $(NODE_STAMP) ## the slow ones that `make test` leaves out: further points of what it tests, and whole processes
	@$(PYTEST) -m slow

# That the committed artifacts are what the sources build to is shown by tests/contracts.
test-contracts: $(DEV_STAMP) $(NODE_STAMP)
	@cd contracts && ./forge.js test --silent || ./forge.js test
	@$(BIN)/python -m scripts.check_contract_coverage

test-postgres: $(DEV_STAMP) ## the store's tests and the service's, kept in a real PostgreSQL server that they start
	@$(PYTEST) --database postgresql \
		tests/unit/test_store_*.py tests/unit/test_projections.py tests/unit/test_outbox_table.py \
		tests/unit/test_exchange_gateway.py tests/unit/test_exchange_workers.py tests/unit/test_exchange_tenure.py \
		tests/integration/test_every_route.py tests/integration/test_write_answers.py tests/integration/test_gateway_past.py \
		$(ON_POSTGRES)

test-objects: $(DEV_STAMP) $(NODE_STAMP) $(if $(CONCORD_VERSITYGW),,$(VERSITYGW)) ## object stores, on a real S3 server and through its failures (CONCORD_VERSITYGW names a versitygw)
	@CONCORD_VERSITYGW=$(or $(CONCORD_VERSITYGW),$(abspath $(VERSITYGW))) $(PYTEST) tests/objects

test-kms: $(DEV_STAMP) $(if $(CONCORD_TRANSIT_ENGINE),,$(TRANSIT)) ## the key service: Vault's own transit engine (CONCORD_TRANSIT_ENGINE names a built one)
	@CONCORD_TRANSIT_ENGINE=$(or $(CONCORD_TRANSIT_ENGINE),$(abspath $(TRANSIT))) $(BIN)/python -m pytest --no-cov tests/kms

# What test-network runs on, unless an engine is named.
engine: $(if $(CONCORD_BESU)$(CONCORD_GOQUORUM)$(CONCORD_GETH),,$(GETH))

test-network: $(DEV_STAMP) engine ## several validators: demo, one lost, quorum lost, healed (CONCORD_BESU, CONCORD_GOQUORUM or CONCORD_GETH name an engine)
	@CONCORD_GETH=$(or $(CONCORD_GETH),$(abspath $(GETH))) $(BIN)/python -m pytest tests/network

soak: $(DEV_STAMP) $(NODE_STAMP) ## random faults of node, wire, clock and service on a real node, ten minutes of them (SECONDS=60 SEED=7)
	@$(BIN)/python -m tests.support.soak --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED))

lint: $(DEV_STAMP) $(NODE_STAMP) ## ruff, import-linter and solhint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@cd contracts && node_modules/.bin/solhint --quiet --config .solhint.json 'src/**/*.sol' && \
		node_modules/.bin/solhint --quiet --config .solhint.test.json 'test/**/*.sol'

types: $(DEV_STAMP) ## mypy, strictly
	@$(BIN)/mypy

bench: $(DEV_STAMP) $(NODE_STAMP) $(BENCH_STAMP) ## gas, statements, hashing, deliveries, the way to the chain, the bulk endpoint and the verifier (ENTRIES=1000000)
	@$(BIN)/python -m bench.gas
	@$(BIN)/python -m bench.statements
	@$(BIN)/python -m bench.verifier
	@$(BIN)/python -m bench.hashing
	@$(BIN)/python -m bench.transfers
	@$(BIN)/python -m bench.submission
	@$(BIN)/python -m bench.bulk --entries $(or $(ENTRIES),1000000)

contracts: $(DEV_STAMP) $(NODE_STAMP) ## generate the Solidity types, their page in docs and the committed artifacts
	@$(BIN)/python -m scripts.build_contracts
	@$(BIN)/python -m scripts.describe_statements

lock: ## resolve the locked requirements anew (needs uv)
	@uv pip compile --quiet --generate-hashes --universal --no-annotate --no-header --python-version 3.11 \
		pyproject.toml requirements/build.in --extra service --extra demo --output-file requirements/run.txt
	@uv pip compile --quiet --generate-hashes --universal --no-annotate --no-header --python-version 3.11 \
		--constraint requirements/run.txt \
		pyproject.toml requirements/build.in --extra service --extra demo --extra dev --output-file requirements/dev.txt

auditor-kit: $(DEV_STAMP) ## the auditor's kit into dist/, tried without a network (KIT="--platform linux-x86_64 --python 3.11")
	@$(BIN)/python -m scripts.build_auditor_kit $(KIT)
	@$(BIN)/python scripts/check_auditor_kit.py dist/concord-auditor-kit-*.zip

clean: ## remove what the targets made, the demo's state included
	@rm -rf $(VENV) contracts/node_modules bench/node_modules contracts/out contracts/cache var build dist *.egg-info .coverage .coverage.*

$(VENV_STAMP):
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): name yours, make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) scripts/preflight.py python
	@echo "Setting up $(VENV) (once) ..."
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && touch $@

$(RUN_STAMP): requirements/run.txt pyproject.toml | $(VENV_STAMP)
	@echo "Installing the service's packages (once) ..."
	@$(PIP) -r requirements/run.txt && $(EDITABLE) && touch $@

$(DEV_STAMP): requirements/dev.txt pyproject.toml | $(VENV_STAMP)
	@echo "Installing the development packages (once) ..."
	@$(PIP) -r requirements/dev.txt && $(EDITABLE) && touch $@ $(RUN_STAMP)

# The last version with clique; its checksums are in Go's checksum database.
$(GETH): | $(VENV_STAMP)
	@command -v go >/dev/null || { echo "There is no Go to build go-ethereum with: name a Besu in CONCORD_BESU" >&2; exit 1; }
	@echo "Building go-ethereum 1.13.15 (once, some minutes) ..."
	@CGO_ENABLED=0 GOBIN=$(abspath $(dir $@)) go install -ldflags=-checklinkname=0 github.com/ethereum/go-ethereum/cmd/geth@v1.13.15

$(VERSITYGW): | $(VENV_STAMP)
	@command -v go >/dev/null || { echo "There is no Go to build versitygw with: name one in CONCORD_VERSITYGW" >&2; exit 1; }
	@echo "Building versitygw 1.8.0 (once, some minutes) ..."
	@GOBIN=$(abspath $(dir $@)) go install github.com/versity/versitygw/cmd/versitygw@v1.8.0

$(TRANSIT): tests/kms/engine/main.go tests/kms/engine/go.mod tests/kms/engine/go.sum | $(VENV_STAMP)
	@command -v go >/dev/null || { echo "There is no Go to build the engine with: name a built one in CONCORD_TRANSIT_ENGINE" >&2; exit 1; }
	@echo "Building Vault 1.21.4's transit engine (once, some minutes) ..."
	@cd tests/kms/engine && CGO_ENABLED=0 go build -trimpath -o $(abspath $@) .

$(NODE_STAMP): contracts/package-lock.json
	@$(PYTHON) scripts/preflight.py node
	@echo "Installing the Solidity tools (once) ..."
	@# Not `npm ci`: it refuses a lock without the packages of other platforms, which not every registry carries.
	@cd contracts && npm install --no-save --silent --no-audit --no-fund && touch node_modules/.installed

$(BENCH_STAMP): bench/package-lock.json
	@$(PYTHON) scripts/preflight.py node
	@cd bench && npm install --no-save --silent --no-audit --no-fund && touch node_modules/.installed
