import CLinux
import ShmRing
import StageRecords
import StageRuntime
import Supervision

/// What the supervisor did and saw, on a ring of its own: no stage stands between it and whoever wants to know, and the
/// ring is still there when the supervisor is not.
struct StatusJournal: ~Copyable {
  private var producer: RingProducer

  /// Attaches to the instance's status ring; its epoch counts the supervisors.
  init(directory: String, configurationHash: UInt64) throws(RingError) {
    producer = try RingProducer.attach(
      path: InstanceFiles.statusRingPath(directory: directory), readers: [],
      configurationHash: configurationHash)
  }

  /// This supervisor's incarnation.
  var epoch: UInt64 { producer.epoch }

  mutating func note(_ record: SupervisionRecord) {
    // A ring of an earlier build may have no room for remarks.
    let bytes = record.byteCount(limit: producer.recordBytesLimit)
    record.write(to: producer.reserve(bytes: bytes), count: bytes)
    producer.commit(kind: record.event.rawValue, bytes: bytes)
    producer.publish()
  }

  /// An event of now.
  mutating func note(_ event: SupervisionEvent, _ component: String, pid: Int32 = 0, epoch: UInt64 = 0) {
    var record = SupervisionRecord(event, component: component, instant: bulkhead_monotonic_nanoseconds())
    record.pid = pid
    record.epoch = epoch
    note(record)
  }

  mutating func noteDeath(
    of component: String, _ cause: ExitCause, pid: Int32, epoch: UInt64, atHand: UInt64 = 0
  ) {
    var record = SupervisionRecord(.died, component: component, instant: bulkhead_monotonic_nanoseconds())
    record.pid = pid
    record.epoch = epoch
    record.cause = cause.code
    record.code = cause.number
    record.value = atHand
    note(record)
  }
}
