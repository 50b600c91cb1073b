# Two commands matter: `make run` and `make test`. Each installs what is missing, builds, and does its job.

RELEASE = swift build -c release --static-swift-stdlib
BIN = .build/release
# The interpreter that sees the distribution's packages, wherever another python3 comes first on the PATH.
export BULKHEAD_PYTHON ?= /usr/bin/python3
# The demonstration: a generated day, both lines losing packets, everything refilled.
DEMO = --generate 1000000 --seed 7 --instruments 1000 --impair 'A:loss=1%;B:loss=1%'

# Fuzzing: seconds for each target, and which targets (all).
SECONDS = 60
TARGET =

.PHONY: help build run test clean format
.PHONY: check check-loops check-models models unit-test pipeline-test
.PHONY: pure-tests run-unit-tests run-explorations pipeline-half-1 pipeline-half-2
.PHONY: fuzz fuzz-short simulate simulate-one seeded-defects test-interleavings explore-interleavings
.PHONY: torture torture-short sanitize drills drills-short drills-merge fuzz-ci
.PHONY: drill-failpoints drill-failpoints-short seeded-recovery-defects drills-long drills-host drills-host-short
.PHONY: drill-pauses bench bench-ring bench-book bench-merge
.PHONY: book-oracle book-oracle-short
.PHONY: test-python-client python-wheel man test-view
.PHONY: test-python-client python-wheel test-systemd man
.PHONY: test-page install-view-tools page test-javascript-client test-access
.PHONY: test-dissector test-exports test-websocket test-websocket-short
.PHONY: test-clients drills-publish drills-publish-short bench-publish

help:
	@echo "make run    build and run the demonstration: a generated day over two lossy lines"
	@echo "make test   build, check and test everything"
	@echo "make build  build the programs into $(BIN)"
	@echo "make torture  kill writers and readers of tiny rings a thousand times each, read 10^9 records"
	@echo "make drills-merge  cut lines, holes, bad services: ROUNDS=1 TIMES= (TIMES=--no-times on a busy machine)"
	@echo "make drills  kill every process of a set 200 times under load, and 30 minutes of chaos"
	@echo "make drills-host [DRILL='D-26 D-30']  a set clock, another time, throttled real time, a neighbour, no memory, the gate"
	@echo "make drills-long  an hour of kills at half rate, an hour without a fault: no growth, no false alarm (SOAK=3600)"
	@echo "make drill-failpoints  kill every program at every numbered step that it comes to, 20 times (DEATHS=n)"
	@echo "make sanitize  the ring's tests under ThreadSanitizer and AddressSanitizer"
	@echo "make bench  throughput of the whole set on this machine"
	@echo "make bench-ring  the ring beside a C ring and a C++ queue"
	@echo "make bench-merge  arbitration beside a plain copy of the same bytes"
	@echo "make fuzz   fuzz the decoders, the sessions and the arbiter: SECONDS=60 TARGET='Glimpse LineArbiter'"
	@echo "make fuzz-ci   the same for 60 s each, two at a time"
	@echo "make fuzz-short  the same for 20 s each, as continuous integration does it"
	@echo "make explore-interleavings DEPTH=1  orders of the ring's shared accesses, at length"
	@echo "make simulate [SEEDS=n]  merging and recovery in virtual time, against an oracle"
	@echo "make book-oracle [MESSAGES=n]  the books beside a naive reference, after every message"
	@echo "make seeded-defects  known defects of the arbiter, each found by the simulation"
	@echo "make bench-book  the books beside a plain and a lean one in C++"
	@echo "make test-python-client  the Python client's wheel in a clean environment, against mock and real servers"
	@echo "make test-view  viewd beside a running set: metrics under promtool, hostile clients, kills"
	@echo "make test-systemd  the rendered units under a real systemd, in a container (needs root)"
	@echo "make page   the demonstration at a pace that can be watched, with the operator's page"
	@echo "make test-page  the page in headless Chromium: screenshots, kills, books"
	@echo "make test-javascript-client  the JavaScript client against a publisher made by the test"
	@echo "make test-websocket  RFC 6455 against pubd, case by case (test-websocket-short: fewer random cases)"
	@echo "make test-access  TLS, tokens and the local socket: bulkhead watch, web pages, the operator's page"
	@echo "make test-dissector  the Wireshark dissectors against captures of a running set, and damaged ones"
	@echo "make test-exports  the tape's exports, read by databento_dbn, pyarrow and polars"
	@echo "make python-wheel  build that wheel into .build/python"
	@echo "make drill-pauses  stop every stage for a sweep of times, judge when the ladder fires"
	@echo "make man    manual pages of the commands, into .build/man/man1"
	@echo "make test-clients [STRICT=1]  other people's programs: websockets, Chromium, promtool, Prometheus, tshark, databento_dbn, pyarrow, polars"
	@echo "make drills-publish [DRILL='D-15 D-40']  slow clients, storms, no descriptors, a dead publisher, the tape"
	@echo "make bench-publish  pubd's server beside a bare broadcast of the same bytes"
	@echo "make format format the sources"

