import CLinux
import Glibc
public import Topology

/// Why a line's socket could not be opened.
public struct LineSocketError: Error, CustomStringConvertible {
  public let description: String
}

/// The UDP socket of one line: bound to its group, joined, stamped by the kernel.
public struct LineSocket: Sendable {
  public let descriptor: Int32
  /// What the kernel granted as the receive buffer, bytes.
  public let grantedBytes: Int

  /// Opens and joins.
  /// - Throws: naming the line, the cause and, for a refused buffer, the setting that would allow it.
  public static func open(_ line: Topology.Line) throws(LineSocketError) -> LineSocket {
    var granted: Int32 = 0
    let descriptor = bulkhead_open_multicast_receiver(
      line.group.value, line.port, line.interface.value, line.source?.value ?? 0,
      Int32(clamping: line.receiveBufferBytes), &granted)
    guard descriptor >= 0 else { throw refusal(line, -descriptor) }
    return try checked(line, descriptor, granted)
  }

  /// Takes a socket that somebody else holds open, bound to the line's group; joins, if nobody has yet. Its buffer is as
  /// that one asked for it.
  /// - Throws: as ``open(_:)``.
  public static func adopt(_ descriptor: Int32, _ line: Topology.Line) throws(LineSocketError) -> LineSocket {
    var granted: Int32 = 0
    let result = bulkhead_prepare_multicast_receiver(
      descriptor, line.group.value, line.interface.value, line.source?.value ?? 0, 0, &granted)
    guard result == 0 else { throw refusal(line, -result) }
    return try checked(line, descriptor, granted)
  }

  private static func refusal(_ line: Topology.Line, _ code: Int32) -> LineSocketError {
    LineSocketError(
      description:
        "line \(line.name): cannot join \(line.group):\(line.port) on \(line.interface): \(String(cString: strerror(code)))"
    )
  }

  private static func checked(
    _ line: Topology.Line, _ descriptor: Int32, _ granted: Int32
  ) throws(LineSocketError) -> LineSocket {
    if line.receiveBufferRequired, Int(granted) < line.receiveBufferBytes {
      close(descriptor)
      throw LineSocketError(
        description:
          "line \(line.name): the kernel grants a receive buffer of \(granted) of \(line.receiveBufferBytes) bytes; raise net.core.rmem_max or set receive_buffer_required = false"
      )
    }
    return LineSocket(descriptor: descriptor, grantedBytes: Int(granted))
  }
}
