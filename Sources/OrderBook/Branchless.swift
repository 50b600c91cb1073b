/// 1 when the condition holds, else 0, as arithmetic: where a condition is a coin toss, a branch costs more
/// than everything that it saves, and the compiler makes branches of `?:` when it pleases.
@inlinable @inline(__always) @_noLocks
func oneIf(_ condition: Bool) -> Int { Int(unsafeBitCast(condition, to: UInt8.self)) }

/// `yes` when the condition holds, else `no`, without a branch.
@inlinable @inline(__always) @_noLocks
func pick(_ condition: Bool, _ yes: UInt32, _ no: UInt32) -> UInt32 {
  no ^ ((no ^ yes) & (0 &- UInt32(unsafeBitCast(condition, to: UInt8.self))))
}
