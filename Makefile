# Everything a fresh machine needs is Python 3.11 or newer and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: run test quick lint coverage mutants bench soak attack fuzz dist wheels clean

run: $(STAMP)
	$(BIN)/betar-tui $(ARGS)

# Tests with processes mostly wait: several of them run at a time. Those with peers of their own want a processor each,
# and so do those that say within how many seconds peers meet.
WAITING := tests/attack tests/interop tests/peers
MEETING := tests/networks
ALONE := tests/p2p tests/sync tests/terminal
test: $(STAMP)
ifeq ($(strip $(ARGS)),)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(addprefix --ignore=,$(WAITING) $(MEETING) $(ALONE))
	$(BIN)/python -m pytest $(ALONE)
	$(BIN)/python -m pytest -n 2 $(MEETING)
	$(BIN)/python -m pytest -n 3 $(WAITING)
else
	$(BIN)/python -m pytest $(ARGS)
endif

# The tests that need neither Go nor processes nor much time: see tests/conftest.py.
quick: $(STAMP)
	$(BIN)/python -m pytest -m 'not slow' --hypothesis-profile=quick $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check betar_tui release tests screenshots
	$(BIN)/ruff format --check betar_tui release tests screenshots
	$(BIN)/mypy
	$(BIN)/mypy $(HELPERS)
	$(BIN)/lint-imports

# What tests build on is typed as strictly as the program; the tests themselves need not be.
HELPERS := $(wildcard release/*.py) tests/conftest.py tests/namespaces.py tests/proxy.py $(foreach room,attack catalogue docs fuzz market mutants networks p2p peers simulation tui,\
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

# What is given to people who only want to run it, and whether pip has everything for their machines: see release/.
dist: $(STAMP)
	$(BIN)/python release/dist.py

wheels: $(STAMP)
	$(BIN)/python release/wheels.py

# constraints.txt names every package, so nothing is resolved: libp2p 0.8.1 asks for packages that nobody needs here.
$(STAMP): pyproject.toml constraints.txt
	@echo "This is done once, and takes one to three minutes; $(VENV) then holds everything, and nothing is put elsewhere."
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, and $(PYTHON) is " + sys.version.split()[0] \
		+ "; name another one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "1 of 3  making $(VENV) (a few seconds)"
	@$(PYTHON) -m venv $(VENV)
	@echo "2 of 3  fetching and installing $$(grep -c == constraints.txt) packages (a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r constraints.txt
	@echo "3 of 3  installing betar-tui from this folder (some seconds)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $(STAMP)
	@echo "Done. The program is $(BIN)/betar-tui."

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
