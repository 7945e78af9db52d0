# Everything a developer or CI runs. Two commands do all set-up on a machine
# with only Go: make run, make test.

SHELL := /bin/bash
GO ?= go
# Tools are installed here, outside of everybody's PATH.
BIN := $(CURDIR)/.bin
LINT_VERSION := v2.15.0
GATEWAY_VERSION := v1.8.0
HELM_VERSION := v3.22.0
FUZZTIME ?= 20s
KILLS ?= 200
export GOFLAGS ?= -buildvcs=false

.PHONY: run build test race lint bench load fuzz crash crash-disk s3 check fuzz-oracles differential conformance conformance-smoke image charts

run: ## start the broker on embedded defaults
	CGO_ENABLED=0 $(GO) run .

build: ## the binary as it is released
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o tarn .

# The official tests of JSON Schema lie beside the project, if at all.
SUITE := $(or $(JSON_SCHEMA_TEST_SUITE),../shared/data/json-schema-test-suite)
test: ## all tests; needs Go and nothing else
	@test -d $(SUITE)/tests && echo "with the JSON Schema test suite of $(SUITE)" || \
		echo "LEFT OUT: the official JSON Schema test suite is not at $(SUITE) (JSON_SCHEMA_TEST_SUITE says where)"
	CGO_ENABLED=0 $(GO) vet ./... ./.ci/bench ./.ci/crash ./.ci/process ./.ci/image ./.ci/load ./.ci/conformance/peer
	CGO_ENABLED=0 $(GO) test -timeout 15m ./...
	@test ! -d $(SUITE)/tests || { set -o pipefail; CGO_ENABLED=0 $(GO) test -count=1 -v -run '^TestSuite$$' ./schema/jsonschema | \
		sed -n -e 's/^ *suite_test.go:[0-9]*: /the JSON Schema test suite, /p' -e '/^--- FAIL/p' -e '/^FAIL/p'; }

# The packages where goroutines meet. The race detector needs a C compiler.
RACE := ./broker/... ./registry/... ./sink/... ./schema ./tables/blob/... ./tables/catalog/...
race: ## the same under the race detector, where it matters
	CGO_ENABLED=1 $(GO) test -race -timeout 20m $(RACE)

lint: $(BIN)/golangci-lint ## vet, staticcheck and others
	CGO_ENABLED=0 $(BIN)/golangci-lint run --timeout 15m ./...

$(BIN)/golangci-lint:
	GOBIN=$(BIN) CGO_ENABLED=0 $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

bench: ## figures, each against a baseline of the same run
	CGO_ENABLED=0 $(GO) run ./.ci/bench

load: ## everything at a time for ten minutes in 1 GiB of memory, and what it used; Linux, as root
	CGO_ENABLED=0 $(GO) run ./.ci/load

crash: ## SIGKILLs under load, then verification of log and tables
	CGO_ENABLED=0 $(GO) run ./.ci/crash -kills $(KILLS)

crash-disk: ## a disk that runs full and has space again
	CGO_ENABLED=0 $(GO) run ./.ci/crash -disk-full

s3: $(BIN)/versitygw ## the store on S3, and SIGKILLs with tables in a bucket, against a real server
	.ci/s3 $(BIN)/versitygw $(KILLS)

$(BIN)/versitygw:
	GOBIN=$(BIN) CGO_ENABLED=0 $(GO) install github.com/versity/versitygw/cmd/versitygw@$(GATEWAY_VERSION)

fuzz: ## every fuzz target for FUZZTIME
	.ci/fuzz $(FUZZTIME)

fuzz-oracles: ## decoders against the usual libraries, a minute in all
	.ci/fuzz 20s '^FuzzOracle$$'

# A tenth of it is part of every "make test".
differential: ## decoders against the usual libraries, on the same schemas and payloads each time
	set -o pipefail; CGO_ENABLED=0 TARN_DIFFERENTIAL_SCHEMAS=10 $(GO) test -p 1 -count=1 -timeout 20m -v -run '^(TestDifferential|TestRows)$$' \
		./schema/avro ./schema/protobuf ./schema/jsonschema | grep -v '^=== RUN'

conformance: ## real clients and readers, all scenarios; installs what it needs
	.ci/conformance/run full

conformance-smoke: ## one scenario of each kind
	.ci/conformance/run smoke

image: ## the image of the Dockerfile, built and used without a Docker engine; needs root and Linux
	CGO_ENABLED=0 $(GO) build -o $(BIN)/image ./.ci/image
	$(BIN)/image

charts: $(BIN)/helm ## the Helm chart, and the systemd unit where systemd is
	.ci/charts $(BIN)/helm

$(BIN)/helm:
	GOBIN=$(BIN) CGO_ENABLED=0 $(GO) install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)

check: test race lint differential conformance-smoke ## what CI runs
