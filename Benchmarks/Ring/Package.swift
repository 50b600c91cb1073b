// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that the product does not carry its yardsticks. It builds the ring exactly as the stages
// use it: another module's public API.

let package = Package(
  name: "ring-benchmark",
  dependencies: [.package(name: "bulkhead", path: "../..")],
  targets: [
    // Processes, pinning, flow control, payload and clock: the same code for all three rings.
    .target(name: "BenchHarness"),
    // Baseline 1: the least that a shared-memory ring can do. Baseline 2: the usual C++ design. Both are optimised
    // harder than the product.
    .target(name: "StampRing", dependencies: ["BenchHarness"], cSettings: [.unsafeFlags(["-O3"])]),
    .target(name: "IndexRing", dependencies: ["BenchHarness"], cxxSettings: [.unsafeFlags(["-O3"])]),
    .executableTarget(
      name: "ringbench",
      dependencies: [
        "BenchHarness", "StampRing", "IndexRing", .product(name: "ShmRing", package: "bulkhead"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]),
  ],
  cxxLanguageStandard: .cxx17
)
