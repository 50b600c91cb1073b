import Glibc

/// Why a ring, table or page could not be made or attached. The description names cause and remedy.
public enum RingError: Error, Sendable, Equatable, CustomStringConvertible {
  /// A size that no ring can have.
  case geometry(String)
  /// A system call failed.
  case system(operation: String, path: String, errno: Int32)
  /// There is no such file.
  case missing(path: String)
  /// The file is no ring, or its creator died before it was finished.
  case notARing(path: String)
  /// The file was made by another layout version.
  case layoutVersion(path: String, found: UInt32, expected: UInt32)
  /// A header field contradicts another, or the file's size.
  case header(path: String, field: String, found: UInt64, expected: String)
  /// The ring belongs to another configuration.
  case configuration(path: String, found: UInt64, expected: UInt64)
  /// The file was made by a machine of the other byte order.
  case byteOrder(path: String)
  /// The file was retired: its stream goes on, or should have gone on, in another file.
  case retired(path: String)
  /// The memory is not where it was asked for.
  case placement(path: String, wanted: String, found: String)
  /// The memory control group of this process does not allow that much more: the kernel would kill a process of it.
  case allowance(path: String, needed: UInt64, available: UInt64, limit: String)
  /// Another process is taking the ring over.
  case takeoverRunning(path: String)
  /// A living process is the ring's producer.
  case producerAlive(path: String, pid: Int32)

  public var description: String {
    switch self {
    case .geometry(let reason):
      return "ring geometry: \(reason)"
    case .system(let operation, let path, let code):
      let reason = String(cString: strerror(code))
      return "\(operation) \(path): \(reason)\(Self.remedy(operation: operation, errno: code))"
    case .missing(let path):
      return "\(path): no such ring; is the set running? (`bulkhead status` lists the running sets)"
    case .notARing(let path):
      return "\(path): not a ring, or never finished by its creator; remove it and start the set again"
    case .layoutVersion(let path, let found, let expected):
      return
        "\(path): layout version \(found), this program reads version \(expected); use the tools of that build"
    case .header(let path, let field, let found, let expected):
      return
        "\(path): header field `\(field)` is \(found), expected \(expected); the ring is damaged, make it anew"
    case .configuration(let path, let found, let expected):
      return
        "\(path): made for configuration \(hex(found)), this process runs \(hex(expected)); restart the whole set"
    case .placement(let path, let wanted, let found):
      return
        "\(path): wants \(wanted), got \(found); free such memory (numactl --hardware, /proc/meminfo) or change the placement in the topology"
    case .allowance(let path, let needed, let available, let limit):
      return
        "\(path): needs \(needed) bytes, its memory control group allows \(available) more; raise \(limit) or make the rings smaller (`cells` in the topology)"
    case .byteOrder(let path):
      return "\(path): made by a machine of the other byte order; make the ring on this one"
    case .retired(let path):
      return
        "\(path): retired by a take-over that was not finished; take it over again, or make the ring anew"
    case .takeoverRunning(let path):
      return "\(path): another process is taking it over; wait for that one, or end it first"
    case .producerAlive(let path, let pid):
      return "\(path): process \(pid) is still its producer; it has to end first"
    }
  }

  private static func remedy(operation: String, errno: Int32) -> String {
    switch errno {
    case ENOSPC, ENOMEM:
      "; make /dev/shm larger (mount -o remount,size=…) or the rings smaller (`cells` in the topology)"
    case EACCES, EPERM:
      operation == "mlock"
        ? "; raise the locked-memory limit or set host.lock_memory = false"
        : "; run as the owner of the set's directory"
    default: ""
    }
  }
}

/// Sixteen lower-case hexadecimal digits.
func hex(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.utf8.count) + digits
}
