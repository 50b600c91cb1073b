// One symbol's book, from pubd through its own protocol: snapshot, then exact continuation.

import { BulkheadClient } from "/bulkhead.js";
import { clock, grouped, span } from "/drawing.js";

const DEPTH = 10;
const CHANNELS = ["levels", "trades", "status", "defs"];
const element = (id) => document.getElementById(id);

/** Prices are in units of 1/10000; further digits are shown where there are any. */
function price(value) {
  const text = (value / 10000).toFixed(4);
  return text.endsWith("00") ? text.slice(0, -2) : text;
}

export class Ladder {
  #client = null;
  #definitions = null;
  #port = 0;
  #symbol = "";
  #subscription = null;
  #known = new Map();
  #names = 0;
  #frozen = false;
  #rows = [];
  #before = new Map();
  #proof = null;
  #facts = {};

  constructor() {
    const body = element("ladder-rows");
    for (let row = 0; row < DEPTH; row += 1) {
      const line = body.insertRow();
      const cells = ["orders right", "bidsize right", "price bidside right", "price askside", "asksize", "orders"].map((name) => {
        const cell = line.insertCell();
        cell.className = name;
        const bar = document.createElement("i");
        const text = document.createTextNode("");
        if (name.includes("size")) cell.append(bar);
        cell.append(text);
        return { cell, bar, text };
      });
      this.#rows.push(cells);
    }
    for (const name of ["last trade", "trading", "sequence", "changed", "frames", "reconnected"]) {
      const group = document.createElement("div");
      const title = document.createElement("dt");
      const value = document.createElement("dd");
      title.textContent = name;
      value.textContent = "–";
      group.append(title, value);
      element("ladder-facts").append(group);
      this.#facts[name] = value;
    }
    element("ladder-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.choose(element("ladder-symbol").value);
      element("ladder-symbol").blur();
    });
    element("ladder-symbol").addEventListener("change", () => this.choose(element("ladder-symbol").value));
    this.#symbol = new URLSearchParams(location.hash.slice(1)).get("symbol") ?? "";
    element("ladder-symbol").value = this.#symbol;
  }

  /** pubd's port as viewd tells it; another one means another publisher. */
  serve(port) {
    if (port === 0 || port === this.#port) return;
    this.#port = port;
    this.#client?.close();
    this.#definitions?.close();
    const url = `ws://${location.hostname}:${port}`;
    this.#subscription = null;
    this.#client = new BulkheadClient(url, {
      backoff: 100, backoffLimit: 1000,
      onReconnect: (proof) => { this.#proof = { ...proof, at: Date.now() }; },
    });
    // Which symbols there are; once that is known nobody needs to be told again.
    this.#definitions = new BulkheadClient(url, {
      onEvent: (event, book) => {
        if (event === null || book === undefined || book.symbol === "") return;
        this.#known.set(book.symbol, book.instrument);
      },
    });
    this.#definitions.subscribe("*", { channels: ["defs"] });
    if (this.#symbol !== "") this.choose(this.#symbol);
  }

  choose(symbol) {
    const name = symbol.trim().toUpperCase();
    if (name === "" || this.#client === null || (name === this.#symbol && this.#subscription !== null)) return;
    if (this.#subscription !== null) this.#client.unsubscribe(this.#subscription);
    this.#symbol = name;
    this.#before.clear();
    element("ladder-symbol").value = name;
    const place = new URLSearchParams(location.hash.slice(1));
    place.set("symbol", name);
    history.replaceState(null, "", `#${place}`);
    this.#subscription = this.#client.subscribe([name], { channels: CHANNELS });
  }

  freeze() { this.#frozen = !this.#frozen; }

  /** Draws what there is, ten times a second; `outside` is why the page itself knows nothing, or null. */
  draw(outside) {
    this.#list();
    if (this.#frozen) return this.#note("frozen");
    const book = this.#client?.book(this.#symbol);
    const trust = this.#client === null ? { ok: false, reason: "pubd is not there" } : this.#client.trustworthy(this.#symbol);
    if (outside !== null) {
      trust.ok = false;
      trust.reason = outside;
    }
    const box = element("ladder-book");
    box.dataset.trust = trust.ok ? "yes" : "no";
    const stamp = element("ladder-stamp");
    stamp.hidden = trust.ok;
    if (!trust.ok) stamp.lastElementChild.textContent = trust.reason;
    if (book !== undefined) this.#levels(book.bids(DEPTH), book.asks(DEPTH));
    this.#tell(book);
    return this.#note(this.#client?.connection === "open" ? `pubd :${this.#port}` : `pubd: ${this.#client?.connection ?? "none"}`);
  }

  #note(text) { element("ladder-note").textContent = text; }

  #list() {
    if (this.#known.size === this.#names) return;
    this.#names = this.#known.size;
    const names = [...this.#known.keys()].sort();
    element("ladder-symbols").replaceChildren(...names.map((name) => {
      const option = document.createElement("option");
      option.value = name;
      return option;
    }));
    if (this.#symbol === "") {
      const first = [...this.#known].sort((a, b) => a[1] - b[1])[0];
      if (first !== undefined) this.choose(first[0]);
    }
  }

  #levels(bids, asks) {
    const most = Math.max(1, ...bids.map((level) => level.size), ...asks.map((level) => level.size));
    for (let row = 0; row < DEPTH; row += 1) {
      const cells = this.#rows[row];
      const [bid, ask] = [bids[row], asks[row]];
      this.#cell(cells[0], bid === undefined ? "" : grouped(bid.orders));
      this.#cell(cells[1], bid === undefined ? "" : grouped(bid.size), `${row}b`);
      this.#cell(cells[2], bid === undefined ? "" : price(bid.price));
      this.#cell(cells[3], ask === undefined ? "" : price(ask.price));
      this.#cell(cells[4], ask === undefined ? "" : grouped(ask.size), `${row}a`);
      this.#cell(cells[5], ask === undefined ? "" : grouped(ask.orders));
      cells[1].bar.style.width = bid === undefined ? "0" : `${(bid.size / most) * 100}%`;
      cells[4].bar.style.width = ask === undefined ? "0" : `${(ask.size / most) * 100}%`;
    }
  }

  #cell(cell, text, flashes) {
    if (cell.text.data === text) return;
    cell.text.data = text;
    if (flashes === undefined || text === "") return;
    cell.cell.classList.remove("changed");
    // Starts the animation anew.
    void cell.cell.offsetWidth;
    cell.cell.classList.add("changed");
  }

  #tell(book) {
    const facts = this.#facts;
    const trade = book?.lastTrade;
    facts["last trade"].textContent = trade ? `${grouped(trade.quantity)} @ ${price(trade.price)}` : "–";
    facts.trading.textContent = { H: "halted", P: "paused", Q: "quotation only", T: "trading" }[book?.tradingState] ?? "–";
    facts.sequence.textContent = book === undefined ? "–" : grouped(book.sequence);
    facts.changed.textContent = book === undefined || book.changedAt === 0 ? "–" : clock(book.changedAt);
    facts.frames.textContent = grouped(this.#client?.statistics.frames ?? 0);
    const proof = this.#proof;
    facts.reconnected.textContent = proof === null ? "never"
      : `${span(Date.now() - proof.at)} ago, ${proof.nothingMissed ? "nothing missed" : `missed ${grouped(proof.missed.last - proof.missed.first + 1)}`}`;
  }

  /** For the tests of the page. */
  get state() {
    return {
      symbol: this.#symbol, connection: this.#client?.connection, proofs: this.#client?.proofs ?? [],
      statistics: this.#client?.statistics, symbols: this.#known.size,
    };
  }
}