build:
	@scripts/bootstrap
	$(RELEASE)

run: build
	$(BIN)/bulkhead run $(DEMO)

test: build check check-loops check-models test-javascript-client pure-tests torture-short pipeline-test drills-short drills-publish-short

# What asks for no quiet machine, on two cores at a time: the unit tests on one, what explores and compares on the other.
pure-tests: build
	swift build --build-tests
	$(MAKE) --no-print-directory -j2 --output-sync=target run-unit-tests run-explorations

run-unit-tests:
	swift test --disable-swift-testing --skip-build --skip PipelineTests

run-explorations:
	$(BIN)/mergesim --digests
	$(BIN)/mergesim --seeds $(SEEDS)
	$(BIN)/bookoracle --messages 300000
	$(INTERLEAVINGS)

# Style, imports and the embedded configuration.
check:
	swift format lint --strict --recursive Package.swift Sources Tests Fuzz
	scripts/check-imports
	scripts/embed-topology --check
	scripts/embed-page --check
	scripts/embed-runbooks --check

# The ring's loops as the compiler made them: no call but to the named slow paths, and so many instructions a record.
check-loops: build
	scripts/check-loops

# The ring's protocol as a model, every state of it. At length, with longer streams and the seeded defects: make models.
check-models:
	scripts/check-models --no-defects

models:
	scripts/check-models --whole
	scripts/check-models

# Everything but the tests that need the release programs; built for debugging, so that every assertion is on.
unit-test:
	swift build --build-tests
	$(MAKE) --no-print-directory run-unit-tests

# Every order of the ring's shared loads and stores, within bounds, and the seeded defects that show that the bounds bite
# (docs/RING_PROOF.md). A package and a build of its own, in which a model stands in for memory.
INTERLEAVINGS = swift build --package-path Tests/RingInterleavingTests --build-tests \
	-Xswiftc -DRING_INTERLEAVING -Xswiftc -O -Xswiftc -enforce-exclusivity=unchecked && \
	swift test --package-path Tests/RingInterleavingTests --disable-swift-testing --skip-build
test-interleavings:
	$(INTERLEAVINGS)

# The same at length: DEPTH more preemptions and STALE more old values than in the test above, SCENARIOS larger scenarios
# from seed SEED. ONLY=name for the scenarios of that name.
DEPTH ?= 1
STALE ?= 0
SEED ?= 1
SCENARIOS ?= 20000
explore-interleavings:
	export RING_INTERLEAVING_DEPTH=$(DEPTH) RING_INTERLEAVING_STALE=$(STALE) RING_INTERLEAVING_SEED=$(SEED) \
		RING_INTERLEAVING_SCENARIOS=$(SCENARIOS) $(if $(ONLY),RING_INTERLEAVING_ONLY='$(ONLY)') && \
		$(INTERLEAVINGS) --skip testSeededDefectsAreFound

# Merging and recovery in virtual time, against an oracle: docs/SIMULATION.md. The long form is SEEDS=1000000.
SEEDS ?= 10000
simulate:
	$(RELEASE) --product mergesim
	$(BIN)/mergesim --digests
	$(BIN)/mergesim --seeds $(SEEDS)

# The books beside a naive reference, after every message: at length, and as continuous integration does it.
MESSAGES ?= 10000000
book-oracle:
	$(RELEASE) --product bookoracle
	$(BIN)/bookoracle --messages $(MESSAGES)

book-oracle-short: MESSAGES = 300000
book-oracle-short: book-oracle

# One seed, told step by step: make simulate-one SEED=n [ONLY=3,7-9]
simulate-one:
	$(RELEASE) --product mergesim
	$(BIN)/mergesim --seed $(SEED) $(if $(ONLY),--only $(ONLY)) --trace

# Known defects, one at a time: each must be found.
seeded-defects:
	scripts/seed-defects

# Real processes: the release programs, started, killed and judged.
pipeline-test: build
	scripts/check-binaries $(BIN)
	swift build --build-tests
	$(MAKE) --no-print-directory -k -j2 --output-sync=target pipeline-half-1 pipeline-half-2 || \
	  BULKHEAD_BIN=$(CURDIR)/$(BIN) scripts/test-pipeline again

