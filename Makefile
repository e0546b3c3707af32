# The whole of it: `make run` starts Plaudit, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
BREAKING_AGAINST ?= HEAD
TEST_PROCESSES ?= 2

.DEFAULT_GOAL := help
.PHONY: help docs run engines mesh test faults stops soak simulate gen check fix bench load packages clients compatibility languages clean

help: ## show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

PROJECTS := gen client .
EDITABLE := $(PROJECTS:%=--editable ./%)
DIST ?= dist
# Setuptools warns of every editable install.
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(VENV)/run: pyproject.toml gen/pyproject.toml client/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Plaudit needs Python 3.11 or later, this is " + sys.version.split()[0] + ": make run PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) $(EDITABLE)
	@touch $@

$(VENV)/dev: pyproject.toml gen/pyproject.toml client/pyproject.toml $(VENV)/run
	$(INSTALL) --upgrade 'pip>=25.1'
	$(INSTALL) --group dev $(EDITABLE)
	@touch $@

$(VENV)/bench: pyproject.toml $(VENV)/dev
	$(INSTALL) --group bench
	@touch $@

gen/plaudit/plaudit.protoset:
	$(MAKE) gen

run: $(VENV)/run gen/plaudit/plaudit.protoset ## start everything in one process, no servers, data in ./data
	@exec $(BIN)/plaudit up --demo

engines: $(VENV)/dev ## get and start Redis, Cassandra, Kafka and the others; ARGS=down stops them
	$(BIN)/python -m engines $(or $(ARGS),up)

mesh: $(VENV)/dev gen/plaudit/plaudit.protoset ## start two of everything on real engines behind Envoy, on this machine
	@exec $(BIN)/plaudit mesh $(ARGS)

test: $(VENV)/dev ## install what tests need and run the whole suite
	@sh tests/browser.sh
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --durations 20 --durations-min 5

faults: $(VENV)/dev ## break real servers in every way on the list, then check the histories
	$(BIN)/python -m tests.faults $(ARGS)

stops: $(VENV)/dev ## stop a server 300 times under load; ARGS="--stops 20 --grace 5 --pin"
	$(BIN)/python -m tests.stops $(ARGS)

soak: $(VENV)/dev ## load a shard on three Cassandra nodes for long, and see what grows; ARGS="--minutes 30 --paxos v1"
	$(BIN)/python -m tests.soak $(ARGS)

simulate: $(VENV)/dev ## try the ledger under random faults in virtual time; ARGS="--seeds 100000"
	$(BIN)/python -m tests.simulation $(ARGS)

gen: $(VENV)/dev ## write gen/ from proto/, generated pages of docs/, the Helm chart from the manifests
	$(BIN)/python proto/generate.py
	$(BIN)/python docs/generate.py
	$(BIN)/python deploy/helm/generate.py

check: $(VENV)/dev ## lint, types, contracts, layers; each has its fix in `make fix`
	@! git grep -nE '^(<<<<<<<|>>>>>>>) ' || { echo 'unresolved merge conflicts'; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python proto/check.py --against $(BREAKING_AGAINST)
	$(BIN)/python docs/generate.py --check
	$(BIN)/python deploy/helm/generate.py --check
	$(BIN)/python clients/bundle.py --check

packages: $(VENV)/dev ## build plaudit-proto, plaudit-client and the server into dist/, each as sdist and wheel
	for project in $(PROJECTS); do $(BIN)/python -m build --no-isolation --outdir $(DIST) $$project || exit 1; done

clients/ts/node_modules: clients/ts/package-lock.json
	npm --prefix clients/ts ci --no-audit --no-fund
	@touch $@

clients: $(VENV)/dev clients/ts/node_modules ## build the Python and the TypeScript client into dist/, and the page's bundle; needs Node
	$(BIN)/python clients/bundle.py
	$(BIN)/python -m build --no-isolation --outdir $(DIST) client
	npm --prefix clients/ts run build
	npm pack ./clients/ts --pack-destination $(abspath $(DIST))

compatibility: $(VENV)/dev ## use the packages with the lowest and the newest versions of what they need
	$(BIN)/python -m tests.packages

languages: $(VENV)/dev ## generate, compile and run the examples in Go, TypeScript and Java
	TEST_ALL_LANGUAGES=1 $(BIN)/python -m pytest tests/flows/docs/test_other_languages.py

fix: $(VENV)/dev ## mend what can be mended without thought
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/buf format --write proto
	$(BIN)/python proto/generate.py
	$(BIN)/python docs/generate.py
	$(BIN)/python deploy/helm/generate.py

$(VENV)/docs: pyproject.toml $(VENV)/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@

docs: $(VENV)/docs ## build the site of the documents into build/site/html
	$(BIN)/python docs/site.py

bench: $(VENV)/bench ## measure, against references in the same run
	$(BIN)/python -m bench $(ARGS)

load: $(VENV)/bench ## ghz against a stack, then an exact count
	$(BIN)/python -m bench.load $(ARGS)

clean: ## remove what was installed and built (data/ stays)
	rm -rf $(VENV) bench/bin .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist *.egg-info gen/*.egg-info client/*.egg-info clients/ts/node_modules clients/ts/dist
