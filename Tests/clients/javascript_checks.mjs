// Checks of clients/javascript/bulkhead.js with a publisher that is made here: node --test Tests/clients/javascript_checks.mjs
// Nothing is waited for but what must come; the clock is the test's own.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, test } from "node:test";

const source = readFileSync(new URL("../../clients/javascript/bulkhead.js", import.meta.url));
const { BulkheadClient, KIND, TOKEN_LIMIT } = await import(`data:text/javascript;base64,${source.toString("base64")}`);

const clients = [];
// Also when a check fails, so that no timer holds the process.
afterEach(() => { for (const client of clients.splice(0)) client.close(); });

const check = (name, body) => test(name, { timeout: 10_000 }, body);

const [SELL, LAST, STALE, NOT_PRINTABLE] = [1, 2, 4, 16];
const SNAPSHOT_BEGIN = 2, SNAPSHOT_ORDERS = 3, SNAPSHOT_END = 4, HEARTBEAT = 5, EVENTS = 1;

/** One server that a client may connect to again and again; the tests play its part by hand. */
class Publisher {
  constructor() {
    this.epoch = 4;
    this.session = "S1";
    this.sockets = [];
    const publisher = this;
    this.WebSocket = class {
      constructor(url, protocols) {
        Object.assign(this, { url, protocols, readyState: 1, requests: [], chain: 0, sub: 0 });
        publisher.sockets.push(this);
        publisher.waiting?.();
      }

      send(text) { this.requests.push(JSON.parse(text)); }
      close() { this.readyState = 3; }
    };
    this.proofs = [];
    this.errors = [];
  }

  client(options = {}) {
    const client = new BulkheadClient("ws://publisher", {
      WebSocket: this.WebSocket, now: () => 1000, backoff: 1, backoffLimit: 1,
      onReconnect: (proof) => this.proofs.push(proof), onError: (text) => this.errors.push(text), ...options,
    });
    clients.push(client);
    return client;
  }

  get socket() { return this.sockets.at(-1); }

  /** Ends the connection and returns once the client has made another one. */
  async cut() {
    const next = new Promise((resolve) => { this.waiting = resolve; });
    this.socket.onclose({});
    await next;
  }

  /** The client ended the connection by itself: the one that it makes next. */
  async next(count) {
    if (this.sockets.length >= count) return;
    await new Promise((resolve) => { this.waiting = resolve; });
  }

  text(message) { this.socket.onmessage({ data: JSON.stringify(message) }); }

  hello(more = {}) {
    this.text({ type: "hello", proto: 1, server: "s", instance: "i", epoch: `${this.epoch}`, session: this.session,
      heartbeat_ms: 1000, ...more });
  }

  /** The newest request, which has to be a subscription; its answer. */
  subscribed(first, instruments = {}, at = -1) {
    const request = this.socket.requests.at(at);
    this.socket.sub += 1;
    this.text({ type: "subscribed", id: request.id, sub: this.socket.sub, first_seq: first, instruments, unresolved: [] });
    return this.socket.sub;
  }

  refuse(code, more = {}) {
    this.text({ type: "error", id: this.socket.requests.at(-1).id, code, msg: "as the test wants it", ...more });
  }

  frame(template, sequence, block = new Uint8Array(0), events = [], flags = 0) {
    const bytes = 32 + block.length + events.reduce((sum, event) => sum + event.length, 0);
    const view = new DataView(new ArrayBuffer(bytes));
    view.setUint16(0, 0x4b42, true);
    view.setUint16(2, block.length, true);
    view.setUint16(4, template, true);
    view.setUint16(6, 1, true);
    view.setUint32(8, this.epoch, true);
    view.setUint16(12, flags, true);
    view.setUint16(14, events.length, true);
    view.setBigUint64(16, BigInt(sequence), true);
    view.setBigUint64(24, BigInt(this.socket.chain), true);
    let offset = 32;
    for (const part of [block, ...events]) {
      new Uint8Array(view.buffer).set(part, offset);
      offset += part.length;
    }
    this.socket.chain = sequence;
    this.socket.onmessage({ data: view.buffer });
  }

  heartbeat(sequence) { this.frame(HEARTBEAT, sequence, words([1, 8], [0, 1], [0, 7])); }

  /** A whole snapshot of one instrument, live, with one bid. */
  snapshot(sub, instrument, sequence, symbol, price = 1_000_000) {
    const at = (kind, body, flags = 0) => entry(kind, sequence, instrument, body, flags);
    this.frame(SNAPSHOT_BEGIN, sequence, words([sub, 4], [instrument, 4], [1, 8], [sequence, 8]));
    this.frame(SNAPSHOT_ORDERS, sequence, undefined, [
      at(KIND.definition, [...new TextEncoder().encode(symbol.padEnd(8)), ...new Array(16).fill(0)]),
      at(KIND.trust, words([0, 1], [0, 1], [0, 6], [0, 8], [0, 8])),
      at(KIND.level, words([price, 8], [100, 8], [1, 4], [0, 4])),
    ]);
    this.frame(SNAPSHOT_END, sequence, words([sub, 4], [instrument, 4], [0, 8], [3, 8]));
    this.text({ type: "caught_up", sub, instruments: 1, orders: 0, seq: sequence, records: 3 });
  }
}

