// swift-tools-version: 6.2
import PackageDescription

// Targets are listed in the order in which the data flows. The imports that each may use are
// checked by scripts/check-imports (table: scripts/allowed-imports.txt).

/// `make drill-failpoints` builds with places at which a process can be made to die; the product has none.
let hasFailpoints = Context.environment["BULKHEAD_WITH_FAILPOINTS"] != nil

let strict: [SwiftSetting] =
  [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]
  + (hasFailpoints ? [.define("BULKHEAD_FAILPOINTS")] : [])

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func stage(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// A program that only tests use.
func testProgram(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies, path: "Tests/programs/\(name)", swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
  name: "bulkhead",
  // For programs beside the set: the ring as a library of its own, and what the benchmarks drive.
  products: [
    .library(name: "ShmRing", targets: ["ShmRing"]),
    .library(
      name: "MergeLoop",
      targets: ["MergeLoop", "CLinux", "FeedWire", "StageRecords", "StageRuntime", "Topology"]),
    .library(
      name: "PublishLoop", targets: ["PublishLoop", "PublishWire", "ShmRing", "StageRecords", "CLinux"]),
    .library(
      name: "Books", targets: ["OrderBook", "BookBuilder", "FeedWire", "FeedSim", "StageRecords"]),
    // Loaded into a process that is to leak, for drills that have to find it.
    .library(name: "drillleak", type: .dynamic, targets: ["drillleak"]),
    // Loaded into a supervisor whose calls of the allocator a drill counts.
    .library(name: "drillcalls", type: .dynamic, targets: ["drillcalls"]),
  ],
  targets: [
    // What Swift cannot import, and the C libraries from the distribution.
    .target(name: "CLinux"),
    .target(name: "CProcessor"),
    .target(name: "CProbes"),
    .target(name: "CFailpoints", cSettings: hasFailpoints ? [.define("BULKHEAD_FAILPOINTS")] : []),
    library("Failpoints", ["CFailpoints"]),
    .target(name: "CTapeHash"),
    .target(name: "CTomlParser", cxxSettings: [.unsafeFlags(["-std=c++17"])]),
    .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(
      name: "CWebSockets", pkgConfig: "libwebsockets", providers: [.apt(["libwebsockets-dev"])]),
    .systemLibrary(name: "CNuma", pkgConfig: "numa", providers: [.apt(["libnuma-dev"])]),
    .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
    .target(name: "CServiceManager", dependencies: ["CSystemd"]),
    .systemLibrary(name: "CJansson", pkgConfig: "jansson", providers: [.apt(["libjansson-dev"])]),

    // The ring that joins the stages, and what travels on it.
    library("ShmRing", ["CLinux", "CNuma", "CProcessor", "Failpoints"]),
    library("StageRecords"),
    library("StreamDigest", ["CXXHash", "StageRecords"]),
    library("LatencyHistogram"),
    // Kinds of messages, entries of the system's journal, and how many are written.
    library("SystemLog"),

    // Pure cores, in flow order: bytes, sequence numbers and an instant in, decisions out.
    library("FeedWire"),
    library("SoupBinTCP"),
    library("Glimpse", ["FeedWire", "SoupBinTCP"]),
    library("FeedSim", ["FeedWire", "Glimpse"]),
    library("LineArbiter"),
    library("OrderBook", ["CProcessor"]),
    library("BookBuilder", ["FeedWire", "OrderBook", "StageRecords", "StreamDigest"]),
    library("PublishWire", ["StageRecords", "StreamDigest", "CJansson"]),
    library("Supervision"),
    library("FIXSession"),
    // docs/runbooks, compiled in.
    library("Runbooks", ["SystemLog"]),
    // How available a structure of parts is, exactly.
    library("Reliability"),
    // What is done to a running set to prove it, and how that is judged.
    library("Drills", ["FeedSim"]),
    library("Tape", ["CLinux", "CTapeHash", "Failpoints", "StageRecords"]),
    // The tape in other programs' formats.
    library("TapeExport", ["FeedWire"]),
    library("TapeShadow", ["BookBuilder", "FeedWire", "OrderBook", "StageRecords", "Tape"]),

    // How a topology's books are made.
    library("BookSettings", ["BookBuilder", "OrderBook", "Topology"]),

    // What a process may ask the kernel for: rules in, the kernel's instructions out.
    library("SystemCallFilter"),

    // What every process needs: its plan, its pages, its loop.
    library("Topology", ["CTomlParser", "CXXHash", "FIXSession"]),
    library(
      "StageRuntime",
      [
        "CLinux", "Failpoints", "ShmRing", "StageRecords", "SystemCallFilter", "SystemLog", "Topology",
        "LatencyHistogram",
      ]),

    // A set seen from outside, read-only: what the tools and viewd show.
    library(
      "SetInspection",
      ["CLinux", "LatencyHistogram", "ShmRing", "StageRecords", "StageRuntime", "Supervision"]),

    // What viewd serves, as text: metrics, the page's frames, the page itself.
    library("ViewPages", ["Runbooks", "SetInspection", "ShmRing", "StageRecords", "StageRuntime"]),
    // The set as units of systemd: the topology in, texts out.
    library("ServiceUnits", ["CXXHash", "Topology"]),
    // What a host is like, judged by what a topology needs.
    library("HostChecks", ["CLinux", "ShmRing", "Topology"]),

    // SoupBinTCP over a socket, for a stage's loop.
    library("SoupTCP", ["CLinux", "SoupBinTCP"]),
    // The merge stage's loop; a library, so that its benchmark drives what the process runs.
    library(
      "MergeLoop",
      [
        "CLinux", "CProbes", "Failpoints", "ShmRing", "StageRecords", "FeedWire", "SoupBinTCP", "Glimpse",
        "LineArbiter", "StageRuntime", "SoupTCP", "SystemLog", "Tape", "Topology",
      ]),

    // The recorder's loop.
    library(
      "TapeLoop",
      [
        "BookBuilder", "BookSettings", "CLinux", "ShmRing", "StageRecords", "StageRuntime", "SystemLog",
        "Tape",
        "TapeShadow", "Topology",
      ]),

    // The book stage's loop; a library, so that a test's program can plant a fault in it.
    library(
      "BookLoop",
      [
        "BookBuilder", "BookSettings", "CLinux", "CProbes", "Failpoints", "FeedWire", "OrderBook", "ShmRing",
        "StageRecords",
        "StageRuntime", "Supervision", "Tape", "TapeShadow", "Topology",
      ]),
    // The publish stage's loop and its server; a library, so that its benchmark drives what the process runs.
    library(
      "PublishLoop",
      [
        "BookBuilder", "BookSettings", "CLinux", "CProbes", "CWebSockets", "Failpoints", "FeedWire",
        "OrderBook", "PublishWire", "ShmRing", "StageRecords", "StageRuntime", "Tape", "TapeShadow",
        "Topology",
      ]),

    // The processes.
    stage("rxd", ["CLinux", "CProbes", "ShmRing", "StageRecords", "StageRuntime", "Topology"]),
    stage("merged", ["MergeLoop", "StageRuntime"]),
    stage("bookd", ["BookLoop", "StageRuntime"]),
    stage("taped", ["StageRuntime", "TapeLoop"]),
    stage("pubd", ["PublishLoop", "StageRuntime"]),
    stage(
      "viewd",
      ["CLinux", "CWebSockets", "SetInspection", "ShmRing", "StageRuntime", "Topology", "ViewPages"]),
    stage(
      "watchdogd",
      [
        "CLinux", "CServiceManager", "FIXSession", "Failpoints", "FeedWire", "HostChecks", "LatencyHistogram",
        "ServiceUnits", "ShmRing", "StageRecords", "Supervision", "StageRuntime", "SystemLog", "Topology",
      ]),
    stage("venue", ["CLinux", "FeedWire", "SoupBinTCP", "Glimpse", "FeedSim", "StageRuntime"]),
    stage(
      "bulkhead",
      [
        "CFailpoints", "CLinux", "CWebSockets", "ShmRing", "StageRecords", "FeedWire", "FIXSession",
        "FeedSim", "OrderBook", "BookBuilder", "BookSettings", "StreamDigest", "PublishWire",
        "SetInspection", "StageRuntime", "Supervision", "Drills",
        "CJansson", "HostChecks", "LatencyHistogram", "Reliability", "Runbooks", "ServiceUnits", "SystemLog",
        "Tape", "TapeExport", "TapeShadow", "Topology", "ViewPages",
      ]),

    // Kills, stops and replaces the two ends of tiny rings. No part of what is installed.
    stage("ringtorture", ["CLinux", "ShmRing"]),

    // Tests.
    testProgram("ringloops", ["ShmRing"]),
    // The books beside a naive reference, message by message.
    testProgram("bookoracle", ["FeedSim", "OrderBook", "BookBuilder", "StageRecords"]),
    testProgram("poisonedbookd", ["BookLoop", "StageRuntime"]),
    testProgram("sandboxed", ["CLinux", "ShmRing", "StageRuntime", "Topology"]),
    .target(name: "drillleak", path: "Tests/programs/drillleak"),
    .target(name: "drillcalls", path: "Tests/programs/drillcalls"),
    // bookd as another build would be it: good, of another layout, or with a seeded defect of the books.
    testProgram("nextbookd", ["BookLoop", "ShmRing", "StageRuntime"]),
    testProgram("standin", ["CLinux", "ShmRing", "StageRuntime"]),
    tests("ShmRingTests", ["CNuma", "CLinux", "ShmRing"]),
    tests("RingTortureTests", ["ShmRing", "ringtorture"]),
    tests("TapeTests", ["Tape", "StageRecords", "CTapeHash"]),
    tests("TapeExportTests", ["TapeExport"]),
    tests("TapeLoopTests", ["TapeLoop", "Tape", "StageRecords"]),
    tests(
      "TapeShadowTests",
      ["TapeShadow", "Tape", "BookBuilder", "FeedSim", "FeedWire", "OrderBook", "StageRecords"]),
    tests("LatencyHistogramTests", ["LatencyHistogram"]),
    tests(
      "SystemLogTests", ["SystemLog", "StageRuntime", "StageRecords", "ShmRing", "Topology", "Runbooks"]),
    tests("SupervisionTests", ["CLinux", "CServiceManager", "Supervision", "StageRecords"]),
    tests("FIXSessionTests", ["FIXSession"]),
    // Runs `sandboxed`, which lies beside it.
    tests("SystemCallFilterTests", ["SystemCallFilter", "CLinux", "sandboxed"]),
    // Its expected texts are read where they lie, so that they can be written anew.
    .testTarget(
      name: "ServiceUnitsTests", dependencies: ["ServiceUnits", "Topology", "bulkhead"], exclude: ["Golden"],
      swiftSettings: strict),
    tests("DoctorTests", ["Runbooks", "StageRecords", "Supervision", "bulkhead"]),
    tests(
      "ExplainTests",
      ["Runbooks", "bulkhead"]),
    tests("ReliabilityTests", ["Reliability"]),
    tests("HostChecksTests", ["HostChecks", "ShmRing", "Topology"]),
    tests("DrillsTests", ["Drills"]),
    // Merging and recovery in virtual time, against an oracle.
    testProgram(
      "mergesim",
      [
        "LineArbiter", "FeedWire", "SoupBinTCP", "Glimpse", "FeedSim", "OrderBook", "BookBuilder",
        "StageRecords", "StreamDigest",
      ]),
    tests("MergeLoopTests", ["MergeLoop", "LineArbiter", "ShmRing", "Glimpse", "FeedWire"]),
    tests("LineArbiterTests", ["LineArbiter", "StageRecords"]),
    tests("ITCH50Tests", ["FeedWire"]),
    tests("OrderBookTests", ["OrderBook"]),
    tests(
      "BookBuilderTests",
      ["BookBuilder", "FeedSim", "FeedWire", "OrderBook", "StageRecords", "StreamDigest"]),
    // Its fixtures are read where they lie, so that failing ones can be written anew.
    .testTarget(
      name: "TopologyTests", dependencies: ["Topology"], exclude: ["Fixtures"], swiftSettings: strict),
    tests(
      "ViewPagesTests",
      [
        "LatencyHistogram", "Runbooks", "SetInspection", "ShmRing", "StageRecords", "StageRuntime",
        "ViewPages",
      ]),
    tests("MoldUDP64Tests", ["FeedWire"]),
    tests("SoupBinTCPTests", ["SoupBinTCP"]),
    tests("GlimpseTests", ["Glimpse", "FeedSim", "FeedWire", "SoupBinTCP"]),
    // Runs the venue, from the folder that holds the tests.
    tests(
      "RecoveryServicesTests",
      ["SoupTCP", "SoupBinTCP", "Glimpse", "FeedSim", "FeedWire", "CLinux", "venue"]),
    tests("FeedSimTests", ["FeedSim", "FeedWire", "Glimpse"]),
    tests(
      "PublishWireTests",
      [
        "PublishWire", "StageRecords", "FeedSim", "OrderBook", "BookBuilder", "PublishLoop", "Tape",
        "TapeShadow",
        "bulkhead",
      ]),
    tests("PipelineTests", ["FeedSim"]),
    tests(
      "RingToolsTests",
      [
        "ShmRing", "StageRecords", "FeedWire", "FeedSim", "OrderBook", "BookBuilder", "SetInspection",
        "StageRuntime", "Supervision", "bulkhead",
      ]),
    // The operator's command as a whole. Its golden texts are read where they lie.
    .testTarget(
      name: "OperatorTests",
      dependencies: [
        "CLinux", "Drills", "HostChecks", "Reliability", "Runbooks", "SetInspection", "ShmRing",
        "StageRecords", "StageRuntime", "Supervision", "SystemLog", "Topology", "ViewPages", "bulkhead",
      ],
      exclude: ["Golden", "terminal_session.py", "validate_reports.py"],
      swiftSettings: strict),
    // Reads include/bulkhead.h, Tests/clients and docs/C_READER.md where they lie.
    tests("CReaderTests", ["ShmRing", "StageRecords"]),
  ]
)

// `make sanitize` builds the ring and its tests alone.
if Context.environment["BULKHEAD_RING_ONLY"] != nil {
  let ring = [
    "CFailpoints", "Failpoints", "CLinux", "CNuma", "CProcessor", "ShmRing", "ShmRingTests", "ringtorture",
    "RingTortureTests",
  ]
  package.targets.removeAll { !ring.contains($0.name) }
  package.products.removeAll { $0.name != "ShmRing" }
}
