// swift-tools-version: 6.2
import PackageDescription

// A package of its own, because it is built in its own way: with RING_INTERLEAVING, which puts a model in the place of
// memory, and optimised. See docs/RING_PROOF.md and `make test-interleavings`.

let package = Package(
  name: "ring-interleavings",
  dependencies: [.package(name: "bulkhead", path: "../..")],
  targets: [
    .testTarget(
      name: "RingInterleavingTests", dependencies: [.product(name: "ShmRing", package: "bulkhead")],
      path: ".", exclude: ["Package.swift"],
      swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)])
  ]
)
