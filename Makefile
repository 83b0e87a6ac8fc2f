# Everything that is done with this project, by hand and in CI. `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Tools are installed here, each at the version that is written here.
BIN := $(CURDIR)/bin
STATICCHECK_VERSION := v0.8.2
GOVULNCHECK_VERSION := v1.8.0
# Of nfpm, 2.46 and later need modules that the Go module proxy does not have.
NFPM_VERSION := v2.45.0
STATICCHECK := $(BIN)/staticcheck-$(STATICCHECK_VERSION)
GOVULNCHECK := $(BIN)/govulncheck-$(GOVULNCHECK_VERSION)
NFPM := $(BIN)/nfpm-$(NFPM_VERSION)

# How long each fuzz target runs, and each benchmark.
FUZZTIME ?= 30s
BENCHTIME ?= 2s
BENCH ?= .

# As built by people; a release is built from a clean tag and takes its version from it.
GOFLAGS_BUILD := -trimpath

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Start here

.PHONY: demo
demo: build ## See the main job on screen, then keep the server running
	@mkdir -p .sallyport
	@data=$$(mktemp -d); \
	  trap 'rm -rf "$$data"; echo "make demo: its data was temporary, and is removed now; \`bin/sallyportd dev\` keeps its own." >&2' EXIT; \
	  bin/sallyportd dev --demo --data "$$data" --credentials .sallyport/dev.json

.PHONY: test
test: setup ## Every test: race detector, real programs, real clients
	go test -race -p 2 -timeout 15m ./...

##@ While working

.PHONY: build
build: ## Build both programs into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build $(GOFLAGS_BUILD) -o bin/ ./cmd/...

.PHONY: check
check: format vet lint layout short vulnerabilities ## Format, vet, lint, layout, short tests; about two minutes
	@echo "check: all is well"

.PHONY: bench
bench: ## Benchmarks; BENCH=name and BENCHTIME=5s narrow and lengthen
	go test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -p 1 ./...

# Flags for the two below, such as LOAD="--callers 64 --duration 30s"; `go run ./e2e/load tokens -h` lists them.
LOAD ?=

.PHONY: bench-load
bench-load: build ## What a token costs: a real server beside the floor; two minutes
	go run ./e2e/load tokens --bin bin/sallyportd $(LOAD)

.PHONY: bench-ready
bench-ready: build ## A start over a million events and ten thousand connections; ten minutes
	go run ./e2e/load ready --bin bin/sallyportd $(LOAD)

.PHONY: bench-console
bench-console: ## Every page of the console over a million events and ten thousand connections; ten minutes
	SALLYPORT_BENCH_EVENTS=1000000 go test ./handlers/console -run '^$$' -bench 'Screens$$' -benchtime 1x -timeout 60m

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME=30s
	@scripts/fuzz $(FUZZTIME)

.PHONY: setup
setup: ## Install what tests need beyond Go, or say what is missing
	@scripts/setup

.PHONY: install-tools
install-tools: $(STATICCHECK) $(GOVULNCHECK) ## Install the linters into bin/, at fixed versions

.PHONY: clean
clean: ## Remove what was built, installed and left by the demo
	rm -rf bin .sallyport e2e/interop/node_modules

##@ For long

.PHONY: long
long: ## The tests of the audit trail with many more random histories and kills
	SALLYPORT_LONG=1 go test -timeout 60m ./projections/trail -rapid.checks=500

# Which scenarios; their ids are in docs/reliability.md. They need root, loop devices and strace.
FAULTS ?= all
LOAD ?= 10m
SOAK ?= 1h

# Which harms `make cluster` does: all, or ids of e2e/cluster with commas between.
CLUSTER ?= all

.PHONY: cluster
cluster: setup ## Harm three replicas in every way of docs/replicas.md, ten minutes, as root; CLUSTER=cut-leader chooses
	SALLYPORT_CLUSTER=$(CLUSTER) go test ./e2e/cluster -count 1 -v -timeout 30m

.PHONY: faults
faults: ## Harm the server in every way of docs/reliability.md, an hour; FAULTS=F01,F06 chooses
	LOAD=$(LOAD) SALLYPORT_FAULTS=$(FAULTS) go test ./e2e/faults -run '^TestFaults$$' -count 1 -v -timeout 3h

.PHONY: soak
soak: ## Steady load for SOAK=1h: memory, goroutines and descriptors must not grow
	SOAK=$(SOAK) SALLYPORT_FAULTS=SOAK go test ./e2e/faults -run '^TestFaults$$' -count 1 -v -timeout 48h

##@ The parts of check

.PHONY: format
format: ## gofmt has nothing to say
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go' | while read -r f; do [ ! -e "$$f" ] || echo "$$f"; done)); \
	  [ -z "$$unformatted" ] || { printf 'not formatted, run gofmt -w:\n%s\n' "$$unformatted"; exit 1; }

.PHONY: vet
vet: ## go vet has nothing to say
	go vet ./...

.PHONY: lint
lint: $(STATICCHECK) ## staticcheck has nothing to say
	$(STATICCHECK) ./...

.PHONY: layout
layout: ## Imports go the way ARCHITECTURE.md says
	go test ./e2e -run '^TestLayout'

.PHONY: short
short: ## Tests that need no second program
	go test -short -p 2 -timeout 5m ./...

.PHONY: vulnerabilities
vulnerabilities: ## Known vulnerabilities, when SALLYPORT_VULNDB names a database folder
ifdef SALLYPORT_VULNDB
	$(GOVULNCHECK) -db "file://$(SALLYPORT_VULNDB)" ./...
vulnerabilities: $(GOVULNCHECK)
else
	@echo "vulnerabilities: not looked for, SALLYPORT_VULNDB is not set"
endif

##@ To hand it to others

.PHONY: package
package: $(NFPM) ## The Debian package, into dist/ or OUT=folder
	@NFPM=$(NFPM) scripts/package $(OUT)

.PHONY: try-unit
try-unit: $(NFPM) ## Boot a Debian with systemd in a folder and run the package there; as root, a minute or two
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; scripts/try-unit "$$(NFPM=$(NFPM) scripts/package "$$out")"

.PHONY: image
image: ## The container image, by buildah; GO_IMAGE=name takes another Go, ISOLATION=chroot needs no privileges
	buildah bud $(if $(ISOLATION),--isolation $(ISOLATION)) $(if $(GO_IMAGE),--build-arg GO_IMAGE=$(GO_IMAGE)) \
	  --build-arg VERSION="$$(git describe --tags --always --dirty)" -f deploy/Containerfile -t sallyport .

.PHONY: deploy-check
deploy-check: ## What is in deploy/ is true: unit, package, chart, cluster, alerts, pages
	go test -count=1 ./e2e/deploy

$(NFPM):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	@mv $(BIN)/nfpm $@

$(STATICCHECK):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	@mv $(BIN)/staticcheck $@

$(GOVULNCHECK):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	@mv $(BIN)/govulncheck $@
