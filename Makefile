# What people run by hand, and what CI runs: each target installs what it needs and is missing, and says so.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := e2e/.venv
CACHE := e2e/.cache
BOTOCORE := $(shell sed -n 's/^botocore==//p' e2e/requirements.txt)
MODELS := $(CACHE)/botocore-$(BOTOCORE)
# Its wheel carries the schemas of CloudFormation's resource types.
CFN_LINT_VERSION := 1.58.0
RESOURCE_TYPES := $(CACHE)/cfn-lint-$(CFN_LINT_VERSION)
MOTO_VERSION := 5.2.5
MOTO := $(CACHE)/moto-$(MOTO_VERSION)
# sudo where we are not root.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help
help: ## This list
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

.PHONY: demo
demo: ## The workshop as a story in this terminal, in about a minute
	@cargo build
	exec "$${CARGO_TARGET_DIR:-$$PWD/target}/debug/capstan" demo

.PHONY: soak
soak: ## 200 interruptions, 20 deployments and 50 scale-ins under load: no request may be lost (about 4 minutes)
	@cargo build --release
	exec "$${CARGO_TARGET_DIR:-$$PWD/target}/release/capstan" soak

.PHONY: test
test: test-codegen lint test-rust test-e2e ## Everything that CI checks

.PHONY: lint
lint: | tools ## Formatting and clippy
	@for component in rustfmt clippy; do
	    cargo $${component/rust/} --version >/dev/null 2>&1 || { echo "installing $$component (rustup)"; rustup component add $$component; }
	done
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

.PHONY: test-rust
test-rust: | tools ## Unit and property tests
	@if cargo nextest --version >/dev/null 2>&1; then
	    cargo nextest run --workspace
	else
	    echo "cargo-nextest is not installed; using cargo test"
	    cargo test --workspace
	fi

.PHONY: codegen
codegen: $(MODELS) $(RESOURCE_TYPES) | tools ## crates/shapes from the service models of the pinned botocore and cfn-lint's resource types
	@cargo xtask codegen --models "$$PWD/$(MODELS)" --resource-types "$$PWD/$(RESOURCE_TYPES)"

.PHONY: test-codegen
test-codegen: codegen coverage ## Regenerating crates/shapes and docs/coverage.md changes nothing that is committed
	@git diff --exit-code -- crates/shapes docs/coverage.md

.PHONY: coverage
coverage: | tools ## docs/coverage.md from the code: what acts, what is kept without effect, what is absent
	@cargo run --quiet -- coverage --markdown > docs/coverage.md.new
	mv docs/coverage.md.new docs/coverage.md

.PHONY: test-e2e
test-e2e: $(VENV)/ready | tools ## The stock clients against a running server
	@cargo build
	# The server under test is the one just built.
	CAPSTAN="$${CAPSTAN:-$${CARGO_TARGET_DIR:-$$PWD/target}/debug/capstan}" $(VENV)/bin/pytest e2e

.PHONY: simulate
simulate: | tools ## 10,000 virtual hours of rough weather: every invariant holds, every service comes back
	@cargo test --release --package capstan-simulator --test faults -- --ignored --nocapture

.PHONY: market-statistics
market-statistics: ## 1,000 pool-days of the Spot market model beside records of real pools, in docs/spot-market.md and .svg
	@cargo run --quiet -p capstan-market --example statistics

.PHONY: bench
bench: $(MOTO)/ready | tools proxies ## The budgets, side by side with moto, nginx and HAProxy
	@cargo build --release --package capstan-cli --package capstan-bench --package capstan-balancer --bins --example proxy
	MOTO_SERVER="$$PWD/$(MOTO)/bin/moto_server" exec "$${CARGO_TARGET_DIR:-$$PWD/target}/release/capstan-bench"

# What the balancer is measured against.
.PHONY: proxies
proxies:
	@for program in nginx haproxy; do
	    command -v $$program >/dev/null && continue
	    echo "installing $$program (apt-get)"
	    { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends $$program; } \
	        || echo "$$program cannot be installed here: the balancer is not compared with it"
	done

# What Rust itself links with.
.PHONY: tools
tools:
	@if ! command -v cc >/dev/null; then
	    echo "installing gcc and libc6-dev (apt-get)"
	    $(SUDO) apt-get update -qq
	    $(SUDO) apt-get install -y -qq --no-install-recommends gcc libc6-dev
	fi

.PHONY: python
python:
	@if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
	    echo "installing python3 and python3-venv (apt-get)"
	    $(SUDO) apt-get update -qq
	    $(SUDO) apt-get install -y -qq --no-install-recommends python3 python3-venv
	fi

$(VENV)/ready: e2e/requirements.txt | python
	@echo "installing into $(VENV): $$(sed '/^#/d' e2e/requirements.txt | tr '\n' ' ')"
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement e2e/requirements.txt
	touch $@

$(MOTO)/ready: | python
	@echo "installing into $(MOTO): moto[server] $(MOTO_VERSION)"
	python3 -m venv $(MOTO)
	$(MOTO)/bin/pip install --quiet --disable-pip-version-check 'moto[server]==$(MOTO_VERSION)'
	touch $@

# The models in the layout that codegen reads: SERVICE/VERSION/service-2.json.
$(MODELS): $(VENV)/ready xtask/operations.txt
	@echo "unpacking the service models of botocore $(BOTOCORE) into $@"
	rm -rf $@
	data=$$($(VENV)/bin/python -c 'import botocore, pathlib; print(pathlib.Path(botocore.__file__).parent / "data")')
	sed -n 's/#.*//; s/^\([a-z0-9-]*\) \(20[0-9-]*\)$$/\1\/\2/p' xtask/operations.txt | while read -r model; do
	    mkdir -p "$@/$$model"
	    gunzip --stdout "$$data/$$model/service-2.json.gz" > "$@/$$model/service-2.json"
	done
	touch $@

# The schema of each listed resource type: AWS-ECS-Cluster.json.
$(RESOURCE_TYPES): $(VENV)/ready xtask/resource_types.txt
	@echo "unpacking the resource types of cfn-lint $(CFN_LINT_VERSION) into $@"
	rm -rf $@
	mkdir -p $@
	$(VENV)/bin/pip download --quiet --disable-pip-version-check --no-deps --dest $@ cfn-lint==$(CFN_LINT_VERSION)
	$(VENV)/bin/python - $@ <<'PYTHON'
	import json, pathlib, sys, zipfile
	folder = pathlib.Path(sys.argv[1])
	[path] = folder.glob("*.whl")
	wheel = zipfile.ZipFile(path)
	hashes = json.loads(wheel.read("cfnlint/data/schemas/providers/us-east-1.json"))
	lines = pathlib.Path("xtask/resource_types.txt").read_text().splitlines()
	names = [line.strip() for line in lines if line.startswith("AWS::")]
	schema = lambda name: wheel.read(f"cfnlint/data/schemas/resources/{hashes[name]}.json")
	[(folder / (name.replace("::", "-") + ".json")).write_bytes(schema(name)) for name in names]
	(folder / "names.txt").write_text("".join(name + "\n" for name in sorted(hashes)))
	PYTHON
	touch $@
