# Everything a fresh machine needs is Python 3.11 or newer, make and git.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: run test lint bench soak clean

run: $(STAMP)
	$(BIN)/betar-tui $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check betar_tui tests
	$(BIN)/ruff format --check betar_tui tests
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m tests.bench $(ARGS)

soak: $(STAMP)
	$(BIN)/python -m tests.soak $(ARGS)

# constraints.txt names every package, so nothing is resolved: libp2p 0.8.1 insists on fastecdsa 2.3.2, which only comes as
# source for a C compiler and GMP; 3.0.1 comes built and serves as well.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $(STAMP)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
