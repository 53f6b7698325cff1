# Every target sets itself up on a machine that has Python >= 3.11 and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/.run-$(shell cat requirements/run.txt pyproject.toml | cksum | tr ' ' '-')
AUDIT := .venv-audit
DEV := $(BIN)/.dev-$(shell cat requirements/dev.txt pyproject.toml | cksum | tr ' ' '-')
FUZZ := $(BIN)/.fuzz-$(shell cat requirements/fuzz.txt pyproject.toml | cksum | tr ' ' '-')
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
# One worker per core; the tests of a file share its worker, and so its servers; the long ones first (conftest.py).
PYTEST := $(BIN)/pytest -q -n auto --dist loadfile --no-loadscope-reorder
COVERAGE := $(BIN)/python -m coverage
# Every branch of these is tested: the price, the fan-out, and what turns values into bytes and back.
COMPLETE := $(foreach path,price/* fanout/* store/codec.py store/*record*.py store/snapshot_file.py,*/btc_price_tracker/$(path))
comma := ,
space := $(subst ,, )

.PHONY: help run demo test proofs coverage fuzz fuzz-api lint format bench bench-history dist sbom audit lock clean

help:  ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

run: $(RUN)  ## serve the live price on http://localhost:8082
	$(BIN)/btc-price-tracker serve

demo: $(RUN)  ## the same with recorded prices: needs no internet
	$(BIN)/btc-price-tracker demo

test: $(DEV)  ## the tests, within minutes
	$(PYTEST) -m "not proof" $(ONLY)

proofs: $(DEV)  ## the long tests: kills, outages, thousands of streams, combinations of faults
	$(PYTEST) -m proof

fuzz-api: $(DEV)  ## ten thousand requests made from /openapi.json, in a quarter of an hour
	API_EXAMPLES=800 $(PYTEST) tests/proofs/test_api_fuzz.py

coverage: $(DEV)  ## both, and fail if branches are left untested
	$(COVERAGE) erase
	$(PYTEST) --cov --cov-report=
	$(COVERAGE) report
	$(COVERAGE) report --fail-under=100 --include='$(subst $(space),$(comma),$(COMPLETE))'

fuzz: $(FUZZ)  ## look for inputs that break parsers; TIME=3600 seconds each, TARGET=source alone
	$(BIN)/python fuzz/fuzz.py $(or $(TARGET),all) $(or $(TIME),300)

lint: $(DEV)  ## style, types, and what is known to be unsafe
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src
	$(BIN)/shellcheck .ci/run

format: $(DEV)  ## let the formatter have its way
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(DEV)  ## measure, side by side with rivals
	$(BIN)/python bench/run.py

bench-history: $(DEV)  ## measure the stores with a year of prices in them
	$(BIN)/python bench/history.py

.PHONY: docs
docs: $(DEV)  ## write docs/reference and the dashboards from the code
	$(BIN)/python docs/generate.py
	$(BIN)/python deploy/observability/dashboards.py

# The time of the commit (or 1980, as early as a zip can say), so that the same commit gives the same bytes.
dist sbom: export SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),315532800)

dist: $(RUN)  ## build wheel and sdist in dist/, byte for byte the same each time
	$(BIN)/python -m hatchling build --clean

sbom: $(RUN)  ## write what requirements/run.txt installs to dist/sbom.cdx.json (CycloneDX)
	mkdir -p dist
	$(BIN)/python requirements/sbom.py >dist/sbom.cdx.json

audit: $(BIN)/python  ## look for known vulnerabilities in what is locked; needs the internet
	$(BIN)/python -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement requirements/audit.txt
	$(AUDIT)/bin/python requirements/audit.py

lock: $(DEV)  ## pin the newest allowed versions by hash, without naming where they come from
	for set in run image dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --upgrade pyproject.toml --group build \
	    $$([ $$set = run ] || echo --extra all) $$([ $$set = dev ] && echo --group dev) --output-file requirements/$$set.txt; \
	done
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --upgrade --group fuzz --output-file requirements/fuzz.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --upgrade --group audit --output-file requirements/audit.txt

clean:  ## remove what make has made
	rm -rf $(VENV) $(AUDIT) dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no $(PYTHON). Name another Python, 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "btc-price-tracker needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	    "Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "$(PYTHON) can't make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(RUN): $(BIN)/python
	$(PIP) --require-hashes --requirement requirements/run.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUN)
	$(PIP) --require-hashes --requirement requirements/dev.txt
	@touch $@

$(FUZZ): $(DEV)
	$(PIP) --require-hashes --requirement requirements/fuzz.txt
	@touch $@