/** Little-endian integers, each [value, bytes]. */
function words(...parts) {
  const bytes = [];
  for (const [value, count] of parts) {
    for (let i = 0n, left = BigInt(value); i < BigInt(count); i += 1n, left >>= 8n) bytes.push(Number(left & 255n));
  }
  return new Uint8Array(bytes);
}

function entry(kind, sequence, instrument, body, flags = 0, index = 0) {
  const length = 32 + body.length;
  const bytes = new Uint8Array(8 + ((length + 7) & ~7));
  bytes.set(words([length, 2], [kind, 1], [0, 5], [sequence, 8], [0, 8], [0, 8], [instrument, 4], [index, 2], [1, 1], [flags, 1]));
  bytes.set(body, 40);
  return bytes;
}

const gap = (sequence, instrument, reason) =>
  entry(KIND.gap, sequence, instrument, words([sequence, 8], [sequence, 8], [reason, 8]), LAST | STALE);

/** A client of one symbol, caught up at message 5,000. */
function caughtUp(publisher, symbols = ["AAPL"], channels = undefined) {
  const client = publisher.client();
  const id = client.subscribe(symbols, channels === undefined ? {} : { channels });
  publisher.hello();
  const sub = publisher.subscribed(5001, { AAPL: 13 });
  publisher.snapshot(sub, 13, 5000, "AAPL");
  return { client, id };
}

check("a client that is caught up is trusted", () => {
  const publisher = new Publisher();
  const { client } = caughtUp(publisher);
  assert.deepEqual([client.trustworthy("AAPL").reason, client.book("AAPL").bids(1)[0].price, client.sequence], ["", 1_000_000, 0]);
  publisher.heartbeat(5000);
  assert.equal(client.sequence, 5000);
});

// What the second connection says of itself, by which the client must know that the stream is another one.
const others = {
  "the hello names another session": async (publisher) => {
    publisher.session = "S2";
    await publisher.cut();
    publisher.hello();
  },
  "the cursor is of another session": async (publisher) => {
    await publisher.cut();
    publisher.hello({ session: "" });
    publisher.refuse("wrong_session", { field: "start.session" });
    await publisher.next(3);
    publisher.session = "S2";
    publisher.hello();
  },
  "the cursor's epoch is still to come": async (publisher) => {
    publisher.epoch = 3;
    await publisher.cut();
    publisher.hello();
    publisher.refuse("future_cursor", { field: "start.epoch", newest: { epoch: "3", seq: 1000 } });
    await publisher.next(3);
    publisher.hello();
  },
  "its first number lies in front of the place": async (publisher) => {
    await publisher.cut();
    publisher.hello({ session: undefined });
    assert.equal(publisher.socket.requests.at(-1).start, "live");
    publisher.subscribed(1000);
    await publisher.next(3);
    publisher.hello({ session: undefined });
  },
};
for (const [name, happens] of Object.entries(others)) {
  check(`another stream proves nothing: ${name}`, async () => {
    const publisher = new Publisher();
    const { client } = caughtUp(publisher);
    publisher.heartbeat(5000);
    await happens(publisher);
    assert.equal(publisher.proofs.length, 1);
    const { nothingMissed, missed, how, after } = publisher.proofs[0];
    assert.deepEqual({ nothingMissed, missed, how, after }, { nothingMissed: false, missed: null, how: "another stream", after: 5000 });
    assert.equal(client.book("AAPL"), undefined);
    assert.equal(publisher.socket.requests.at(-1).start, "snapshot");
    publisher.snapshot(publisher.subscribed(1000, { AAPL: 7 }), 7, 999, "AAPL", 42);
    assert.equal(client.book("AAPL").bids(1)[0].price, 42);
    assert.ok(client.trustworthy("AAPL").ok, client.trustworthy("AAPL").reason);
  });
}

check("a place behind the one where the stream was taken up misses what is between", async () => {
  const publisher = new Publisher();
  const { client } = caughtUp(publisher);
  publisher.heartbeat(5000);
  publisher.epoch = 5;
  await publisher.cut();
  publisher.hello();
  assert.deepEqual(publisher.socket.requests.at(-1).start, { epoch: "4", seq: 5000, session: "S1" });
  publisher.refuse("outdated_cursor", { field: "start.epoch", oldest: { epoch: "5", seq: 4990 } });
  publisher.subscribed(5001);
  const { nothingMissed, missed } = publisher.proofs[0];
  assert.deepEqual({ nothingMissed, missed }, { nothingMissed: false, missed: { first: 4991, last: 5000 } });
});

