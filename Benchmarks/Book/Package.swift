// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that the product does not carry its yardsticks. It builds the books exactly as bookd uses
// them: other modules' public API.

let package = Package(
  name: "book-benchmark",
  dependencies: [.package(name: "bulkhead", path: "../..")],
  targets: [
    // Pinning, clock, page faults, allocations: the same for every book.
    .target(name: "BookHarness"),
    // The yardsticks, optimised harder than the product: for this very processor.
    .target(
      name: "BookBaselines", dependencies: ["BookHarness"],
      cxxSettings: [.unsafeFlags(["-O3", "-march=native"])]),
    .executableTarget(
      name: "bookbench",
      dependencies: [
        "BookHarness", "BookBaselines",
        .product(name: "Books", package: "bulkhead"), .product(name: "ShmRing", package: "bulkhead"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]),
  ],
  cxxLanguageStandard: .cxx17
)
