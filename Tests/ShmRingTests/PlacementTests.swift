import CNuma
import XCTest

@testable import ShmRing

/// Where a ring's memory lies: asked for, and read back from the kernel.
final class PlacementTests: XCTestCase {
  private let path = "/dev/shm/bulkhead-placement-\(getpid()).ring"
  override func tearDown() { unlink(path) }

  private func create(bytes: Int, _ placement: MemoryPlacement) throws -> SharedFile {
    try SharedFile.create(path: path, byteCount: bytes, placement: placement)
  }

  func testMemoryOfANode() throws {
    try XCTSkipIf(numa_available() < 0, "this kernel has no NUMA support")
    let file = try create(bytes: 4 << 20, MemoryPlacement(numaNode: 0))
    XCTAssertNoThrow(try file.checkPages(onNode: 0))
    // The read-back can fail: what lies on node 0 does not lie on another.
    XCTAssertThrowsError(try file.checkPages(onNode: 1)) { error in
      XCTAssertEqual(
        error as? RingError,
        .placement(path: path, wanted: "memory of NUMA node 1", found: "1024 of 1024 pages on node 0"))
    }
  }

  func testANodeThatIsNotThere() throws {
    XCTAssertThrowsError(try { _ = try create(bytes: 4096, MemoryPlacement(numaNode: 900)) }()) { error in
      XCTAssertTrue("\(error)".contains("wants memory of NUMA node 900, got a machine with"), "\(error)")
    }
    XCTAssertNotEqual(access(path, F_OK), 0, "no file is left")
  }

  /// Pages of 2 MB in the creator's mapping and in one that is made later.
  func testHugePages() throws {
    let bytes = (8 << 20) + 4096
    // Whether this kernel has such pages to give is asked first.
    do { _ = try create(bytes: bytes, MemoryPlacement(hugePages: .required)) } catch {
      throw XCTSkip("this kernel gives no pages of 2 MB: \(error)")
    }
    let file = try create(bytes: bytes, MemoryPlacement(hugePages: .required))
    XCTAssertEqual(file.hugeBytes(), 8 << 20)
    let other = try SharedFile.open(path: path, access: .readOnly, minimumBytes: bytes, populate: true)
    XCTAssertEqual(other.hugeBytes(), 8 << 20)
    unlink(path)
    let ordinary = try create(bytes: bytes, MemoryPlacement())
    XCTAssertEqual(ordinary.hugeBytes(), 0, "not without being asked")
  }

  func testLocked() throws {
    func lockedKilobytes() throws -> Int {
      let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
      let line = try XCTUnwrap(status.split(separator: "\n").first { $0.hasPrefix("VmLck:") })
      return try XCTUnwrap(
        line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap { Int($0) })
    }
    let before = try lockedKilobytes()
    let file = try create(bytes: 1 << 20, MemoryPlacement(isLocked: true))
    XCTAssertEqual(try lockedKilobytes() - before, 1024)
    withExtendedLifetime(file.byteCount) {}
  }
}
