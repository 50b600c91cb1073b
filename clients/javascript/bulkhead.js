/**
 * Bulkhead's published stream, protocol 1 (docs/PUBLISH_PROTOCOL.md), in one file without dependencies: an ES module for
 * browsers, and for any runtime with a WebSocket.
 *
 *     import { BulkheadClient } from "./bulkhead.js";
 *     const client = new BulkheadClient("ws://127.0.0.1:9443", { onReconnect: (proof) => console.log(proof) });
 *     client.subscribe(["AAPL"], { channels: ["levels", "trades", "status", "defs"] });
 *     client.book("AAPL").bids(10);          // [{price, size, orders}], best first
 *     client.trustworthy("AAPL");            // {ok, reason, age}
 *
 * A connection that is lost is made again. The client then goes on behind the last event that it has, by cursor, where the
 * server can do that; the proof that nothing was missed is the unbroken chain of the replayed frames and their count. Where
 * it cannot, the exact range that was missed is told, and the books start from new snapshots.
 */

export const CHANNELS = ["orders", "levels", "bbo", "trades", "status", "defs"];

export const KIND = Object.freeze({
  definition: 1, orderAdd: 2, orderReduce: 3, orderDelete: 4, orderExecute: 5, level: 6, bestPrices: 7, trade: 8,
  tradeBroken: 9, tradingState: 10, notice: 11, trust: 12, gap: 13, endOfSession: 14,
});

const TEMPLATE = Object.freeze({
  events: 1, snapshotBegin: 2, snapshotOrders: 3, snapshotEnd: 4, heartbeat: 5, status: 6, replay: 7,
});

const UNAUTHORIZED = 4001;
const SELL = 1;
const STALE = 4;
const NOT_PRINTABLE = 16;
const BOOK_CHANNELS = ["orders", "levels"];
const MESSAGE_CONTINUES = 1;
const INPUT = ["live", "stale", "catching up", "halted"];
const REASONS = [
  "", "gap", "unknown reference", "duplicate reference", "quantity exceeded", "wrong instrument", "capacity",
  "malformed message",
];
/** Of a gap that an image has closed: nothing is missing any more. */
const REPLACED_BY_SNAPSHOT = 9;

/** What breaks the protocol; the connection is given up and made again. */
export class ProtocolError extends Error {}

/** One event, its body decoded by kind. Numbers are integers; references and match numbers are BigInt. */
export function decodeEvent(view, offset) {
  const length = view.getUint16(offset, true);
  const kind = view.getUint8(offset + 2);
  const at = offset + 8;
  const body = at + 32;
  const event = {
    kind,
    sequence: number(view, at),
    venueTime: number(view, at + 8),
    receiveTime: number(view, at + 16),
    instrument: view.getUint32(at + 24, true),
    index: view.getUint16(at + 28, true),
    channel: view.getUint8(at + 30),
    flags: view.getUint8(at + 31),
    bytes: 8 + ((length + 7) & ~7),
  };
  event.sell = (event.flags & SELL) !== 0;
  event.stale = (event.flags & STALE) !== 0;
  // A body may have grown at its end; one that is shorter than its kind is none.
  const need = BODY_BYTES[kind];
  if (need === undefined) return event;
  if (length < 32 + need) throw new ProtocolError(`event of kind ${kind} has ${length} bytes`);
  BODY[kind](view, body, event);
  return event;
}

const BODY_BYTES = { 1: 24, 2: 24, 3: 24, 4: 24, 5: 40, 6: 24, 7: 32, 8: 32, 9: 8, 10: 8, 11: 8, 12: 24, 13: 24, 14: 16 };

