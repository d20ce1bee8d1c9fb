PYTHON ?= python3
BIN := .venv/bin
AXE := tests/browser/axe/node_modules
IN_ONE_PIECE := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

demo: .venv/runtime ## start the demo at http://127.0.0.1:7860
	$(BIN)/python app.py

# Processes by the hundred start here: they share what the first has compiled. Three workers for two cores: one waits.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/dev $(AXE) lint ## lint, types, import contracts, tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: .venv/dev ## lint, types, import contracts, requirements: two at a time
	@$(MAKE) --no-print-directory --keep-going --jobs 2 $(IN_ONE_PIECE) types style contracts dependencies

types: .venv/dev
	$(BIN)/mypy

style: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

contracts: .venv/dev
	$(BIN)/lint-imports --no-cache

dependencies: .venv/dev
	$(BIN)/deptry .

audit: .venv/dev ## known vulnerabilities of what a Space installs; exit code 3 where nobody can be asked
	$(BIN)/python tools/audit.py

cluster: .venv/runtime ## the demo, two prediction nodes and a trainer, as processes on loopback
	$(BIN)/python -m fraud cluster

train: .venv/runtime ## rebuild artifacts/ from the built-in data
	$(BIN)/python -m fraud train

figures: .venv/runtime ## draw artifacts/resultados/*.png again from the release's own predictions
	$(BIN)/python -m fraud figures

notebooks: .venv/dev ## run notebooks/*.ipynb from top to bottom and keep their outputs
	$(BIN)/python -m notebooks.rerun

monitoring-example: .venv/runtime ## rebuild artifacts/monitoring/, what the Monitoring tab shows before the first run
	$(BIN)/python -m benchmarks.monitoring_example

screenshots: .venv/dev ## photograph every tab, size, scheme and language into screenshots/
	$(BIN)/python -m tests.browser.screenshots

lock: ## write requirements.lock.txt from a clean environment
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	echo "# Exact versions of a clean environment made from requirements.txt (make lock); what a Space installs." > requirements.lock.txt
	build/lock/bin/python -m pip freeze >> requirements.lock.txt

.venv/runtime: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/dev: requirements-dev.txt .venv/runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

$(AXE): tests/browser/axe/package-lock.json # what the accessibility tests run in the page
	npm ci --prefix tests/browser/axe --ignore-scripts --no-audit --no-fund --silent
	touch $@

.PHONY: demo test lint types style contracts dependencies audit cluster train figures notebooks monitoring-example screenshots lock