# Most of their time is waiting, so that two halves at once take little more than one (scripts/test-pipeline).
pipeline-half-1 pipeline-half-2: pipeline-half-%:
	BULKHEAD_BIN=$(CURDIR)/$(BIN) scripts/test-pipeline $*

# viewd beside a running set: what it serves, what promtool says of it, what hostile clients do to it.
test-view: SUITES = view
test-view: test-clients

# The operator's page in headless Chromium: screenshots, kills, contact, the JavaScript client's books. A set of its own; three minutes.
# ARGUMENTS=--no-times on a busy machine.
test-page: SUITES = page
test-page: test-clients

# Who is let in, over TLS, with tokens and over the local socket: bulkhead watch, web pages, the operator's page.
test-access: SUITES = access
test-access: test-clients

# Without processes: frames by hand, and the proofs that a reconnection makes of them.
test-javascript-client:
	@scripts/bootstrap
	node --test Tests/clients/javascript_checks.mjs

# RFC 6455 case by case, beside a set of its own: a table of what was seen. The short form makes a tenth of the random cases (SEED).
test-websocket: build
	@scripts/bootstrap
	@BULKHEAD_BIN=$(CURDIR)/$(BIN) python3 Tests/clients/websocket_checks.py --seed $(SEED) $(SHORT)

test-websocket-short: SHORT = --short
test-websocket-short: test-websocket

install-view-tools:
	@scripts/bootstrap --view

# The demonstration at a pace that can be watched, with the operator's page on http://127.0.0.1:9464/.
page: build
	$(BIN)/bulkhead run --generate 5000000 --seed 7 --instruments 1000 --rate 40000 --impair 'A:loss=1%;B:loss=1%' \
	  --set view.enabled=true

# The Wireshark dissectors under tshark: a captured run, known defects, damaged frames (SEED).
test-dissector: SUITES = dissector
test-dissector: test-clients

# The tape's exports, read by the packages from PyPI that read DBN and Arrow.
test-exports: SUITES = exports
test-exports: test-clients

# The Python client, from its built wheel in a clean environment, against a mock server and real processes.
# EXTRAS=--extras also tests pandas, polars and pyarrow, from the network. ARGUMENTS go to unittest.
test-python-client: build
	BULKHEAD_BIN=$(CURDIR)/$(BIN) scripts/test-python-client $(EXTRAS) $(ARGUMENTS)

python-wheel:
	@scripts/bootstrap
	scripts/test-python-client --wheel

