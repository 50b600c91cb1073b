/// Where the keys belong that people put into the wrong table.
enum KeyHomes {
  private static let homes: [(table: String, keys: [String])] = [
    (
      "[host]",
      [
        "instance", "run_directory", "cores", "profile", "memory_limit", "lock_memory", "numa_node",
        "sandbox",
      ]
    ),
    ("[[channel]]", ["number", "protocol", "line", "arbitration", "retransmission", "snapshot"]),
    ("[[channel.line]]", ["group", "interface", "source", "receive_buffer", "receive_buffer_required"]),
    (
      "[channel.arbitration]",
      [
        "window_messages", "hold", "line_wait", "silence", "lag", "far_ahead_messages", "compare_lines",
        "history_messages", "unrecoverable",
      ]
    ),
    (
      "[channel.retransmission]",
      [
        "address", "timeout", "attempts", "backoff", "minimum_interval", "maximum_messages",
        "budget", "budget_period", "breaker_percent", "breaker_window", "breaker_open", "breaker_probes",
      ]
    ),
    ("[channel.snapshot]", ["username", "password", "end", "recover_quarantined", "recovery_interval"]),
    ("[[ring]]", ["kind", "policy", "cells", "writer", "readers", "huge_pages"]),
    (
      "[[stage]]",
      [
        "core", "idle", "restart", "restart_limit", "restart_window", "restart_backoff", "ladder", "on_alarm",
        "on_down",
      ]
    ),
    ("a stage's ladder", ["mark", "alarm", "fence", "start"]),
    ("[capacity]", ["instruments", "orders", "levels", "on_error"]),
    ("[[action]]", ["payload", "sender", "target", "fields"]),
    (
      "[publish]",
      [
        "clients_per_address", "client_queue", "heartbeat", "tls_certificate", "tls_key", "tokens", "socket",
        "origins",
      ]
    ),
    (
      "[tape]",
      [
        "directory", "segment", "retention", "retention_segments", "sync_interval", "sync_bytes", "stall",
        "on_trouble", "shadow", "snapshot_interval", "snapshots_kept",
      ]
    ),
    ("[overload]", ["latency_factor", "latency_least", "control_core", "busy_percent", "shed"]),
    (
      "the top of the file",
      [
        "schema", "host", "channel", "ring", "stage", "action", "capacity", "publish", "standby", "tape",
        "view", "overload",
      ]
    ),
  ]

  /// The one table that has this key; `nil` if there is none or (`name`, `port`, `objective`, `enabled`,
  /// `listen`, `clients`) several.
  static func table(of key: String) -> String? {
    homes.first { $0.keys.contains(key) }?.table
  }
}
