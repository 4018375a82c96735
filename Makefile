# Everything a contributor or a curious stranger needs. `make` lists it.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

CONTRACTS := chain/contracts

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo KEEP=1 leaves the network up; make test FILTER=text runs the Rust tests whose names hold the text."

.PHONY: tools
tools: ## install or check everything that the other targets use
	@scripts/tools all

.PHONY: native contracts-tools clients-tools svm-tools
native:
	@scripts/tools native
contracts-tools:
	@scripts/tools contracts
clients-tools:
	@scripts/tools clients
svm-tools:
	@scripts/tools svm

.PHONY: build
build: native ## build all crates (debug)
	@cargo build --workspace --locked

# Where `make install` puts the program.
PREFIX ?= /usr/local

# Not as `node`, which is Node.js on many machines.
.PHONY: install
install: native ## build the program for use and install it as PREFIX/bin/quorate (/usr/local); DESTDIR=
	@cargo build --release -p quorate-cli --locked
	@install -D -m 755 "$${CARGO_TARGET_DIR:-target}/release/node" "$(DESTDIR)$(PREFIX)/bin/quorate"
	@echo "installed $(DESTDIR)$(PREFIX)/bin/quorate"

.PHONY: demo
demo: build contracts-tools ## run a whole network here and watch it certify a value; KEEP=1 leaves it up
	@target/debug/quorate-testnet demo $(if $(KEEP),--keep)

.PHONY: demo-bridge
demo-bridge: build contracts-tools svm-tools ## run a network with a bridge and relayers here and watch it carry coin between three chains
	@target/debug/quorate-testnet demo-bridge

.PHONY: test
test: layering monitoring-check contracts-test clients-test svm-test rust-test ## run all tests

.PHONY: contracts-test
contracts-test: contracts-tools
	@cd $(CONTRACTS) && npm run --silent check
	@echo "contracts: chain/artifacts is what the sources compile to"
	@cd $(CONTRACTS) && npm test --silent

.PHONY: clients-test
clients-test: clients-tools
	@cd testnet/clients/js && npm test --silent

.PHONY: svm-test
svm-test: svm-tools ## test the bridge program and the local chain for SVM
	@scripts/svm-program check
	@cd testnet/svm && npm test --silent

# Without nextest one test at a time: the scenario tests each run a whole network.
.PHONY: rust-test
rust-test: native contracts-tools clients-tools svm-tools
	@if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --workspace --locked $(FILTER); \
	else \
	  cargo test --workspace --locked --lib --bins --tests $(FILTER) -- --test-threads 1; \
	fi

# The seeds of a story are counted from 0.
.PHONY: sim
sim: native ## tell SEEDS stories of each kind in the simulator (10000), or the one of SEED= event by event
	@$(if $(SEED),QUORATE_SIM_SEED=$(SEED),QUORATE_SIM_SEEDS=$(or $(SEEDS),10000)) \
	  cargo test --workspace --locked --test sim --test relay $(if $(SEED),one_seed_of_ -- --ignored --nocapture,many_seeds)

.PHONY: lint
lint: fmt-check layering clippy ## formatting, dependency directions, clippy without warnings

.PHONY: fmt-check
fmt-check: native
	@cargo fmt --all -- --check
	@for part in chain/svm-program chain/svm-program/linker; do cargo fmt --manifest-path $$part/Cargo.toml -- --check; done

.PHONY: clippy
clippy: native
	@cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: layering
layering: ## check the dependency directions between the crates
	@scripts/layering
	@scripts/circles

.PHONY: monitoring-check
monitoring-check: ## check Prometheus rules, their tests and the dashboard, where there is a promtool
	@scripts/monitoring || [ $$? -eq 77 ]

.PHONY: artifacts
artifacts: contracts-tools ## compile the contracts into chain/artifacts
	@cd $(CONTRACTS) && npm run --silent build

.PHONY: svm-program
svm-program: ## compile the bridge program for SVM into chain/artifacts/svm; takes Debian's packages, as root
	@scripts/svm-program build

.PHONY: svm-costs
svm-costs: svm-tools ## compute units and rent of the bridge program for SVM
	@cd testnet/svm && npm run --silent costs

.PHONY: bench
bench: build contracts-tools ## measure what docs/benchmarks.md tells (release build; 10 minutes and more)
	@cargo build --release --workspace --locked --bins --benches
	@target/release/quorate-testnet bench
	@cargo bench --workspace --locked --bench tally --bench sim --bench scale --bench commit --bench reads

.PHONY: bench-gas
bench-gas: contracts-tools ## gas of certificate checks, sealed sets, epoch updates and judgements
	@cd $(CONTRACTS) && npm run --silent gas

.PHONY: chaos
chaos: build contracts-tools ## kill, pause, deceive and cut apart a network for 10 minutes, then audit it; MINUTES=, SEED=
	@scripts/tools namespaces
	@target/debug/quorate-testnet chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

.PHONY: compose-test
compose-test: build contracts-tools ## run the network of containers, kill and cut off some of it; skipped without a Docker engine and root
	@scripts/tools containers
	@scripts/compose-test || [ $$? -eq 77 ]

.PHONY: fuzz
fuzz: build ## feed hostile bytes to every decoder, TIME seconds each (60); TARGET=name for one; needs nightly Rust
	@scripts/fuzz $(or $(TIME),60) $(TARGET)

.PHONY: clean
clean: ## remove what was built and installed here
	@cargo clean
	@rm -rf $(CONTRACTS)/node_modules $(CONTRACTS)/out $(CONTRACTS)/cache testnet/clients/js/node_modules testnet/svm/node_modules