# Manual pages, from the same descriptions as the commands' help.
man: build
	rm -rf .build/man && mkdir -p .build/man/source .build/man/man1
	$(BIN)/bulkhead man --out .build/man/source
	for page in .build/man/source/*.scd; do \
	  scdoc < "$$page" > ".build/man/man1/$$(basename "$$page" .scd)" || exit 1; done
	man --warnings --local-file .build/man/man1/*.1 > /dev/null

# The rendered units under a real systemd, in a container with a network of its own: killed, hung, stopped, reconfigured.
test-systemd: build
	scripts/test-systemd --bin $(BIN)

# Tiny rings whose writers and readers are killed at full rate (docs/RING_PROOF.md). The long form takes some ten minutes.
torture-short: build
	$(BIN)/ringtorture

torture: build
	$(BIN)/ringtorture --records 1000000000 --writer-kills 1000 --reader-kills 1000 --takeovers 200 \
	  --step-rounds 5

# Every process of a set killed under full load, and what came out judged (docs/DRILLS.md). The short form judges no
# durations; the long one takes some twenty minutes on a quiet machine and leaves its record in .build.
DRILLS = D-00 D-01 D-02 D-03 D-04 D-05 D-06
drills-short: build
	$(BIN)/bulkhead drill run $(DRILLS) --kills 6 --messages 800000 --no-times
	$(BIN)/bulkhead drill run D-34K D-07 --kills 2 --messages 600000 --no-times
	$(BIN)/bulkhead drill run D-45 --seconds 180 --messages 600000 --no-times
	$(BIN)/bulkhead drill run D-44 --seconds 6 --messages 600000 --rate 100000 --no-times
	$(BIN)/bulkhead drill run D-46 --seconds 2 --messages 1500000 --no-times

# Every program dies at every numbered step that it comes to (D-12, docs/DRILLS.md), in a build of its own: the product has
# no such steps. DEATHS of each; the short form takes one.
DEATHS ?= 20
drill-failpoints:
	BULKHEAD_WITH_FAILPOINTS=1 $(RELEASE) --scratch-path .build/failpoints
	.build/failpoints/release/bulkhead drill run D-12 --kills $(DEATHS) --seed $(SEED)

drill-failpoints-short: DEATHS = 1
drill-failpoints-short: drill-failpoints

# Known defects of the recovery code, one at a time: each must be found by its drill or test (docs/DRILLS.md).
seeded-recovery-defects:
	swift build --build-tests
	scripts/seed-recovery-defects

KILLS ?= 200
LIVE_ORDERS ?= 1000000
drills: build
	$(BIN)/bulkhead drill run $(DRILLS) D-07 D-34K D-45 --kills $(KILLS) --seconds 1800 --seed $(SEED) $(TIMES) --record .build/drills.json
	$(BIN)/bulkhead drill run D-03 D-03S --kills $(KILLS) --live-orders $(LIVE_ORDERS) --seed $(SEED) $(TIMES) --record .build/drills-book.json
	$(BIN)/bulkhead drill run D-08 D-09 D-09S D-10 D-39 --seed $(SEED) $(TIMES) --record .build/drills-ladder.json
	$(BIN)/bulkhead drill run D-11 D-36 D-37 D-44L D-47 --seed $(SEED) $(TIMES) --record .build/drills-faults.json
	scripts/drills-publish --bin $(CURDIR)/$(BIN) $(TIMES) D-04 D-31
	scripts/drills-host --bin $(CURDIR)/$(BIN) --seed $(SEED) --seconds 60 $(TIMES) --record .build/drills-host.json

# What a host does to a set: a wall clock that is set, another time namespace, real-time bandwidth, a neighbour, the end of memory.
drills-host: build
	scripts/drills-host --bin $(CURDIR)/$(BIN) --seed $(SEED) $(ARGUMENTS) $(DRILL)

# The gate of the loops alone: 8 s of D-32, and what it must find.
drills-host-short: build
	scripts/drills-host --bin $(CURDIR)/$(BIN) --seed $(SEED) --seconds 8 --rate 50000 D-32 D-32S

# The long ones: half rate with a kill every two seconds, and full load without any, an hour each (SOAK=seconds).
SOAK ?= 3600
drills-long: build
	$(BIN)/bulkhead drill run D-44 D-46 --seconds $(SOAK) --seed $(SEED) --record .build/drills-long.json

# The ring's tests under ThreadSanitizer and AddressSanitizer. Two builds of the ring, so it is no part of `make test`.
sanitize:
	scripts/sanitize

# Cut lines, holes on both, silent lines, a retransmission service that does everything wrong: exactness and times.
ROUNDS ?= 1
TIMES ?=
drills-merge: build
	scripts/drills-merge --rounds $(ROUNDS) $(TIMES)

# Other people's programs against ours, all of SUITES or every one: the last line is `N passed, M failed`, and `, K skipped` when something
# could not be had; each skip is told with its reason, and is a failure with STRICT=1.
SUITES =
STRICT =
test-clients: build
	-@scripts/bootstrap --view --clients
	@BULKHEAD_BIN=$(CURDIR)/$(BIN) SEED=$(SEED) STRICT=$(STRICT) scripts/test-clients $(ARGUMENTS) $(SUITES)

# What clients do to the publisher, with real processes and up to a thousand clients: some four minutes.
DRILL =
drills-publish: build
	scripts/drills-publish --bin $(CURDIR)/$(BIN) $(TIMES) $(DRILL)

# The past beyond the ring, from the tape, in the sandbox that every process lives in.
drills-publish-short: build
	scripts/drills-publish --bin $(CURDIR)/$(BIN) --no-times tape

bench-publish:
	scripts/bench-publish

bench: build
	scripts/bench-pipeline

bench-ring:
	scripts/bench-ring

bench-book:
	scripts/bench-book

bench-merge:
	scripts/bench-merge

# libFuzzer and the address sanitizer come with the Swift toolchain.
fuzz:
	scripts/fuzz $(SECONDS) $(TARGET)

# As continuous integration on two cores can afford it: a minute for each target, two at a time.
fuzz-ci:
	FUZZ_JOBS=2 scripts/fuzz 60 $(TARGET)

# Every stage stopped for 5 to 1500 ms: when each tier of the ladder fires (docs/SUPERVISION.md). Wants a quiet machine.
drill-pauses: build
	scripts/drill-pauses $(BIN)

fuzz-short: SECONDS = 20
fuzz-short: fuzz

format:
	swift format --in-place --recursive Package.swift Sources Tests Fuzz

clean:
	rm -rf .build Tests/RingInterleavingTests/.build
