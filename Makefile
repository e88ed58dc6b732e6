# One line per target: `make help` prints them. What CI runs is `make check`.

SHELL := /bin/bash
.DEFAULT_GOAL := help
export DEBIAN_FRONTEND := noninteractive

GO       ?= go
FUZZTIME ?= 30s
SHARED   ?= ../shared
SOAK     ?= 30m
MATRIX   ?= /tmp/mtls-matrix
SAMPLE   ?= pcaps/samples/site-violations.pcapng

# A checkout without git, or a git that refuses to speak, still builds.
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BUILD    := -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)'

LINT_VERSION := v2.15.0
LINT         := $(shell $(GO) env GOPATH 2>/dev/null)/bin/golangci-lint

.PHONY: help setup build demo test race vet static-build cross deb bench-live lint fuzz test-live soak bench bench-peers bench-record pgo golden docs samples mtls-matrix score identical check clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install a C compiler and libpcap's headers by apt, where they are missing
	@.ci/setup

build: setup ## bin/wirechart
	$(GO) build $(BUILD) -o bin/wirechart ./cmd/wirechart

static-build: ## bin/wirechart-static: without cgo and libpcap, for any Linux of this machine's kind
	CGO_ENABLED=0 $(GO) build $(BUILD) -o bin/wirechart-static ./cmd/wirechart

cross: ## the program for other systems, without cgo; arm64 reads a sample where there is qemu-user
	@GO="$(GO)" .ci/cross $(BUILD)

deb: build ## bin/wirechart_VERSION_ARCH.deb: the program, its unit, manual pages and completions
	@GO="$(GO)" VERSION="$(VERSION)" packaging/deb

demo: build ## build, then audit a bundled capture and print the report
	bin/wirechart audit --exit-zero $(SAMPLE)

test: setup ## every test
	$(GO) test -timeout 30m ./...

race: setup ## every test under the race detector
	$(GO) test -timeout 30m -race ./...

vet: setup ## gofmt and go vet
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt'ed:" $$unformatted; exit 1; fi
	$(GO) vet ./...

lint: setup $(LINT) ## golangci-lint with the linters of .golangci.yml
	$(LINT) run ./...

$(LINT):
	$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

fuzz: setup ## FUZZTIME (30s) for every fuzz target there is
	@.ci/fuzz $(FUZZTIME)

test-live: build ## hold live beside tcpdump, on real servers in network namespaces (needs root)
	@.ci/live

soak: setup ## live under floods for SOAK (30m): memory, counters, goroutines
	SOAK=$(SOAK) $(GO) test ./cmd/wirechart -pgo=off -run TestSoak -count=1 -timeout 0 -v

bench: build ## generate the four workloads and measure the audit beside the limit (5 GB in BENCH_DIR)
	$(GO) run ./cmd/benchmark run -bin bin/wirechart -formats $(BENCH)

bench-peers: build ## other programs on the same workloads: argus, softflowd, nfpcapd, ndpiReader, tcpdump, tshark
	@.ci/packages tcpdump softflowd argus-server nfdump libndpi-bin tshark
	$(GO) run ./cmd/benchmark run -bin bin/wirechart -peers $(BENCH)

bench-record: build ## the same, and append the table to docs/benchmarks.md
	$(GO) run ./cmd/benchmark run -bin bin/wirechart -formats -record docs/benchmarks.md $(BENCH)

bench-live: build ## the rates at which captures begin to lose packets, over a veth pair (needs root, tcpreplay)
	@.ci/packages tcpreplay tcpdump argus-server argus-client iproute2
	$(GO) run ./cmd/benchmark live -bin bin/wirechart $(BENCH_LIVE)

pgo: setup ## profile the audit of the workloads for the compiler (cmd/wirechart/default.pgo)
	$(GO) test ./cmd/wirechart -trimpath -pgo=off -run '^$$' -bench Audit -benchtime 2x -cpuprofile cmd/wirechart/default.pgo -o /dev/null

golden: build ## rewrite the expected report of every sample, and README's; review the diff
	$(GO) test ./cmd/wirechart -run TestSamples -count=1 -update
	@.ci/readme $(SAMPLE)

docs: build ## write docs/reference.md anew; a test holds it to the program
	bin/wirechart reference >docs/reference.md

samples: ## record the site samples again, in network namespaces (needs root)
	pcaps/samples/gen/site.sh
	pcaps/samples/gen/files.sh
	pcaps/samples/gen/firewall.sh
	$(GO) run ./pcaps/samples/gen

mtls-matrix: build ## try client authentication between the TLS stacks installed (needs root, 20 minutes)
	python3 pcaps/samples/gen/mtls/matrix.py record $(MATRIX)
	python3 pcaps/samples/gen/mtls/matrix.py score $(MATRIX) --bin bin/wirechart

score: build ## hold the program against the labelled captures in SHARED, where present
	@.ci/score $(SHARED)

identical: build ## the same capture gives the same bytes, twice
	@.ci/identical $(SHARED)

check: ## everything that CI runs
	@.ci/run

clean: ## remove what was built
	rm -rf bin
