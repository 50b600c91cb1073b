// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that the product does not carry its yardsticks. It drives the loop that the process `merged`
// runs, beside a plain copy of the same bytes through the same rings.

let package = Package(
  name: "merge-benchmark",
  dependencies: [.package(name: "bulkhead", path: "../..")],
  targets: [
    .executableTarget(
      name: "mergebench",
      dependencies: [
        .product(name: "ShmRing", package: "bulkhead"), .product(name: "MergeLoop", package: "bulkhead"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)])
  ]
)
