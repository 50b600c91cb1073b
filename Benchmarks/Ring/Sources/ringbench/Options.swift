import Glibc

/// Ends the process: a run that cannot be set up has no result.
func fail(_ reason: String) -> Never {
  let line = Array("ringbench: \(reason)\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
  exit(1)
}

/// The command line: `KEY=VALUE…`, each key with a default.
struct Options {
  static let usage = """
    usage: ringbench ring=c|cpp|swift mode=throughput|trip|overwrite [bytes=16|56|256|1400] [batch=N]
                     [readers=0...8] [wait=spin|yield|park|park-at-once] [cores=P,R] [records=N] [cells=N]
                     [in-place=0|1]
    """

  private var values = [
    "ring": "swift", "mode": "throughput", "bytes": "56", "batch": "64", "readers": "1", "wait": "spin",
    "cores": "0,1", "records": "8000000", "cells": "16384", "in-place": "0",
  ]

  init(_ arguments: some Sequence<String>) {
    for argument in arguments {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2, values[parts[0]] != nil else { refuse("what is `\(argument)`?") }
      values[parts[0]] = parts[1]
    }
  }

  func refuse(_ reason: String) -> Never { fail("\(reason)\n\(Self.usage)") }

  func text(_ key: String) -> String { values[key] ?? "" }

  /// The place of the value among `names`.
  func choice(_ key: String, _ names: [String]) -> Int {
    guard let index = names.firstIndex(of: text(key)) else { refuse("\(key)=\(text(key))") }
    return index
  }

  func number(_ key: String, _ range: ClosedRange<Int>) -> Int {
    guard let value = Int(text(key)), range.contains(value) else { refuse("\(key)=\(text(key))") }
    return value
  }

  /// The producer's core and the readers'.
  var cores: (producer: Int32, readers: Int32) {
    let numbers = text("cores").split(separator: ",").compactMap { Int32($0) }
    guard numbers.count == 2 else { refuse("cores=\(text("cores"))") }
    return (numbers[0], numbers[1])
  }
}
