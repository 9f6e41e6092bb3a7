# Everything a fresh machine needs is Python 3.11 or newer, make and git.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: run test quick lint coverage mutants bench soak attack fuzz clean

run: $(STAMP)
	$(BIN)/betar-tui $(ARGS)

# Tests with processes mostly wait: several of them run at a time. Those with peers of their own want a processor each.
WAITING := tests/attack tests/interop tests/networks tests/peers
ALONE := tests/p2p tests/sync tests/terminal
test: $(STAMP)
ifeq ($(strip $(ARGS)),)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(addprefix --ignore=,$(WAITING) $(ALONE))
	$(BIN)/python -m pytest $(ALONE)
	$(BIN)/python -m pytest -n 3 $(WAITING)
else
	$(BIN)/python -m pytest $(ARGS)
endif

# The tests that need neither Go nor processes nor much time: see tests/conftest.py.
quick: $(STAMP)
	$(BIN)/python -m pytest -m 'not slow' --hypothesis-profile=quick $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check betar_tui tests screenshots
	$(BIN)/ruff format --check betar_tui tests screenshots
	$(BIN)/mypy
	$(BIN)/mypy $(HELPERS)
	$(BIN)/lint-imports

# What tests build on is typed as strictly as the program; the tests themselves need not be.
HELPERS := tests/conftest.py tests/namespaces.py tests/proxy.py $(foreach room,attack catalogue docs fuzz market mutants networks p2p peers simulation tui,\
	$(filter-out tests/$(room)/test_%,$(wildcard tests/$(room)/*.py)))

coverage: $(STAMP)
	$(BIN)/python -m pytest -m 'not slow' --cov --cov-report=term-missing:skip-covered --cov-report=html $(ARGS)

mutants: $(STAMP)
	$(BIN)/python -m tests.mutants $(ARGS)

bench: $(STAMP)
	$(BIN)/python -m tests.bench $(ARGS)

soak: $(STAMP)
	$(BIN)/python -m tests.soak $(ARGS)

attack: $(STAMP)
	$(BIN)/python -m tests.attack $(ARGS)

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz $(ARGS)

# constraints.txt names every package, so nothing is resolved: libp2p 0.8.1 insists on fastecdsa 2.3.2, which only comes as
# source for a C compiler and GMP; 3.0.1 comes built and serves as well.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $(STAMP)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
