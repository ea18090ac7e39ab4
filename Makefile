PYTHON ?= python3
VENV   ?= .venv
PROCESSES ?= 2
MINUTES   ?= 60
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup peers demo test test-slow explore gpu lint types format tables clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## make .venv with the locked versions (uv where it is there, else pip)

# torch goes in first and by pip: pip takes a CPU build that lies on this machine, uv would not look there and
# would fetch another; elsewhere the same pin brings the CUDA build. uv then keeps what is installed.
$(VENV)/.installed: requirements/lock.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' requirements/lock.txt)"
	@if command -v uv >/dev/null; then \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements/lock.txt; \
	else \
		$(BIN)/python -m pip install --quiet -r requirements/lock.txt; \
	fi
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

peers: $(VENV)/.peers ## add the public implementations that tests and benchmarks compare with

# Without dependencies: mmcv asks for opencv-python, which must not share an environment with the headless build.
$(VENV)/.peers: requirements/peers.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-deps -r requirements/peers.txt
	@touch $@

demo: setup ## train SCASeg on the embedded dataset on a CPU (minutes) and show what it learned
	$(BIN)/python -m scaseg.train experiment=demo

test: peers lint types ## lint, types and the fast tests, in PROCESSES (2); it says on which processor
	$(BIN)/python -m pytest -m "not slow" -n $(PROCESSES) --dist loadfile

test-slow: peers ## the tests that take minutes, in PROCESSES (2)
	$(BIN)/python -m pytest -m slow -n $(PROCESSES) --dist loadfile

explore: peers ## the property tests with fresh seeds, again and again for MINUTES (60)
	$(BIN)/python -m tests.explore $(MINUTES)

gpu: peers ## what only a GPU can say, in half an hour, to runs/gpu/report.md; GPU="minutes=9 parts=1,2" for less
	$(BIN)/python -m experiments.gpu.run $(GPU)

lint: setup ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy --strict on the package
	$(BIN)/mypy

format: setup ## let ruff put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and caches (runs/ stays)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
