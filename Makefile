# Every target is one command; what it does is in the program it calls.
#   make up COMPONENTS="postgres redis"   only these, with what they need
#   make logs COMPONENTS=chat FOLLOW=-f   one log, as it grows
#   make bench ROWS=auth                  one row or one group of rows (bench/README.md)
#   make up OBSERVE=1                     every trace is recorded, and shown at an address that is printed
#   make load LOAD_USERS=5 LOAD_SECONDS=20
#   make soak SOAK_SECONDS=60 SOAK_SEED=7 a minute of it, in the order that a run before printed
.PHONY: help bootstrap up down status logs test test-gateway test-clients test-faults soak load attack fuzz alike kept faults-table check lint-openapi fmt lock demo bench eval docs reseal-secrets rotate-keys rotate-certificates config verify-audit gateway-sync licences
.DEFAULT_GOAL := help

COMPONENTS ?=
OBSERVE ?=
FOLLOW ?=
ROWS ?=
ARGS ?=
SOAK_SECONDS ?= 600
SOAK_SEED ?=
ABSENCES ?= 20
LOAD_USERS ?= 50
LOAD_SECONDS ?= 120
FUZZ_SECONDS ?= 3600
SERVICE ?= all
SET ?=
RUN := .venv/bin
# What is compiled is kept (`__pycache__`, which git ignores): a run of the tests starts some dozens of processes, and
# each of them would compile all of ours again.
unexport PYTHONDONTWRITEBYTECODE
EXTRAS := auth agents chat vectors tasks portal
UV := $(shell command -v uv || echo .local/cache/tools/bin/uv)
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

bootstrap: ## what a fresh machine needs; does nothing where it is there
	@local/bootstrap.sh

up: bootstrap ## start the suite; OBSERVE=1 shows traces
	@$(if $(OBSERVE),SUTAZAI_OBSERVE=on )$(RUN)/python -m local up $(COMPONENTS)

down: ## stop what `up` started
	@if [ -x $(RUN)/python ]; then $(RUN)/python -m local down $(COMPONENTS); fi

status: ## what runs
	@$(RUN)/python -m local status $(COMPONENTS)

logs: ## the last lines of the logs
	@$(RUN)/python -m local logs $(FOLLOW) $(COMPONENTS)

test: bootstrap ## all tests, with servers of their own
	$(RUN)/pytest $(ARGS)

test-gateway: bootstrap ## the edge, the journeys and the attacks; through the gateway at GATEWAY_URL, where there is one
	$(RUN)/pytest -n 0 tests/gateway tests/e2e tests/security $(ARGS)

test-faults: bootstrap ## the fault tests with all their repetitions
	@local/bootstrap.sh fault_tools
	FAULTS=1 $(RUN)/pytest -n 3 tests/faults tests/local/test_sick_stores.py $(ARGS)

soak: bootstrap ## ten minutes in which something is killed or frozen every five seconds; then a broker that is away twenty times
	SOAK_SECONDS=$(SOAK_SECONDS) SOAK_SEED=$(SOAK_SEED) $(RUN)/pytest -n 0 -s tests/faults/test_soak.py $(ARGS)
	FAULTS=1 ABSENCES=$(ABSENCES) $(RUN)/pytest -n 0 tests/faults/test_drills.py -k goes_and_comes $(ARGS)

load: bootstrap ## two minutes of fifty people at work, whom no request may fail and few may keep waiting
	LOAD_USERS=$(LOAD_USERS) LOAD_SECONDS=$(LOAD_SECONDS) $(RUN)/pytest -n 0 -s tests/load/test_load.py -k many_people $(ARGS)

attack: bootstrap ## five minutes of attacks on availability, beside a neighbour who works
	ATTACKS=1 $(RUN)/pytest -n 0 tests/security/test_availability.py tests/unit/vectors/test_bulk.py $(ARGS)

test-clients: bootstrap ## clients that teams have, and clients generated from the documents, complete their journeys
	CLIENTS=1 $(RUN)/pytest -n 0 tests/clients/test_generated.py tests/clients/test_others.py tests/clients/test_comply.py $(ARGS)