const BODY = {
  1: (v, o, e) => { e.symbol = text(v, o, 8); e.roundLot = v.getUint32(o + 8, true); },
  2: (v, o, e) => { e.reference = v.getBigUint64(o, true); e.price = signed(v, o + 8); e.quantity = number(v, o + 16); },
  3: (v, o, e) => { e.reference = v.getBigUint64(o, true); e.remaining = number(v, o + 8); e.reduced = number(v, o + 16); },
  4: (v, o, e) => { e.reference = v.getBigUint64(o, true); e.price = signed(v, o + 8); e.quantity = number(v, o + 16); },
  5: (v, o, e) => {
    e.reference = v.getBigUint64(o, true);
    e.price = signed(v, o + 8);
    e.quantity = number(v, o + 16);
    e.remaining = number(v, o + 24);
    e.match = v.getBigUint64(o + 32, true);
  },
  6: (v, o, e) => { e.price = signed(v, o); e.size = number(v, o + 8); e.orders = v.getUint32(o + 16, true); },
  7: (v, o, e) => {
    e.bid = signed(v, o);
    e.bidSize = number(v, o + 8);
    e.ask = signed(v, o + 16);
    e.askSize = number(v, o + 24);
  },
  8: (v, o, e) => {
    e.price = signed(v, o);
    e.quantity = number(v, o + 8);
    e.match = v.getBigUint64(o + 16, true);
    e.type = v.getUint8(o + 24);
    e.printable = v.getUint8(o + 25) !== 0;
  },
  9: (v, o, e) => { e.match = v.getBigUint64(o, true); },
  10: (v, o, e) => { e.source = text(v, o, 1); e.state = text(v, o + 1, 1); e.reason = text(v, o + 4, 4); },
  11: (v, o, e) => { e.type = text(v, o, 1); },
  12: (v, o, e) => {
    e.trust = v.getUint8(o);
    e.reason = v.getUint8(o + 1);
    e.scope = v.getUint8(o + 2);
    e.first = number(v, o + 8);
    e.last = number(v, o + 16);
  },
  13: (v, o, e) => { e.first = number(v, o); e.last = number(v, o + 8); e.reason = number(v, o + 16); },
  14: (v, o, e) => { e.applied = number(v, o); e.lost = number(v, o + 8); },
};

/** Exact up to 2^53, which no sequence number, size or time of a day comes near. */
function number(view, offset) { return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 4294967296; }
function signed(view, offset) { return view.getUint32(offset, true) + view.getInt32(offset + 4, true) * 4294967296; }

function text(view, offset, bytes) {
  let result = "";
  for (let i = 0; i < bytes; i += 1) {
    const byte = view.getUint8(offset + i);
    if (byte !== 0) result += String.fromCharCode(byte);
  }
  return result.trimEnd();
}

/** One instrument's book as its events tell it. Prices are in the venue's units (ITCH: 1/10000). */
export class Book {
  constructor(instrument) {
    this.instrument = instrument;
    this.symbol = "";
    this.changes = 0;
    this.changedAt = 0;
    this.clear();
    this.lastTrade = null;
    this.tradingState = "";
    this.stale = false;
    this.staleReason = "";
    this.quarantined = false;
    this.sequence = 0;
    this.complete = false;
    /** When its last snapshot was taken, in the client's own count; see `#channelStale`. */
    this.snapshotAt = 0;
  }

  clear() {
    this.orders = new Map();
    this.sides = [new Map(), new Map()];
  }

  /** The best levels of a side, best first: price, size, number of orders. */
  bids(depth = 10) { return this.#levels(0, depth, (a, b) => b - a); }
  asks(depth = 10) { return this.#levels(1, depth, (a, b) => a - b); }

  #levels(side, depth, order) {
    const prices = [...this.sides[side].keys()].sort(order).slice(0, depth);
    return prices.map((price) => ({ price, ...this.sides[side].get(price) }));
  }

  #change(side, price, size, orders) {
    const levels = this.sides[side];
    const level = levels.get(price) ?? { size: 0, orders: 0 };
    level.size += size;
    level.orders += orders;
    if (level.orders <= 0) levels.delete(price); else levels.set(price, level);
  }