// The rings are lost and the tape ends in front of the client's place: the stream comes by it a second time.
for (const [first, missed] of [[4995, { first: 4991, last: 4994 }], [4991, null]]) {
  check(`a stream that was taken up and has yet to come to the place is no other stream: first number ${first}`, async () => {
    const publisher = new Publisher();
    const client = publisher.client();
    client.subscribe(["AAPL", "MSFT"]);
    publisher.hello();
    const before = publisher.subscribed(5001, { AAPL: 13, MSFT: 14 });
    publisher.snapshot(before, 13, 5000, "AAPL");
    publisher.snapshot(before, 14, 5000, "MSFT");
    publisher.heartbeat(5000);
    publisher.epoch = 5;
    await publisher.cut();
    publisher.hello();
    publisher.refuse("outdated_cursor", { field: "start.epoch", oldest: { epoch: "5", seq: 4990 } });
    publisher.subscribed(first);
    const told = ({ nothingMissed, missed, how, after }) => ({ nothingMissed, missed, how, after });
    assert.deepEqual(publisher.proofs.map(told), [{ nothingMissed: false, missed, how: "taken up", after: 5000 }]);
    assert.equal(publisher.proofs[0].takenUp, 4991);
    assert.equal(publisher.socket.requests.at(-1).start, "snapshot");
    assert.equal(client.trustworthy("AAPL").reason, "catching up");
    // It ends before its snapshots come: only what has been missed since then is told now.
    await publisher.cut();
    publisher.hello();
    publisher.subscribed(first + 2);
    assert.deepEqual(publisher.proofs.slice(1).map(told), [
      { nothingMissed: false, missed: { first, last: first + 1 }, how: "first number", after: first - 1 },
    ]);
    // MSFT was defined in what the set has lost: its book is of a past that the stream no longer has.
    publisher.snapshot(publisher.subscribed(first + 2, { AAPL: 13 }), 13, first + 1, "AAPL", 42);
    publisher.heartbeat(first + 3);
    assert.deepEqual([client.book("AAPL").bids(1)[0].price, client.sequence], [42, first + 3]);
    assert.deepEqual(
      [client.trustworthy("AAPL").reason, client.trustworthy("MSFT").reason], ["", "the snapshot is not complete"]);
  });
}

check("a hole is told as before, and nothing where nothing was", async () => {
  for (const [first, nothingMissed, missed] of [[5001, true, null], [5005, false, { first: 5001, last: 5004 }]]) {
    const publisher = new Publisher();
    const { client } = caughtUp(publisher);
    publisher.heartbeat(5000);
    await publisher.cut();
    publisher.hello();
    publisher.refuse("outdated_cursor", { field: "start.seq", oldest: { epoch: "4", seq: 5002 } });
    publisher.subscribed(first);
    assert.deepEqual([publisher.proofs[0].nothingMissed, publisher.proofs[0].missed], [nothingMissed, missed]);
  }
});

check("a poisoned message of one instrument stales that one alone, until its snapshot", () => {
  const publisher = new Publisher();
  const client = publisher.client();
  client.subscribe(["AAPL", "MSFT"]);
  publisher.hello();
  const sub = publisher.subscribed(5001, { AAPL: 13, MSFT: 14 });
  publisher.snapshot(sub, 13, 5000, "AAPL");
  publisher.snapshot(sub, 14, 5000, "MSFT");
  publisher.frame(EVENTS, 5001, undefined, [gap(5001, 13, 10)]);
  assert.equal(client.trustworthy("AAPL").reason, "stale: gap");
  assert.ok(client.trustworthy("MSFT").ok, client.trustworthy("MSFT").reason);
  publisher.snapshot(sub, 13, 5001, "AAPL");
  assert.ok(client.trustworthy("AAPL").ok, client.trustworthy("AAPL").reason);
});

check("a gap of the channel stales every book until its next snapshot, or until the channel is live", () => {
  const publisher = new Publisher();
  const client = publisher.client();
  client.subscribe(["AAPL", "MSFT"]);
  publisher.hello();
  const sub = publisher.subscribed(5001, { AAPL: 13, MSFT: 14 });
  publisher.snapshot(sub, 13, 5000, "AAPL");
  publisher.snapshot(sub, 14, 5000, "MSFT");
  publisher.frame(EVENTS, 5001, undefined, [gap(5001, 0, 2)]);
  const reasons = () => [client.trustworthy("AAPL").reason, client.trustworthy("MSFT").reason];
  assert.deepEqual(reasons(), ["part of the stream is lost", "part of the stream is lost"]);
  publisher.snapshot(sub, 13, 5001, "AAPL");
  assert.deepEqual(reasons(), ["", "part of the stream is lost"]);
  const live = words([0, 1], [0, 1], [0, 6], [0, 8], [0, 8]);
  publisher.frame(EVENTS, 5002, undefined, [entry(KIND.trust, 5002, 0, live, LAST)]);
  assert.deepEqual(reasons(), ["", ""]);
});