fuzz: bootstrap ## everything hostile that a body, a query or a path can hold; then an hour of what documents allow
	ATTACKS=1 $(RUN)/pytest -n 0 tests/security/test_hostile_bodies.py tests/security/test_paths.py $(ARGS)
	rm -rf .local/contracts
	FUZZ_SECONDS=$(FUZZ_SECONDS) CONTRACT_REPORT=$(CURDIR)/.local/contracts $(RUN)/pytest -n 0 tests/contracts/test_openapi.py $(ARGS)
	$(RUN)/python -m tests.contracts.reached .local/contracts

alike: bootstrap ## whether every engine finds the same, by hundreds of searches
	ALIKE=1 $(RUN)/pytest -n 0 tests/contracts/vectors/test_alike.py $(ARGS)

kept: bootstrap ## every record of ten thousand stores, on every engine, killed in the middle: half an hour
	FAULTS=1 STORES=10000 $(RUN)/pytest -n 0 tests/faults/test_kept_vectors.py $(ARGS)

faults-table: bootstrap ## every fault under load, and the table of them in docs/operations.md
	FAULTS=1 FAULTS_TABLE=1 $(RUN)/pytest tests/faults/test_faults.py $(ARGS)

check: bootstrap ## format, lint, types, imports
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports

lint-openapi: bootstrap ## the documents in docs/openapi/ by Redocly's linter, which npx fetches
	REDOCLY_TELEMETRY=off npx --yes @redocly/cli@2.77.0 lint --config docs/openapi.redocly.yaml docs/openapi/*.json

fmt: bootstrap ## format and repair what can be
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

demo: bootstrap ## the main job before your eyes
	@$(RUN)/python -m local.demo

bench: bootstrap ## measure
	@$(RUN)/python -m bench $(if $(ROWS),--rows $(ROWS)) $(ARGS)

eval: bootstrap ## how well searches find, in six languages, and what of it reaches the model
	@$(RUN)/python -m bench.evaluation $(ARGS)

rotate-keys: bootstrap ## sign access tokens with the next key
	@$(RUN)/python -m local exec auth -- python -m services.auth.commands rotate-keys $(ARGS)

reseal-secrets: bootstrap ## seal the credentials of tools and the secrets of webhooks with the first SECRET_ENCRYPTION_KEY
	@agents=0; tasks=0; \
	$(RUN)/python -m local exec agents -- python -m services.agents.commands reseal-secrets || agents=$$?; \
	$(RUN)/python -m local exec tasks -- python -m services.tasks.commands reseal-secrets || tasks=$$?; \
	[ $$agents -eq 0 ] && [ $$tasks -eq 0 ]

rotate-certificates: bootstrap ## a new authority and new certificates inside
	@$(RUN)/python -m local rotate-certificates

gateway-sync: bootstrap ## load gateway/kong.yml into the Kong at KONG_ADMIN_URL; ARGS=--dry-run only shows what would change
	@$(RUN)/python -m gateway.sync $(ARGS)

config: bootstrap ## the settings that change while services run; SERVICE=chat SET="log_level=DEBUG" sets, "log_level=" takes back
	@$(RUN)/python -m local config $(SERVICE) $(SET)

verify-audit: bootstrap ## whether the audit log is what it was
	@$(RUN)/python -m local exec auth -- python -m services.auth.commands verify-audit $(ARGS)

licences: bootstrap ## bills of materials of the images (CycloneDX), and the licences of all that ships
	@$(RUN)/python deploy/licences.py

docs: bootstrap ## write docs/configuration.md, docs/errors.md, docs/openai.md, docs/openapi/ and Grafana's dashboards from the code
	$(RUN)/python -m tests.architecture.settings_page > docs/configuration.md
	$(RUN)/python -m tests.architecture.errors_page > .local/errors.md && mv .local/errors.md docs/errors.md
	$(RUN)/python -m tests.architecture.openai_page > .local/openai.md && mv .local/openai.md docs/openai.md
	$(RUN)/python -m tests.architecture.openapi_pages
	$(RUN)/python deploy/observability/dashboards.py

lock: ## compile requirements/ from pyproject.toml
	$(COMPILE) --all-extras --group local --group dev pyproject.toml -o requirements/all.txt
	set -e; $(foreach extra,$(EXTRAS),$(COMPILE) --extra $(extra) -c requirements/all.txt pyproject.toml -o requirements/$(extra).txt;)
	$(COMPILE) --group llm -c requirements/all.txt -o requirements/llm.txt
	$(COMPILE) --group bench -o requirements/bench.txt
	$(COMPILE) --group load -o requirements/load.txt
