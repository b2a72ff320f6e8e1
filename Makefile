# demo, test and check set up all they need in .venv; PYTHON names the interpreter to build it from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test postgresql test-image test-hapi hapi check fix conformance bench mutants clean

demo: $(STAMP)        ## a card in the terminal, then a page that fires hooks
	$(BIN)/trd-cds demo

test: $(STAMP) postgresql   ## all tests
	$(BIN)/python -m pytest -n 2

# The store is tested on a PostgreSQL that the tests start. Where it is not there and cannot be installed, those are skipped.
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql || true; \
	else echo "PostgreSQL is not installed: its tests are skipped"; fi

test-image: $(STAMP)  ## build the container image and start it; needs root, buildah and debootstrap
	{ command -v buildah && command -v debootstrap; } >/dev/null || { apt-get update --quiet --quiet; apt-get install --yes --quiet --quiet buildah debootstrap >/dev/null; }
	$(BIN)/python -m pytest tests/image

HAPI := tests/hapi/target
test-hapi: $(STAMP) $(if $(TRD_CDS_HAPI_URL),,hapi)  ## the fixture patients on a real HAPI FHIR server; needs Maven and a JDK 17
	$(BIN)/python -m pip install --quiet --editable '.[dev,servers]'
	$(BIN)/python -m pytest tests/hapi

hapi: $(HAPI)/classes/HapiForTests.class

$(HAPI)/classes/HapiForTests.class: tests/hapi/pom.xml tests/hapi/HapiForTests.java tests/hapi/logback.xml
	mvn --quiet --batch-mode --file tests/hapi/pom.xml dependency:copy-dependencies -DoutputDirectory=target/lib
	mkdir -p $(HAPI)/classes
	cp tests/hapi/logback.xml $(HAPI)/classes/
	javac -proc:none -d $(HAPI)/classes -cp '$(HAPI)/lib/*' tests/hapi/HapiForTests.java

check: $(STAMP)       ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy cds_service cards fhir_fixtures

fix: $(STAMP)         ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

conformance: $(STAMP) ## docs/conformance.md, written by the tests that name a rule
	$(BIN)/python -m pytest -n 2 -m conformance --write-conformance

bench: $(STAMP)       ## requests a second against the floor, and growth; a fetched chart against its slowest search; start and memory
	$(BIN)/python bench/hook_throughput.py
	$(BIN)/python bench/fetch_latency.py
	$(BIN)/python bench/start_and_memory.py
	$(BIN)/python bench/start_and_memory.py --client-auth

mutants: $(STAMP)     ## mutation testing of the rules: which changes no test notices (takes an hour)
	$(BIN)/python -m pip install --quiet 'mutmut >= 3.8, < 4'
	HYPOTHESIS_PROFILE="few examples" $(BIN)/mutmut run --max-children 2
	$(BIN)/python bench/mutants.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis mutants

$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "trd-cds needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(STAMP)
