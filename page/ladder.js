// One symbol's book, from pubd through its own protocol: snapshot, then exact continuation.

import { BulkheadClient, TOKEN_LIMIT } from "/bulkhead.js";
import { clock, grouped, span } from "/drawing.js";

const DEPTHS = [10, 20];
const CHANNELS = ["levels", "trades", "status", "defs"];
// Of this tab, until it is closed.
const TOKEN = "bulkhead.token";
// Attempts without an answer after which the token may be what is wrong.
const DOUBTS = 4;
const element = (id) => document.getElementById(id);

/** Prices are in units of 1/10000; further digits are shown where there are any. */
function price(value) {
  const text = (value / 10000).toFixed(4);
  return text.endsWith("00") ? text.slice(0, -2) : text;
}

function missedText({ missed, how }) {
  return missed === null ? how : `missed ${grouped(missed.last - missed.first + 1)}`;
}

export class Ladder {
  #client = null;
  #definitions = null;
  #port = 0;
  #url = "";
  #token = sessionStorage.getItem(TOKEN) ?? "";
  #asksForToken = false;
  #symbol = "";
  #subscription = null;
  #known = new Map();
  #names = 0;
  #frozen = false;
  #rows = [];
  #lines = [];
  #depth = DEPTHS[0];
  #before = new Map();
  #proof = null;
  #facts = {};

  constructor() {
    const body = element("ladder-rows");
    for (let row = 0; row < DEPTHS.at(-1); row += 1) {
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
      this.#lines.push(line);
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
    element("ladder-token").maxLength = TOKEN_LIMIT;
    element("ladder-token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#token = element("ladder-token").value.trim();
      element("ladder-token").value = "";
      if (!/^[!-~]+$/.test(this.#token)) this.#token = "";
      sessionStorage.setItem(TOKEN, this.#token);
      this.#connect();
    });
    this.#symbol = new URLSearchParams(location.hash.slice(1)).get("symbol") ?? "";
    element("ladder-symbol").value = this.#symbol;
    this.#show(Number(new URLSearchParams(location.hash.slice(1)).get("levels")));
  }

  /** As many levels as may be shown, or the fewest. */
  #show(depth) {
    this.#depth = DEPTHS.includes(depth) ? depth : DEPTHS[0];
    this.#lines.forEach((line, row) => { line.hidden = row >= this.#depth; });
  }

  /** The next number of levels; the address keeps it. */
  deepen() {
    this.#show(DEPTHS[(DEPTHS.indexOf(this.#depth) + 1) % DEPTHS.length]);
    const place = new URLSearchParams(location.hash.slice(1));
    place.set("levels", String(this.#depth));
    history.replaceState(null, "", `#${place}`);
  }

  /** pubd as viewd tells of it: its port (another one means another publisher), its scheme, and whether it asks for a token. */
  serve(port, scheme, asksForToken) {
    const url = `${scheme}://${location.hostname}:${port}`;
    if (port === 0 || (url === this.#url && asksForToken === this.#asksForToken)) return;
    this.#port = port;
    this.#url = url;
    this.#asksForToken = asksForToken;
    this.#connect();
  }

  #connect() {
    this.#client?.close();
    this.#definitions?.close();
    this.#client = this.#definitions = this.#subscription = null;
    if (this.#asksForToken && this.#token === "") return;
    const token = this.#asksForToken ? this.#token : "";
    const url = this.#url;
    this.#client = new BulkheadClient(url, {
      token, backoff: 100, backoffLimit: 1000,
      onReconnect: (proof) => { this.#proof = { ...proof, at: Date.now() }; },
    });
    // Which symbols there are; once that is known nobody needs to be told again.
    this.#definitions = new BulkheadClient(url, {
      token, backoffLimit: 1000,
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
    if (name === "" || (name === this.#symbol && this.#subscription !== null)) return;
    if (this.#subscription !== null) this.#client.unsubscribe(this.#subscription);
    this.#symbol = name;
    this.#before.clear();
    element("ladder-symbol").value = name;
    const place = new URLSearchParams(location.hash.slice(1));
    place.set("symbol", name);
    history.replaceState(null, "", `#${place}`);
    // Asked for later where pubd, or its token, is not known yet.
    this.#subscription = this.#client?.subscribe([name], { channels: CHANNELS }) ?? null;
  }

  freeze() { this.#frozen = !this.#frozen; }

  /** Draws what there is, ten times a second; `outside` is why the page itself knows nothing, or null. */
  draw(outside) {
    this.#list();
    if (this.#frozen) return this.#note("frozen");
    const book = this.#client?.book(this.#symbol);
    const asked = this.#ask();
    const isAsked = !element("ladder-token-form").hidden;
    const trust = this.#client === null ? { ok: false, reason: isAsked ? asked : "pubd is not there" } : this.#client.trustworthy(this.#symbol);
    if (isAsked && !trust.ok) trust.reason = asked;
    if (outside !== null) {
      trust.ok = false;
      trust.reason = outside;
    }
    const box = element("ladder-book");
    box.dataset.trust = trust.ok ? "yes" : "no";
    const stamp = element("ladder-stamp");
    stamp.hidden = trust.ok;
    if (!trust.ok) stamp.lastElementChild.textContent = trust.reason;
    if (book !== undefined) this.#levels(book.bids(this.#depth), book.asks(this.#depth));
    this.#tell(book);
    return this.#note(this.#client?.connection === "open" ? `pubd :${this.#port}` : `pubd: ${this.#client?.connection ?? "none"}`);
  }

  /** Asks for the token while there is none, and when it may be the wrong one. */
  #ask() {
    // The book's client has nothing to ask for before a symbol is known.
    const isInDoubt = Math.max(this.#client?.failures ?? 0, this.#definitions?.failures ?? 0) >= DOUBTS;
    element("ladder-token-form").hidden = !this.#asksForToken || (this.#token !== "" && !isInDoubt);
    return isInDoubt ? "no answer: is the token in force?" : "pubd asks for a token";
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
    for (let row = 0; row < this.#depth; row += 1) {
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
      : `${span(Date.now() - proof.at)} ago, ${proof.nothingMissed ? "nothing missed" : missedText(proof)}`;
  }

  /** For the tests of the page. */
  get state() {
    return {
      symbol: this.#symbol, connection: this.#client?.connection, proofs: this.#client?.proofs ?? [],
      statistics: this.#client?.statistics, symbols: this.#known.size,
    };
  }
}
