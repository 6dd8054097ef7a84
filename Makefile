# Everything a contributor types. Needs python3 (3.11 or later) and make, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
SCENARIO ?= scenarios/active-passive/bookstore-region-loss.yaml
SEED   ?= 7

.DEFAULT_GOAL := help
.PHONY: help run test verify lint format bench bench-quick docs notebook schema validate clean

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

# Stamps: installed again only when pyproject.toml or the constraints change.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "mrsim needs Python 3.11 or later, " + sys.executable + " is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3 has no working venv module (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed

run: $(VENV)/.installed  ## simulate the loss of a region under the bookstore and judge its budgets
	$(BIN)/mrsim run $(SCENARIO) --seed $(SEED)

test: $(VENV)/.installed-dev  ## all tests but the slow ones
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow"

verify: $(VENV)/.installed-dev  ## slow statistical verification
	$(BIN)/python -m pytest -n $(JOBS) -m slow

lint: $(VENV)/.installed-dev  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev  ## apply the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed  ## what a trial costs, against peers that must agree
	$(BIN)/python -m benchmarks

bench-quick: $(VENV)/.installed  ## the same with fewer trials
	$(BIN)/python -m benchmarks --quick

docs: $(VENV)/.installed  ## write the generated pages of docs/
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.scenarios

notebook: $(VENV)/.installed-dev  ## run the notebooks again and store what they show
	$(BIN)/python -m docs.notebooks

schema: $(VENV)/.installed  ## write the JSON Schema of scenario files
	$(BIN)/mrsim schema > scenarios/mrsim.schema.json.new
	mv scenarios/mrsim.schema.json.new scenarios/mrsim.schema.json

validate: $(VENV)/.installed-dev  ## predict the measurements again and write docs/validation.md
	$(BIN)/python -m docs.validate

clean:  ## remove what make made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
