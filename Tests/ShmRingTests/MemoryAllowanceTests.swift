import XCTest

@testable import ShmRing

/// What a memory control group leaves, of both versions (D-19).
final class MemoryAllowanceTests: XCTestCase {
  private func tightest(_ files: [String: String]) -> MemoryAllowance? {
    MemoryAllowance.tightest { files[$0] }
  }

  func testTheFirstVersion() {
    let group = "/sys/fs/cgroup/memory/plant/feed"
    let files = [
      "/proc/self/cgroup": "4:memory:/plant/feed\n1:cpu:/\n0::/\n",
      "\(group)/memory.limit_in_bytes": "104857600\n", "\(group)/memory.usage_in_bytes": "30000000\n",
      "\(group)/memory.stat": "inactive_file 7\ntotal_inactive_file 1000000\ntotal_active_file 500000\n",
      "/sys/fs/cgroup/memory/plant/memory.limit_in_bytes": "9223372036854771712\n",
    ]
    XCTAssertEqual(
      tightest(files),
      MemoryAllowance(bytes: 104_857_600 - 30_000_000 + 1_500_000, limit: "\(group)/memory.limit_in_bytes"))
  }

  /// The second version, limited further up: the tightest counts, not the nearest.
  func testTheSecondVersion() {
    let files = [
      "/proc/self/cgroup": "0::/plant.slice/feed.service\n",
      "/sys/fs/cgroup/plant.slice/feed.service/memory.max": "1000000000\n",
      "/sys/fs/cgroup/plant.slice/feed.service/memory.current": "0\n",
      "/sys/fs/cgroup/plant.slice/memory.max": "900000000\n",
      "/sys/fs/cgroup/plant.slice/memory.current": "880000000\n",
      "/sys/fs/cgroup/plant.slice/memory.stat": "inactive_file 10\nactive_file 5\nshmem 99\n",
      "/sys/fs/cgroup/memory.max": "max\n",
    ]
    XCTAssertEqual(
      tightest(files),
      MemoryAllowance(bytes: 20_000_015, limit: "/sys/fs/cgroup/plant.slice/memory.max"))
  }

  func testAFullGroupLeavesNothing() {
    let files = [
      "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "1000\n",
      "/sys/fs/cgroup/memory.current": "5000\n",
    ]
    XCTAssertEqual(tightest(files)?.bytes, 0)
  }

  func testWhatCannotBeReadSetsNoLimit() {
    XCTAssertNil(tightest([:]))
    XCTAssertNil(tightest(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n"]))
    for text in ["", "::", "0::", "4:memory:relative\n", "x\n0::/a\n", "4:memory\n"] {
      XCTAssertNil(
        tightest(["/proc/self/cgroup": text, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1"]), text)
    }
  }
}
