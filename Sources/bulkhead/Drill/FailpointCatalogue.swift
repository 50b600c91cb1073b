#if BULKHEAD_FAILPOINTS
  /// A numbered place in a program, and how it is reached.
  struct FailpointCase: Hashable {
    let number: Int32
    /// The program that is to die there.
    let program: String
    /// What is so at that moment.
    let words: String
    /// How a process comes there.
    let way: Way

    enum Way: Hashable {
      /// It does while the stream flows.
      case flow
      /// It does when this component has been killed.
      case after(component: String)
      /// At the session's first message, or behind its last one.
      case begin, end
      /// When bookd has been killed, late in a day that is longer than the merged ring.
      case beyondTheRing
      /// When bookd has been killed, and there is a snapshot.
      case afterASnapshot
      /// When the recorder has died with half of a record on the tape.
      case halfARecord
      /// It does now and then while the stream flows: the first time is taken.
      case seldom
    }

    /// Where the recorder is about to write the next piece of its records.
    static let betweenPieces: Int32 = 51

    /// Every place in every program that comes there, in the order of the numbers.
    static let all: [FailpointCase] = places.flatMap { place in
      place.programs.map { program, way in
        FailpointCase(number: place.number, program: program, words: place.words, way: way)
      }
    }

    private typealias Place = (number: Int32, words: String, programs: [(String, Way)])

    private static let producers: [(String, Way)] = [
      ("rxd", .flow), ("merged", .flow), ("bookd", .flow), ("watchdogd", .after(component: "pubd")),
    ]
    private static let readers: [(String, Way)] = [
      ("merged", .flow), ("bookd", .flow), ("pubd", .flow), ("taped", .flow),
    ]
    private static let producersStart: [(String, Way)] = [
      ("rxd", .after(component: "rxd@a")), ("merged", .after(component: "merged")),
      ("bookd", .after(component: "bookd")), ("watchdogd", .after(component: "watchdogd")),
    ]
    private static let everybodyStart: [(String, Way)] =
      producersStart + [("pubd", .after(component: "pubd")), ("taped", .after(component: "taped"))]
    private static func start(_ component: String) -> [(String, Way)] {
      [(component, .after(component: component))]
    }

    private static let places: [Place] = [
      (11, "ring: payloads are there, no stamp", producers),
      (12, "ring: the frontier is clear, no stamp", producers),
      (13, "ring: visible, the position does not say so", producers),
      (14, "ring: published, nobody is woken", producers),
      (15, "ring: about to claim", [("rxd", .flow), ("merged", .flow), ("bookd", .flow)]),
      (16, "ring: claimed, nothing overwritten", [("rxd", .flow), ("merged", .flow), ("bookd", .flow)]),
      (21, "cursor: read, the cursor does not say so", readers),
      (22, "cursor: said, the high water not", readers),
      (31, "epoch: raised on the ring, the producer is the old one", producersStart),
      (32, "epoch: the producer is new, the frontier not clear", producersStart),
      (33, "epoch: the frontier is clear, the position may be behind", producersStart),
      (34, "epoch: the page is taken, its epoch is the old one", everybodyStart),
      (35, "epoch: raised on the page, no beat", everybodyStart),
      (41, "table: the value is there, its version is odd", [("bookd", .flow)]),
      (42, "flight page: a step is written and not counted", readers + [("rxd", .flow)]),
      (51, "tape: about to write records", [("taped", .flow)]),
      (52, "tape: written, nobody knows", [("taped", .flow)]),
      (53, "tape: about to synchronise", [("taped", .seldom)]),
      (54, "tape: durable, nobody knows", [("taped", .seldom)]),
      (56, "tape: a segment is whole and not closed", [("taped", .seldom)]),
      (57, "tape: a segment is made, without a name", [("taped", .seldom)]),
      (58, "tape: it has its name, the directory is not synchronised", [("taped", .seldom)]),
      (59, "tape: retention has removed a segment", [("taped", .seldom)]),
      (61, "snapshot: about to be written", [("taped", .seldom)]),
      (62, "snapshot: written, not verified", [("taped", .seldom)]),
      (63, "snapshot: verified, without a name", [("taped", .seldom)]),
      (64, "snapshot: it has its name, the directory is not synchronised", [("taped", .seldom)]),
      (66, "tape resumed: the end is found, the rest not cut off", [("taped", .halfARecord)]),
      (67, "tape resumed: cut off, not synchronised", start("taped")),
      (71, "merged resumes: attached, the end not looked for", start("merged")),
      (72, "merged resumes: the own ring's end is found", start("merged")),
      (73, "merged resumes: a turn in the receivers' retention", start("merged")),
      (74, "session: beside the ring, not on it", [("merged", .begin)]),
      (75, "session: about to be ended", [("merged", .end)]),
      (81, "bookd rebuilds: restored from a snapshot", [("bookd", .afterASnapshot)]),
      (82, "bookd rebuilds: in the midst of the tape", [("bookd", .beyondTheRing)]),
      (83, "bookd rebuilds: a turn in the merged ring", start("bookd")),
      (84, "bookd rebuilds: caught up, not READY", start("bookd")),
      (85, "bookd rebuilds: READY, the first new event is not out", start("bookd")),
      (86, "session: its last event is out, its digest not", [("bookd", .end)]),
      (91, "pubd resumes: attached, nothing read", start("pubd")),
      (92, "pubd resumes: a turn of catching up", start("pubd")),
      (93, "pubd resumes: caught up, not READY", start("pubd")),
      (94, "pubd resumes: READY, nobody served", start("pubd")),
      (101, "supervisor: in charge, nothing taken over", start("watchdogd")),
      (102, "supervisor: one process taken over", start("watchdogd")),
      (103, "supervisor: a process runs, nobody knows", [("watchdogd", .after(component: "rxd@b"))]),
      (
        104, "supervisor: a death is on its page, not on the ring",
        [("watchdogd", .after(component: "bookd"))]
      ),
      (
        105, "supervisor: a death is told, no successor started", [("watchdogd", .after(component: "merged"))]
      ),
      (106, "supervisor: a death is half written", [("watchdogd", .after(component: "bookd"))]),
      (
        107, "supervisor: readers are told, nothing written down",
        [("watchdogd", .after(component: "merged"))]
      ),
      (108, "supervisor: about to lift the mark", [("watchdogd", .after(component: "bookd"))]),
    ]
  }
#endif
