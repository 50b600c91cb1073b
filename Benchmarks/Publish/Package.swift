// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that the product does not carry its yardsticks. It drives the server that the process `pubd`
// runs from a ring; broadcast.c sends the same bytes with the library alone.

let package = Package(
  name: "publish-benchmark",
  dependencies: [.package(name: "bulkhead", path: "../..")],
  targets: [
    .executableTarget(
      name: "publishbench",
      dependencies: [.product(name: "PublishLoop", package: "bulkhead")],
      swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)])
  ]
)
