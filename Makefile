# Every target sets itself up on a machine that has Python >= 3.11 and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/.run-$(shell cat requirements/run.txt pyproject.toml | cksum | tr ' ' '-')
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

.PHONY: help run demo test proofs coverage fuzz fuzz-api lint format bench bench-history lock clean

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

lint: $(DEV)  ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

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

lock: $(DEV)  ## pin the newest allowed versions by hash, without naming where they come from
	for set in run image dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --upgrade pyproject.toml --group build \
	    $$([ $$set = run ] || echo --extra all) $$([ $$set = dev ] && echo --group dev) --output-file requirements/$$set.txt; \
	done
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --upgrade --group fuzz --output-file requirements/fuzz.txt

clean:  ## remove what make has made
	rm -rf $(VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz

$(BIN)/python:
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
