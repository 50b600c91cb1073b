/// Names of the FIX 4.4 fields that a session and a mass cancel have.
public enum FIXFieldName {
  private static let names: [String: String] = [
    "1": "Account", "7": "BeginSeqNo", "8": "BeginString", "9": "BodyLength", "10": "CheckSum",
    "11": "ClOrdID",
    "16": "EndSeqNo", "34": "MsgSeqNum", "35": "MsgType", "43": "PossDupFlag", "48": "SecurityID",
    "49": "SenderCompID", "50": "SenderSubID", "52": "SendingTime", "54": "Side", "55": "Symbol",
    "56": "TargetCompID", "57": "TargetSubID", "58": "Text", "60": "TransactTime", "98": "EncryptMethod",
    "108": "HeartBtInt", "112": "TestReqID", "115": "OnBehalfOfCompID", "128": "DeliverToCompID",
    "141": "ResetSeqNumFlag", "336": "TradingSessionID", "448": "PartyID", "530": "MassCancelRequestType",
    "531": "MassCancelResponse", "553": "Username", "554": "Password",
  ]

  /// The name of a tag, as text; empty for one that is not known here.
  public static func of(_ tag: String) -> String { names[tag] ?? "" }
}
