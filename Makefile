# The commands of this project. Targets that depend on `venv` first install .venv, if the lock files have changed.
.DEFAULT_GOAL := help
SHELL := /bin/bash
MART := .venv/bin/mart
export PYTHON

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: venv
venv:
	@.ci/venv

# The environment of the S3 server for tests. Targets that only build a mart do not install it.
.PHONY: venv-aws
venv-aws: venv
	@.ci/venv-aws

.PHONY: chromium
chromium:
	@.ci/chromium

# MART_DWH is exported and not passed as an option, so that the recipe need not quote a path with spaces.
.PHONY: mart
mart: export MART_DWH := $(if $(DWH),$(DWH),$(MART_DWH))
mart: venv ## build, test, document and snapshot (DWH=folder of Parquet, AS_OF=2026-04-01; else the sample)
	@$(if $(MART_DWH),,unset MART_DWH;) $(MART) run $(if $(AS_OF),--as-of '$(AS_OF)')

.PHONY: sample
sample: venv ## write the sample warehouse only (JOBS=20000, SEED=0)
	@$(MART) sample $(if $(JOBS),--jobs '$(JOBS)') $(if $(SEED),--seed '$(SEED)')

# All tests of a module run in one worker, so that the module's mart is built once.
.PHONY: test
test: venv-aws chromium ## run the unit, contract and integration tests except long ones (ARGS="-k splits" for some)
	@.venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

.PHONY: model
model: venv ## build and test one model on a copy of the sample's mart (M=feat_client__history)
	@.ci/model '$(M)'

.PHONY: audit
audit: venv-aws ## run the audits and the long tests (three hours): planted changes, every setting, 30,000 histories
	@$(MART) run
	@$(MART) audit leakage
	@$(MART) audit leakage --perturb 1
	@$(MART) audit leakage --every-refresh
	@$(MART) audit conservation
	@$(MART) audit conservation --perturb 1
	@$(MART) audit incremental --perturb 1
	@ORACLE_HISTORIES=30000 RAW_WAREHOUSES=300 .venv/bin/python -m pytest -n 2 --dist loadscope -m "audit or not audit" \
	    tests/python/integration/audit/test_days.py tests/python/integration/oracle/test_oracle.py \
	    tests/python/integration/audit/test_raw_fuzz.py tests/python/unit/models/test_text_speed.py \
	    tests/python/integration/audit/test_settings.py tests/python/integration/audit/test_overwritten_project.py \
	    tests/python/integration/bench/test_bench.py tests/python/integration/cli/test_bad_input.py \
	    tests/python/integration/cli/test_environment.py tests/python/integration/raw/test_overwritten_sources.py \
	    tests/python/integration/audit/test_planted_changes.py tests/python/integration/audit/test_merged_leaks.py \
	    tests/python/integration/audit/test_every_refresh.py tests/python/integration/models/test_worked_example.py \
	    tests/python/integration/audit/test_reproduce.py \
	    tests/python/integration/bigquery/test_bigquery_mart.py \
	    tests/python/integration/bigquery/test_offline_bigquery.py \
	    tests/python/integration/conformance/test_reference_histories.py \
	    tests/python/integration/training/test_train_on_real_snapshot.py $(ARGS)
	@$(MART) audit incremental --universes 20 --schedules 25

.PHONY: bench
bench: venv-aws ## measure seconds, CPU and memory by stage (JOBS="10000 100000 1000000")
	@PYTHONPATH=python .venv/bin/python -m bench $(JOBS)
	@PYTHONPATH=python .venv/bin/python -m bench.export
	@PYTHONPATH=python .venv/bin/python -m bench.storage_read

.PHONY: screenshots
screenshots: venv chromium ## take the screenshots of the site in docs/assets/site again
	@MART_SCREENSHOTS=docs/assets/site .venv/bin/python -m pytest -q tests/python/integration/knowledge/test_site.py

.PHONY: lint
lint: venv ## run every linter and type check that a change affects (ONLY="ruff types" for some; CHANGED=1 in a hurry)
	@PYTHONPATH=python .venv/bin/python -m house_rules.lint $(if $(CHANGED),--changed) $(ONLY)

.PHONY: fmt
fmt: venv ## format Python and SQL
	@.venv/bin/ruff format
	@.venv/bin/ruff check --fix-only --quiet
	@PYTHONPATH=python .venv/bin/python -m house_rules.sqlfluff fix

.PHONY: docs
docs: venv ## write the documentation site without building the mart
	@$(MART) docs

# Pin every dependency with its hashes. Present pins are kept if they still fit; UPGRADE=1 takes the newest versions.
# The files contain no index address and no path. sed removes a marker that is true for every supported Python.
.PHONY: lock
lock: PIN = .venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) --quiet
lock: venv
	@$(PIN) pyproject.toml --extra train --group dev --output-file requirements.txt
	@$(PIN) requirements-aws.in --output-file requirements-aws.txt
	@sed -i.bak -e "s/ ; python_full_version < '3.12' and / ; /" -e "s/ ; python_full_version < '3.12'//" \
	    requirements.txt requirements-aws.txt
	@rm -f requirements.txt.bak requirements-aws.txt.bak

.PHONY: clean
clean: ## remove .venv and .venv-aws, caches and build output; the mart's state in .mart stays
	@rm -rf .venv .venv-aws target logs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .lint_cache .hypothesis python/*.egg-info