  #remove(reference, quantity, gone) {
    const order = this.orders.get(reference);
    if (order === undefined) return;
    order.quantity -= quantity;
    const ends = gone || order.quantity <= 0;
    this.#change(order.side, order.price, gone ? -(order.quantity + quantity) : -quantity, ends ? -1 : 0);
    if (ends) this.orders.delete(reference);
  }

  apply(event, now) {
    this.sequence = event.sequence;
    this.changes += 1;
    this.changedAt = now;
    const side = event.sell ? 1 : 0;
    switch (event.kind) {
      case KIND.definition: this.symbol = event.symbol; break;
      case KIND.orderAdd:
        this.orders.set(event.reference, { side, price: event.price, quantity: event.quantity });
        this.#change(side, event.price, event.quantity, 1);
        break;
      case KIND.orderReduce: this.#remove(event.reference, event.reduced, event.remaining === 0); break;
      case KIND.orderDelete: this.#remove(event.reference, event.quantity, true); break;
      case KIND.orderExecute:
        this.#remove(event.reference, event.quantity, event.remaining === 0);
        this.#trade(event);
        break;
      case KIND.level:
        if (event.size === 0) this.sides[side].delete(event.price);
        else this.sides[side].set(event.price, { size: event.size, orders: event.orders });
        break;
      case KIND.trade: this.#trade(event); break;
      case KIND.tradingState: this.tradingState = event.state; break;
      case KIND.trust:
        this.stale = event.trust !== 0;
        this.staleReason = this.stale ? REASONS[event.reason] ?? `reason ${event.reason}` : "";
        this.quarantined = event.scope === 1 && this.stale;
        if (this.quarantined) this.clear();
        break;
      case KIND.gap:
        // One that names an instrument is of that instrument alone.
        if (event.reason === REPLACED_BY_SNAPSHOT) break;
        this.stale = true;
        this.staleReason = REASONS[1];
        break;
      default: break;
    }
  }

  /** What the venue does not print is no trade of the tape's: it may be told a second time, at another price. */
  #trade(event) {
    if ((event.flags & NOT_PRINTABLE) !== 0 || event.printable === false) return;
    this.lastTrade = { price: event.price, quantity: event.quantity, sequence: event.sequence };
  }
}

const STREAM = "bulkhead.v1.bin";
const TOKEN_PREFIX = "bulkhead.token.";
/** The most that the publisher reads of the offered subprotocols leaves so many characters. */
export const TOKEN_LIMIT = 70;

/** What is offered to the publisher. A page can set no header, so the token is a subprotocol; it is never chosen. */
function offer(token) {
  if (token === "") return [STREAM];
  if (!/^[!-~]+$/.test(token) || token.length > TOKEN_LIMIT) {
    throw new TypeError(`a token is of 1 to ${TOKEN_LIMIT} visible ASCII characters`);
  }
  const text = btoa(token).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return [STREAM, TOKEN_PREFIX + text];
}

const makesBook = (channel) => BOOK_CHANNELS.includes(channel);
/** Whether what the first one brings changes books that the second one makes: an execution is also a trade. */
const feeds = (first, second) => second.channels.some(makesBook)
  && (first.channels.some(makesBook) || (second.channels.includes("orders") && first.channels.includes("trades")));
/** Two subscriptions that change books of the same symbols. */
const clash = (a, b) => a !== b && (feeds(a, b) || feeds(b, a))
  && (a.symbols === "*" || b.symbols === "*" || a.symbols.some((symbol) => b.symbols.includes(symbol)));
const covers = (subscription, symbol) => subscription.symbols === "*" || subscription.symbols.includes(symbol);

const DEFAULTS = {
  /** Milliseconds before the first new attempt; each further one waits twice as long, up to the second number. */
  backoff: 200,
  backoffLimit: 5000,
  /** What the publisher asks for, if it does. Over `ws:` whoever is in between can read it. */
  token: "",
  /** Milliseconds for the handshake and the hello. */
  timeout: 5000,
  WebSocket: globalThis.WebSocket,
  now: () => Date.now(),
  onEvent: () => {},
  onState: () => {},
  onReconnect: () => {},
  onError: () => {},
};

/** See the top of this file. Everything runs in the callbacks of one WebSocket at a time. */
export class BulkheadClient {
  #options;
  #offer;
  #socket = null;
  #subscriptions = [];
  #nextId = 1;
  #timer = null;
  #watch = null;
  #attempts = 0;
  #closed = false;
  #hello = null;
  #chain = null;
  #input = "unknown";
  #lastFrame = 0;
  #books = new Map();
  #symbols = new Map();
  /** When the channel's own mark came, counted with snapshots: a book whose snapshot is newer is told by that. 0: there is none. */
  #channelStale = 0;
  #tick = 0;
  #lostAt = 0;
  #ended = false;

  /**
   * @param {string} url `ws://host:port` or `wss://host:port`; the path is added.
   * @param {object} options onEvent(event, book), onState(state), onReconnect(proof), onError(message); token, backoff, timeout.
   */
  constructor(url, options = {}) {
    this.url = url.replace(/\/+$/, "").replace(/\/v1\/stream$/, "") + "/v1/stream";
    this.#options = { ...DEFAULTS, ...options };
    this.#offer = offer(this.#options.token);
    this.connection = "new";
    /** Every reconnection so far. */
    this.proofs = [];
    this.statistics = { frames: 0, events: 0, connections: 0, replayed: 0 };
  }

