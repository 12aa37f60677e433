# Two commands: `make demo` and `make test`. Each sets up all it needs in this folder, in .venv.

UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
RUN := $(UV) run --quiet --no-sync

# A Python with torch, numpy and rich, for the runs of the ladder; by default uv makes one for the script.
LADDER_PYTHON ?= $(UV) run --quiet --script
ONLY ?= *
WORKERS ?= 2
DEVICE ?= cpu

.PHONY: demo serve test validate lint docs ladder claims population decisions figure benchmark environment clean

demo: $(filter .uv/%,$(UV))  ## fit, forecast, budget and report on shipped measured runs
	@$(UV) sync --quiet --inexact --no-dev
	$(RUN) bayes-scaling demo

serve: demo/fit.nc  ## answer questions of the demo's fit at http://127.0.0.1:8000/
	$(RUN) bayes-scaling serve demo

demo/fit.nc: | environment
	$(RUN) bayes-scaling demo

test: lint  ## lint, types, import layers, unit tests, doctests, notebooks
	$(RUN) pytest -n 2 --dist loadgroup

lint: environment
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) basedpyright
	$(RUN) lint-imports
	$(RUN) codespell

validate: environment  ## the long suite, hours, and its page; CONTINUE=1 goes on with an interrupted run
	@$(UV) sync --quiet --inexact --group audit || echo "pip-audit is not to be had: no known hole is looked for"
	$(RUN) python -m pytest -m slow -n $(WORKERS) --dist loadgroup -v -rs -p tests.validation.record $(if $(CONTINUE),--continue); \
	  ended=$$?; $(RUN) python -m tests.validation.page; exit $$ended

docs: environment  ## the site, in site/html: nothing is downloaded, and no warning is let pass
	$(RUN) python -m docs.build

environment: $(filter .uv/%,$(UV))
	@$(UV) sync --quiet --inexact

# No uv on this machine: get it in a private virtual environment, or, where Python has no venv, in a folder.
.uv/bin/uv:
	@echo "uv is not on this machine: getting it into .uv"
	@(python3 -m venv .uv && .uv/bin/python -m pip install --quiet --disable-pip-version-check uv) \
	  || (rm -rf .uv && python3 -m pip install --quiet --disable-pip-version-check --target .uv uv)

ladder: $(filter .uv/%,$(UV))  ## train what data/ladder/runs.csv lacks of its plan; hours on a CPU
	$(LADDER_PYTHON) data/ladder/corpus.py
	$(LADDER_PYTHON) data/ladder/design.py
	$(LADDER_PYTHON) data/ladder/train.py --only '$(ONLY)' --workers $(WORKERS) --device $(DEVICE)

benchmark: environment  ## what answers and fits cost, beside importing numpy and xarray: some ten minutes
	$(RUN) python -m tests.benchmarks.cold_query
	$(RUN) python -m tests.benchmarks.warm_query
	$(RUN) python -m tests.benchmarks.sampling
	$(RUN) python -m tests.benchmarks.load

claims: environment  ## every fit and picture of notebooks/claims, anew; needs BAYES_SCALING_MIRROR for the public runs
	$(RUN) python -m notebooks.claims.measure
	$(RUN) python -m notebooks.claims.page

population: environment  ## what public ladders say of the next, and how forecasts come out; needs BAYES_SCALING_MIRROR
	$(RUN) python -m notebooks.population.measure
	$(RUN) python -m notebooks.population.curves
	$(RUN) python -m notebooks.population.page

decisions: environment  ## what decisions are worth on measured runs; needs BAYES_SCALING_MIRROR
	$(RUN) python -m notebooks.decisions.measure
	$(RUN) python -m notebooks.decisions.page

notebooks: environment  ## what every notebook shows, anew
	$(RUN) python -m notebooks.execute

figure: environment  ## the picture of the README, drawn anew
	$(RUN) python -m notebooks.images.forecast

clean:
	rm -rf .venv .uv dist demo site .pytest_cache .ruff_cache