check("unsubscribing leaves the books that another subscription wants", () => {
  const publisher = new Publisher();
  const { client, id } = caughtUp(publisher, ["AAPL"]);
  const all = client.subscribe("*", { channels: ["levels", "defs"] });
  publisher.snapshot(publisher.subscribed(5001), 13, 5000, "AAPL");
  client.unsubscribe(id);
  assert.equal(client.book("AAPL").bids(1)[0].price, 1_000_000);
  assert.ok(client.trustworthy("AAPL").ok, client.trustworthy("AAPL").reason);
  // The last that wants its levels: the other one is of trades.
  client.subscribe(["AAPL"], { channels: ["trades"] });
  publisher.subscribed(5001, { AAPL: 13 });
  client.unsubscribe(all);
  assert.deepEqual(client.book("AAPL").bids(1), []);
  assert.ok(!client.trustworthy("AAPL").ok);
});

check("what nobody subscribes to is not trusted", () => {
  const publisher = new Publisher();
  const { client } = caughtUp(publisher);
  const other = client.subscribe(["MSFT"]);
  publisher.snapshot(publisher.subscribed(5001, { MSFT: 14 }), 14, 5000, "MSFT");
  assert.ok(client.trustworthy("MSFT").ok);
  client.unsubscribe(other);
  assert.deepEqual([client.trustworthy("MSFT").reason, client.book("MSFT")], ["not subscribed", undefined]);
});

check("the last trade is a printable one", () => {
  const publisher = new Publisher();
  const { client } = caughtUp(publisher, ["AAPL"], ["orders", "trades", "defs"]);
  let sequence = 5000;
  const event = (kind, body, flags = 0) => {
    sequence += 1;
    publisher.frame(EVENTS, sequence, undefined, [entry(kind, sequence, 13, body, flags | LAST)]);
  };
  const executed = (price) => words([1, 8], [price, 8], [10, 8], [90, 8], [77, 8]);
  const traded = (price, printable) => words([price, 8], [10, 8], [78, 8], [0x50, 1], [printable, 1], [0, 6]);
  event(KIND.orderAdd, words([1, 8], [500, 8], [100, 8]), SELL);
  event(KIND.orderExecute, executed(500));
  assert.equal(client.book("AAPL").lastTrade.price, 500);
  event(KIND.orderExecute, executed(501), NOT_PRINTABLE);
  event(KIND.trade, traded(502, 0), NOT_PRINTABLE);
  event(KIND.trade, traded(503, 0));
  assert.deepEqual([client.book("AAPL").lastTrade.price, client.book("AAPL").lastTrade.sequence], [500, 5002]);
  event(KIND.trade, traded(504, 1));
  assert.equal(client.book("AAPL").lastTrade.price, 504);
});

check("a token is a subprotocol behind the stream's, in base64url", async () => {
  const publisher = new Publisher();
  const offered = (token) => {
    publisher.client(token === undefined ? {} : { token }).subscribe("*");
    return publisher.socket.protocols;
  };
  assert.deepEqual(offered(undefined), ["bulkhead.v1.bin"]);
  assert.deepEqual(offered("the-token-of-the-tests"), ["bulkhead.v1.bin", "bulkhead.token.dGhlLXRva2VuLW9mLXRoZS10ZXN0cw"]);
  assert.deepEqual(offered("???>>>a"), ["bulkhead.v1.bin", "bulkhead.token.Pz8_Pj4-YQ"]);
  // The publisher's library reads 126 characters of that header.
  assert.ok(offered("x".repeat(TOKEN_LIMIT)).join(", ").length <= 126);
  for (const wrong of ["two words", "line\r\n", "\u2603", "x".repeat(TOKEN_LIMIT + 1)]) {
    assert.throws(() => publisher.client({ token: wrong }), TypeError);
  }
});

check("attempts that nobody answers are counted until one is", async () => {
  const publisher = new Publisher();
  const client = publisher.client({ token: "the-token-of-the-tests" });
  client.subscribe("*");
  assert.equal(client.failures, 0);
  await publisher.cut();
  await publisher.cut();
  assert.equal(client.failures, 2);
  publisher.hello();
  assert.equal(client.failures, 0);
  assert.equal(publisher.socket.protocols.length, 2);
  publisher.socket.onclose({ code: 4001 });
  assert.deepEqual(publisher.errors, ["the token is not in force any more"]);
});