  /**
   * @param {string[]|"*"} symbols
   * @returns {number} for ``unsubscribe``.
   */
  subscribe(symbols, { channels = ["levels", "trades", "status", "defs"] } = {}) {
    // place: behind what it has; whole: its snapshot is complete; replay: what is being made good.
    const subscription = {
      id: this.#nextId, symbols, channels, sub: null, place: null, whole: false, replay: null, proves: false,
    };
    this.#nextId += 1;
    this.#subscriptions.push(subscription);
    if (this.connection === "new") this.#connect();
    else if (this.#hello !== null) this.#request(subscription, "snapshot");
    return subscription.id;
  }

  unsubscribe(id) {
    const subscription = this.#subscriptions.find((each) => each.id === id);
    if (subscription === undefined) return;
    this.#subscriptions = this.#subscriptions.filter((each) => each !== subscription);
    if (subscription.sub !== null) this.#send({ op: "unsubscribe", id: this.#nextId++, sub: subscription.sub });
    for (const symbol of subscription.symbols === "*" ? [...this.#symbols.keys()] : subscription.symbols) {
      const others = this.#subscriptions.filter((each) => covers(each, symbol));
      const book = this.book(symbol);
      if (others.length === 0) {
        if (book !== undefined) this.#books.delete(book.instrument);
        this.#symbols.delete(symbol);
      } else if (book !== undefined && subscription.channels.some(makesBook) && !others.some((each) => each.channels.some(makesBook))) {
        // Nobody is told of its levels any more.
        book.clear();
        book.complete = false;
      }
    }
  }

  /** The book of a symbol; undefined until the server has said something of it. */
  book(symbol) { return this.#books.get(this.#symbols.get(symbol)); }
  books() { return this.#books.values(); }
  get hello() { return this.#hello; }
  get input() { return this.#input; }
  /** The venue's sequence number up to which everything that was asked for has come. */
  get sequence() {
    const places = this.#subscriptions.map((each) => each.place?.sequence ?? 0);
    return places.length === 0 ? 0 : Math.min(...places);
  }
  get ended() { return this.#ended; }
  /** Attempts in a row that ended without a hello. A browser does not tell why: nobody there, no trust in the certificate, no token. */
  get failures() { return this.#hello === null ? this.#attempts : 0; }

  /**
   * Whether a symbol's book may be believed now, and why not.
   * @returns {{ok: boolean, reason: string, age: number}} age: milliseconds since the last frame of any kind.
   */
  trustworthy(symbol) {
    const age = this.#lastFrame === 0 ? Infinity : this.#options.now() - this.#lastFrame;
    const no = (reason) => ({ ok: false, reason, age });
    if (this.connection !== "open") return no("not connected");
    if (this.#hello !== null && age > 2.5 * this.#hello.heartbeat_ms) return no("the publisher is silent");
    if (this.#input !== "live") return no(`the publisher's input is ${this.#input}`);
    const mine = this.#subscriptions.filter((each) => covers(each, symbol));
    if (mine.length === 0) return no("not subscribed");
    if (!mine.some((each) => each.whole && each.replay === null)) return no("catching up");
    const book = this.book(symbol);
    if (book === undefined) return no("no such book yet");
    if (!book.complete) return no("the snapshot is not complete");
    if (book.quarantined) return no("in quarantine");
    if (this.#channelStale > book.snapshotAt) return no("part of the stream is lost");
    if (book.stale) return no(`stale: ${book.staleReason}`);
    return { ok: true, reason: "", age };
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    this.#socket?.close(1000);
    this.#setState("closed");
  }

  // Connections

  #setState(state) {
    if (this.connection === state) return;
    this.connection = state;
    this.#options.onState(state);
  }

  #connect() {
    this.#setState("connecting");
    const socket = new this.#options.WebSocket(this.url, this.#offer);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const opened = this.#options.now();
    const mine = (body) => (argument) => {
      if (this.#socket !== socket) return;
      try {
        body(argument);
      } catch (error) {
        this.#options.onError(`${error.message}`);
        this.#lost();
      }
    };
    socket.onmessage = mine((message) => {
      this.#lastFrame = this.#options.now();
      if (typeof message.data === "string") this.#control(JSON.parse(message.data));
      else this.#frame(new DataView(message.data));
    });
    socket.onclose = mine((event) => {
      if (event.code === UNAUTHORIZED) this.#options.onError("the token is not in force any more");
      this.#lost();
    });
    socket.onerror = () => {};
    clearInterval(this.#watch);
    this.#watch = setInterval(mine(() => {
      const now = this.#options.now();
      const limit = this.#hello === null ? this.#options.timeout : 2.5 * this.#hello.heartbeat_ms;
      if (now - Math.max(opened, this.#lastFrame) > limit) throw new ProtocolError("the publisher is silent");
    }), 250);
  }

  #lost() {
    const socket = this.#socket;
    this.#socket = null;
    clearInterval(this.#watch);
    if (socket !== null && socket.readyState < 2) socket.close();
    // What is known up to here stays; the places in the stream are where to go on.
    if (this.#hello !== null) this.#lostAt = this.#options.now();
    this.#hello = null;
    this.#chain = null;
    this.#input = "unknown";
    for (const each of this.#subscriptions) each.sub = null;
    if (this.#closed) return;
    this.#setState("lost");
    const delay = Math.min(this.#options.backoff * 2 ** Math.min(this.#attempts, 10), this.#options.backoffLimit);
    this.#attempts += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), delay * (0.75 + Math.random() / 2));
  }

  #send(request) { this.#socket?.send(JSON.stringify(request)); }

  #request(subscription, start) {
    subscription.start = start;
    const { id, symbols, channels } = subscription;
    this.#send({ op: "subscribe", id, symbols, channels, start });
  }

  /** The server's epoch, and what a reconnection starts with. */
  #begin(hello) {
    this.#hello = hello;
    this.#input = "live";
    this.#attempts = 0;
    this.statistics.connections += 1;
    const isAnother = ({ place }) => place?.session && hello.session && place.session !== hello.session;
    if (this.#subscriptions.some(isAnother)) this.#startAnew();
    for (const subscription of this.#subscriptions) {
      const { place } = subscription;
      subscription.replay = null;
      subscription.takenUp = null;
      subscription.proves = place !== null;
      if (place === null) {
        this.#request(subscription, "snapshot");
      } else if (hello.session !== undefined && subscription.whole && !this.#subscriptions.some((other) => clash(other, subscription))) {
        // A server that names its session takes cursors. Replays of two subscriptions that change the same books come one after the
        // other, with the same events: those begin with snapshots.
        const cursor = { epoch: place.epoch, seq: place.sequence };
        if (place.index !== null) cursor.index = place.index;
        if (place.session) cursor.session = place.session;
        subscription.replay = { after: place.sequence, records: 0, cursor, tries: 0 };
        this.#request(subscription, cursor);
      } else {
        this.#restart(subscription);
      }
    }
    this.#setState("open");
  }

  /** It is another stream: the numbers of before mean nothing in it, nor do the books. */
  #startAnew() {
    const before = this.#subscriptions.filter((each) => each.place !== null);
    const places = before.map((each) => each.place.sequence);
    for (const each of this.#subscriptions) Object.assign(each, { place: null, whole: false, replay: null, proves: false });
    this.#books.clear();
    this.#symbols.clear();
    this.#channelStale = 0;
    this.#ended = false;
    before.forEach((each, at) => this.#prove(each, places[at], { nothingMissed: false, missed: null, how: "another stream" }));
  }

  /** From its first number on every event comes; what lies between is what was missed. */
  #restart(subscription) {
    subscription.replay = null;
    subscription.whole = false;
    this.#request(subscription, "live");
  }

  /** A publisher that has just begun may still be reading its way up. */
  #retry(request) {
    const socket = this.#socket;
    setTimeout(() => { if (this.#socket === socket && this.#hello !== null) request(); }, 250);
  }

  #prove(subscription, after, proof) {
    subscription.proves = false;
    const entry = {
      epoch: this.#hello.epoch, after, subscription: subscription.id,
      milliseconds: this.#options.now() - this.#lostAt, ...proof,
    };
    this.proofs.push(entry);
    if (this.proofs.length > 100) this.proofs.shift();
    this.#options.onReconnect(entry);
  }

  #control(message) {
    if (message.type === "hello") {
      this.#begin(message);
      return;
    }
    const subscription = this.#subscriptions.find(
      (each) => each.id === message.id || (message.sub !== undefined && each.sub === message.sub));
    switch (message.type) {
      case "subscribed": this.#subscribed(message, subscription); break;
      case "resolved": this.#name(message.symbol, message.instrument); break;
      case "caught_up":
        if (subscription === undefined) break;
        if (subscription.replay !== null && message.from !== undefined) this.#replayed(message, subscription);
        subscription.whole = true;
        break;
      case "error":
        this.#options.onError(`${message.code}: ${message.msg}`);
        if (subscription === undefined) break;
        if (subscription.replay !== null) {
          const { replay } = subscription;
          const isOfEpoch = message.field === "start.epoch";
          if (message.code === "wrong_session" || (isOfEpoch && message.code === "future_cursor")) {
            this.#startAnew();
            this.#lost();
          } else if (isOfEpoch && message.code === "outdated_cursor") {
            // An earlier life of the stream: what was received behind the place where it was taken up does not count.
            subscription.takenUp = message.oldest.seq + 1;
            for (const book of this.#books.values()) if (covers(subscription, book.symbol)) book.complete = false;
            this.#restart(subscription);
          } else if (message.sub === undefined && ["replay_unavailable", "future_cursor"].includes(message.code)
            && replay.records === 0 && replay.tries < 40) {
            // Of a subscription that had begun, the publisher has been patient enough.
            replay.tries += 1;
            this.#retry(() => this.#request(subscription, replay.cursor));
          } else {
            // The cursor is not to be had: the hole is told once it is known how far it goes.
            this.#restart(subscription);
          }
        } else if (message.code === "snapshot_unavailable") {
          this.#retry(() => this.#request(subscription, "snapshot"));
        }
        break;
      default: break;
    }
  }

  #name(symbol, instrument) {
    this.#symbols.set(symbol, instrument);
    const book = this.#bookOf(instrument);
    book.symbol = symbol;
  }

  #bookOf(instrument) {
    let book = this.#books.get(instrument);
    if (book === undefined) {
      book = new Book(instrument);
      this.#books.set(instrument, book);
    }
    return book;
  }

  #subscribed(message, subscription) {
    for (const [symbol, instrument] of Object.entries(message.instruments ?? {})) this.#name(symbol, instrument);
    if (subscription === undefined) {
      // Nobody wants it any more: it was given up before this answer.
      this.#send({ op: "unsubscribe", id: this.#nextId++, sub: message.sub });
      return;
    }
    subscription.sub = message.sub;
    if (subscription.start !== "live") return;
    // Live events come from here on; the books start again behind them.
    if (subscription.proves) {
      const { sequence, index } = subscription.place;
      const { takenUp } = subscription;
      const last = message.first_seq - 1;
      // A stream that was taken up again may have yet to come back to the place: that is no other stream.
      if (takenUp === null && last < (index === null ? sequence : sequence - 1)) {
        this.#startAnew();
        this.#lost();
        return;
      }
      const first = Math.min(index === null ? sequence + 1 : sequence, takenUp ?? Infinity);
      const missed = last >= first ? { first, last } : null;
      const how = takenUp === null ? { how: "first number" } : { how: "taken up", takenUp };
      // Another life of the stream may have lost what lies in front of its own first number.
      const isSameLife = subscription.place.epoch === this.#hello.epoch;
      this.#prove(subscription, sequence, { nothingMissed: missed === null && takenUp === null && isSameLife, missed, ...how });
      // All up to here is told, should the connection end before the snapshots are complete.
      subscription.place = this.#here(last, null);
    }
    this.#send({ op: "unsubscribe", id: this.#nextId++, sub: message.sub });
    subscription.sub = null;
    this.#request(subscription, "snapshot");
  }

  #replayed(message, subscription) {
    const { records, cursor } = subscription.replay;
    if (records !== message.records) {
      throw new ProtocolError(`the replay had ${records} entries of ${message.records}`);
    }
    subscription.replay = null;
    this.statistics.replayed += records;
    subscription.place = this.#here(message.seq, null);
    if (subscription.proves) {
      this.#prove(subscription, cursor.seq, { nothingMissed: true, missed: null, how: "replay", records, through: message.seq });
    }
  }

  // Frames

  #frame(view) {
    if (view.byteLength < 32 || view.getUint16(0, true) !== 0x4b42) throw new ProtocolError("not a frame");
    const header = {
      block: view.getUint16(2, true), template: view.getUint16(4, true), epoch: view.getUint32(8, true),
      flags: view.getUint16(12, true), count: view.getUint16(14, true), sequence: number(view, 16),
      previous: number(view, 24),
    };
    if (header.previous !== (this.#chain ?? header.previous)) {
      throw new ProtocolError(`the chain is broken: ${header.previous} behind ${this.#chain}`);
    }
    this.#chain = header.sequence;
    this.statistics.frames += 1;
    const block = 32;
    const entries = block + header.block;
    switch (header.template) {
      case TEMPLATE.events: this.#events(view, entries, header, true); this.#moved(header); break;
      case TEMPLATE.replay: this.#replay(view, block, entries, header); break;
      case TEMPLATE.snapshotBegin: this.#snapshot(view.getUint32(block + 4, true), false); break;
      case TEMPLATE.snapshotOrders: this.#events(view, entries, header, false); break;
      case TEMPLATE.snapshotEnd: this.#snapshot(view.getUint32(block + 4, true), true); break;
      case TEMPLATE.heartbeat: this.#setInput(view.getUint8(block + 8)); this.#moved(header); break;
      case TEMPLATE.status: this.#setInput(view.getUint8(block)); break;
      default: break;
    }
  }

  /** Everything up to this number has come, unless the frame ends within a message. */
  #moved(header) {
    if ((header.flags & MESSAGE_CONTINUES) === 0) this.#advance(header.sequence, null);
  }

  #here(sequence, index) {
    return { sequence, index, epoch: this.#hello.epoch, session: this.#hello.session };
  }

  /** The subscriptions that are live have come this far: through a message, or an event of it. */
  #advance(sequence, index) {
    for (const each of this.#subscriptions) {
      if (each.whole && each.replay === null && each.sub !== null) each.place = this.#here(sequence, index);
    }
  }

  #setInput(value) {
    const input = INPUT[value] ?? `unknown (${value})`;
    if (input === this.#input) return;
    this.#input = input;
    this.#options.onState(this.connection);
  }

  #snapshot(instrument, ends) {
    const book = this.#bookOf(instrument);
    if (!ends) {
      book.clear();
      this.#tick += 1;
      book.snapshotAt = this.#tick;
    }
    book.complete = ends;
    if (ends) this.#options.onEvent(null, book);
  }

  #replay(view, block, entries, header) {
    const subscription = this.#subscriptions.find((each) => each.sub === view.getUint32(block, true));
    if (subscription?.replay == null) throw new ProtocolError("a replay that nobody asked for");
    const replay = subscription.replay;
    if (number(view, block + 8) !== replay.after) {
      throw new ProtocolError(`the replay goes on behind ${number(view, block + 8)}, not ${replay.after}`);
    }
    replay.after = number(view, block + 16);
    replay.records += header.count;
    const last = this.#events(view, entries, header, false);
    // Of the last message more may follow.
    if (last !== null) subscription.place = this.#here(last.sequence, last.index);
  }

  #events(view, offset, header, isLive) {
    const now = this.#options.now();
    let event = null;
    for (let left = header.count; left > 0; left -= 1) {
      if (offset + 40 > view.byteLength) throw new ProtocolError("an entry lies beyond the frame");
      event = decodeEvent(view, offset);
      offset += event.bytes;
      this.statistics.events += 1;
      this.#apply(event, now);
    }
    if (isLive && event !== null && (header.flags & MESSAGE_CONTINUES) !== 0) this.#advance(event.sequence, event.index);
    return event;
  }

  #mark(isStale) {
    this.#tick += 1;
    this.#channelStale = isStale ? this.#tick : 0;
  }

  #apply(event, now) {
    if (event.kind === KIND.endOfSession) this.#ended = true;
    if (event.instrument === 0) {
      if (event.kind === KIND.gap) this.#mark(event.reason !== REPLACED_BY_SNAPSHOT);
      if (event.kind === KIND.trust) {
        this.#mark(event.trust !== 0);
        if (event.trust === 0 && event.scope !== 1) for (const book of this.#books.values()) book.stale = false;
      }
      this.#options.onEvent(event, undefined);
      return;
    }
    const book = this.#bookOf(event.instrument);
    book.apply(event, now);
    if (event.kind === KIND.definition && event.symbol !== "") this.#symbols.set(event.symbol, event.instrument);
    this.#options.onEvent(event, book);
  }
}
