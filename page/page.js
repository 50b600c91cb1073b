// The operator's page: one WebSocket to viewd, ten frames a second, drawn as they come. Nothing old may look live.

import { LANES, bytes, clock, duration, grouped, heatmap, laneOf, readColours, short, span, sparkline, timeline } from "/drawing.js";
import { Ladder } from "/ladder.js";

const element = (id) => document.getElementById(id);
const MINUTE = 60;
/** Milliseconds without a frame after which contact is lost. */
const CONTACT = 600;
/** A column of the heat map a second, and the power of two of its lowest row. */
const HEAT_SECONDS = 900;
const HEAT_FIRST = 10;
/** Frames to which a paused page can go back: a minute of them; and how many a step is. */
const PAST_FRAMES = 600;
const PAST_STEP = 10;

/** The parts of the flow in its order, for narrow screens and screen readers. */
const FLOW = [
  "line-a", "rxd@a", "rx_a", "line-b", "rxd@b", "rx_b", "merged", "merged-bookd", "bookd", "book-pubd", "pubd", "clients",
  "taped", "merged-taped", "watchdogd", "viewd",
];

/** Puts a part of the flow where it belongs. */
function place(box, name) {
  box.dataset.place = name;
  const grid = element("flow-grid");
  const rank = FLOW.indexOf(name);
  grid.insertBefore(box, [...grid.children].find((other) => FLOW.indexOf(other.dataset.place) > rank) ?? null);
}

/** Sets a text only when it is another one. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** An element with a class, a text, and children. */
function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** A link to what viewd has to say about an event: the runbook of that name. */
function runbook(name) {
  const link = make("a", "", name);
  link.href = `/runbooks/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`;
  link.target = "_blank";
  link.rel = "noopener";
  return link;
}

class Page {
  #frame = null;
  #received = 0;
  #socket = null;
  #paused = false;
  #past = [];
  /** Where a paused page stands: the frames as they were then, and how many it is back from their end. */
  #stand = null;
  #wasLost = false;
  #nodes = new Map();
  #edges = new Map();
  #feeds = new Map();
  #stages = new Map();
  #epochs = new Map();
  #gaps = [];
  #lastEnded = [];
  #events = [];
  #slow = {};
  #clients = undefined;
  #heat = new Map();
  #heatStage = null;
  #involuntary = new Map();
  #faults = new Map();
  #ladder = new Ladder();
  #frames = 0;

  start() {
    readColours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => readColours());
    document.addEventListener("keydown", (event) => this.#key(event));
    element("latency-hgrm").addEventListener("click", (event) => this.#copyLatency(event));
    this.#connect();
    setInterval(() => this.#tick(), 100);
    // What the tests of the page look at.
    globalThis.bulkheadPage = {
      state: () => ({
        frames: this.#frames, frame: this.#frame, events: this.#events, contact: document.body.dataset.contact,
        ladder: this.#ladder.state,
      }),
    };
  }

  // Contact

  #connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/v1/view`, ["bulkhead.view.v1"]);
    this.#socket = socket;
    socket.onmessage = (message) => {
      if (this.#socket === socket) this.#take(JSON.parse(message.data));
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      setTimeout(() => this.#connect(), 300);
    };
  }

  #take(frame) {
    const isFirst = this.#frame === null || frame.events?.[0]?.id === 1;
    this.#frames += 1;
    this.#received = performance.now();
    this.#frame = frame;
    // A first frame repeats what an earlier viewd has told.
    if (isFirst || this.#wasLost) {
      if (frame.events) this.#events = [];
      if (frame.ended) this.#gaps = [];
    }
    for (const event of frame.events ?? []) this.#events.push(event);
    this.#events = this.#events.slice(-200);
    for (const gap of frame.ended ?? []) this.#gaps.push(gap);
    this.#gaps = this.#gaps.filter((gap) => frame.time - gap.detected < (MINUTE + 5) * 1000).slice(-3000);
    if (frame.ended?.length > 0) this.#lastEnded = this.#lastEnded.concat(frame.ended).slice(-5);
    for (const key of ["program", "host", "configuration", "clock", "latency", "cores"]) {
      if (frame[key] !== undefined) this.#slow[key] = frame[key];
    }
    for (const stage of frame.latency ?? []) {
      if (stage.heat === undefined) continue;
      const columns = this.#heat.get(stage.stage) ?? [];
      columns.push(stage.heat);
      this.#heat.set(stage.stage, columns.slice(-HEAT_SECONDS));
    }
    if (frame.clients !== undefined) this.#clients = frame.clients;
    for (const line of frame.lines) {
      const feed = this.#feed(line.name);
      if (frame.latency !== undefined) {
        feed.history.push(line.packets);
        if (feed.history.length > 120) feed.history.shift();
      }
    }
    this.#past.push(frame);
    if (this.#past.length > PAST_FRAMES) this.#past.shift();
    if (!this.#paused) this.#draw(frame);
  }

  #pause() {
    this.#paused = !this.#paused;
    document.body.dataset.paused = this.#paused ? "yes" : "no";
    this.#stand = this.#paused ? { frames: this.#past.slice(), back: 0 } : null;
  }

  /** A paused page shows an earlier second of the last minute, or a later one. */
  #step(frames) {
    const stand = this.#stand;
    // Without contact nothing old is to look live.
    if (stand === null || stand.frames.length === 0 || this.#wasLost) return;
    stand.back = Math.max(0, Math.min(stand.frames.length - 1, stand.back + frames));
    // What changes slowly is as it was last, and counts as read.
    this.#draw({ ...stand.frames[stand.frames.length - 1 - stand.back], latency: undefined });
  }

  /** What changes though no frame comes. */
  #tick() {
    const age = performance.now() - this.#received;
    const isLost = this.#frame === null || age > CONTACT;
    document.body.dataset.contact = this.#frame === null ? "none" : isLost ? "lost" : "live";
    const seen = element("fact-seen");
    if (this.#frame === null) return;
    if (isLost) {
      const text = `LOST CONTACT`;
      say(element("verdict-word"), text);
      element("verdict").dataset.verdict = "none";
      say(element("verdict-reason"), `nothing from viewd for ${(age / 1000).toFixed(1)} s: what is below is old`);
      say(element("verdict-more"), `it last said ${this.#frame.verdict}, at ${clock(this.#frame.time)}`);
      document.title = "? Bulkhead";
      say(seen, `${(age / 1000).toFixed(1)} s ago`);
      this.#ladder.draw("the page has lost contact");
    } else {
      const shown = this.#stand?.frames.at(-1 - this.#stand.back)?.time;
      say(seen, shown !== undefined ? `paused at ${clock(shown).slice(0, 8)}` : clock(this.#frame.time).slice(0, 10));
      if (!this.#paused) this.#ladder.draw(this.#frame.trustworthy ? null : this.#frame.reason);
    }
    this.#wasLost = isLost;
  }

  // Drawing

  #draw(frame) {
    this.#verdict(frame);
    this.#flow(frame);
    for (const line of frame.lines) this.#line(line, frame);
    this.#gapsDrawn(frame);
    this.#latency();
    if (frame.latency !== undefined) this.#heatDrawn();
    this.#cores(frame);
    this.#clientsDrawn(frame);
    this.#eventsDrawn();
    if (!this.#paused) this.#ladder.serve(frame.counts.publishPort ?? 0, frame.publishScheme ?? "ws", frame.publishToken ?? false);
  }

  #verdict(frame) {
    const header = element("verdict");
    header.dataset.verdict = frame.verdict;
    say(element("verdict-word"), frame.verdict);
    say(element("verdict-reason"), frame.reason);
    const trust = frame.trustworthy ? "what is published may be believed" : "what is published may NOT be believed";
    say(element("verdict-more"), `${trust} · ${frame.verdict} for ${span(frame.time - frame.since)}`);
    say(element("fact-set"), frame.instance);
    say(element("fact-host"), this.#slow.host ?? "–");
    say(element("fact-version"), this.#slow.program ?? "–");
    say(element("fact-configuration"), (this.#slow.configuration ?? "–").slice(0, 8));
    say(element("fact-epoch"), frame.epoch === undefined ? "–" : String(frame.epoch));
    const hostClock = this.#slow.clock;
    say(element("fact-clock"), hostClock === undefined ? "unknown" : hostClock.synchronized ? `± ${duration(hostClock.error)}` : "FREE");
    element("fact-clock").classList.toggle("warn", hostClock?.synchronized === false);
    say(element("fact-data"), frame.dataAge === undefined ? "never" : duration(frame.dataAge));
    element("fact-data").classList.toggle("warn", frame.dataAge > 2e9);
    document.title = `${frame.verdict === "LIVE" ? "●" : frame.verdict === "DEGRADED" ? "▲" : "■"} ${frame.verdict} · ${frame.instance}`;
  }

  #node(name) {
    let node = this.#nodes.get(name);
    if (node !== undefined) return node;
    const parts = {};
    for (const part of ["shape", "name", "state"]) parts[part] = make("span", part);
    const slim = name === "watchdogd" || name === "viewd";
    const box = make("div", slim ? "node slim" : "node", make("div", "top", parts.shape, parts.name, parts.state));
    for (const part of slim ? ["line"] : ["big", "line", "line2"]) {
      parts[part] = make("div", part === "line2" ? "line" : part);
      box.append(parts[part]);
    }
    if (parts.big) {
      parts.value = document.createTextNode("");
      parts.big.append(parts.value, make("small", "", " msg/s"));
    }
    place(box, name);
    parts.name.textContent = name;
    node = { box, parts, changed: 0 };
    this.#nodes.set(name, node);
    return node;
  }

  #flow(frame) {
    for (const line of frame.lines) this.#end(`line-${line.name}`, `line ${line.name.toUpperCase()}`, line.up ? `${short(line.packets)}` : "DOWN", line.up ? "packets/s" : "", line.up);
    for (const process of frame.processes) this.#process(process, frame);
    for (const ring of frame.rings) {
      for (const reader of ring.readers) {
        const name = ring.name.startsWith("rx_") ? ring.name : `${ring.name}-${reader.name}`;
        if (FLOW.includes(name)) this.#edge(name, ring, reader);
      }
    }
    this.#end("clients", "clients", short(frame.counts.clients ?? 0), "connected", true);
    const book = frame.processes.find((process) => process.name === "bookd");
    say(element("flow-note"), `${grouped(frame.counts.messagesApplied ?? 0)} messages applied, ${grouped(frame.counts.eventsPublished ?? 0)} events published`
      + (book ? `, sequence ${grouped(book.sequence)}` : ""));
  }

  #end(name, title, value, unit, isUp) {
    let node = this.#nodes.get(name);
    if (node === undefined) {
      const parts = { value: make("strong"), unit: make("span") };
      const box = make("div", name === "clients" ? "end last" : "end", make("span", "", title), parts.value, parts.unit);
      place(box, name);
      node = { box, parts };
      this.#nodes.set(name, node);
    }
    node.box.dataset.up = isUp ? "yes" : "no";
    say(node.parts.value, value);
    say(node.parts.unit, unit);
  }

  #process(process, frame) {
    const { box, parts } = this.#node(process.name);
    const works = process.alive && (process.state === "READY" || process.state === "DRAINING" || process.state === "DRAINED");
    const silent = process.alive && process.beat > 2e9;
    const state = !process.alive ? (process.state === "DRAINED" ? "good" : "dead") : silent ? "stands" : works ? "good"
      : process.state === "HALTED" || process.state === "FAILED" ? "stands" : "way";
    box.dataset.state = state;
    box.dataset.epoch = String(process.epoch);
    box.dataset.pid = String(process.pid);
    const before = this.#epochs.get(process.name);
    const now = performance.now();
    // Going back and forth in a paused page restarts nothing.
    if (before !== undefined && before.epoch !== process.epoch && !this.#paused) before.at = now;
    if (before === undefined) this.#epochs.set(process.name, { epoch: process.epoch, at: -1e9 });
    else if (!this.#paused) before.epoch = process.epoch;
    const isNew = now - this.#epochs.get(process.name).at < 8000;
    box.classList.toggle("new", isNew);
    say(parts.shape, { good: "●", way: "▲", stands: "■", dead: "✕" }[state]);
    say(parts.state, !process.alive ? (process.state === "DRAINED" ? "ended" : "DEAD") : silent ? "SILENT" : isNew && works ? "RESTARTED" : process.state);
    const restarts = process.restarts > 0 ? ` · ↻ ${process.restarts}` : "";
    const beat = process.alive ? `beat ${duration(process.beat)}` : "no beat";
    const busy = process.busy === undefined ? "" : `${process.busy.toFixed(process.busy < 10 ? 1 : 0)} % of core ${process.core}`;
    box.title = `${process.name}: process ${process.pid}, epoch ${process.epoch}, ${busy || "no processor time known"}, restarted ${process.restarts} times`;
    if (parts.big === undefined) {
      say(parts.line, `${beat}${restarts}`);
      return;
    }
    const rate = process.name.startsWith("rxd@")
      ? frame.rings.find((ring) => ring.writer === process.name)?.rate ?? 0 : process.rate;
    if (parts.value.data !== short(rate)) parts.value.data = short(rate);
    say(parts.big.lastChild, process.name.startsWith("rxd@") ? " packets/s" : " msg/s");
    say(parts.line, `${beat} · pid ${process.pid}`);
    say(parts.line2, `${busy || "just started"}${restarts}`);
  }

  #edge(name, ring, reader) {
    let edge = this.#edges.get(name);
    if (edge === undefined) {
      const parts = { name: make("b"), rate: make("span"), fill: make("i"), high: make("u"), detail: make("div", "detail") };
      const bar = make("div", "bar", parts.fill, parts.high);
      const box = make("div", "edge", make("div", "names", parts.name, parts.rate), make("div", "arrow", bar), parts.detail);
      place(box, name);
      edge = { box, bar, parts };
      this.#edges.set(name, edge);
    }
    const percent = reader.percent ?? 0;
    const { parts } = edge;
    say(parts.name, ring.name);
    say(parts.rate, `${short(ring.rate)}/s`);
    parts.fill.style.width = `${percent <= 0 ? 0 : Math.max(1.5, Math.min(100, percent))}%`;
    parts.high.style.left = `${Math.min(99, reader.highWater)}%`;
    edge.bar.dataset.level = percent > 95 ? "95" : percent > 85 ? "85" : percent > 70 ? "70" : "0";
    const lapped = reader.laps > 0 ? ` · LAPPED ${reader.laps}×` : "";
    const behind = `${reader.lag === undefined ? "–" : short(reader.lag)} behind`;
    say(parts.detail, (percent >= 1 ? `${behind} · ${percent.toFixed(0)} %` : `${behind} · peak ${reader.highWater.toFixed(reader.highWater < 10 ? 1 : 0)} %`) + lapped);
    edge.box.title = `ring ${ring.name}: ${grouped(ring.cells)} cells of 64 bytes, read by ${reader.name}`;
  }

  #feed(name) {
    let feed = this.#feeds.get(name);
    if (feed !== undefined) return feed;
    const parts = { up: make("span", "up"), rate: make("span", "rate"), canvas: make("canvas"), list: make("dl", "pairs") };
    parts.number = document.createTextNode("");
    parts.rate.append(parts.number, make("small", "", " packets/s"));
    const box = make("div", "feed", make("div", "top", make("b", "", name.toUpperCase()), parts.up, parts.rate), parts.canvas, parts.list);
    parts.values = new Map();
    for (const key of ["last packet", "messages/s", "later by, p50", "p99", "missed alone", "twice", "dropped", "downs"]) {
      const value = make("dd");
      parts.list.append(make("dt", "", key), value);
      parts.values.set(key, value);
    }
    element("lines-body").append(box);
    feed = { box, parts, history: [] };
    this.#feeds.set(name, feed);
    return feed;
  }

  #line(line, frame) {
    const { box, parts, history } = this.#feed(line.name);
    box.dataset.up = line.up ? "yes" : "no";
    say(parts.up, line.up ? "UP" : "DOWN");
    if (parts.number.data !== short(line.packets)) parts.number.data = short(line.packets);
    const values = {
      "last packet": line.age === undefined ? "never" : duration(line.age), "messages/s": short(line.messages),
      "later by, p50": duration(line.laterMedian), p99: duration(line.laterHigh), "missed alone": short(line.missedAlone),
      twice: short(line.duplicates), dropped: short(line.kernelDrops), downs: short(line.downs),
    };
    for (const [key, value] of Object.entries(values)) say(parts.values.get(key), value);
    const most = Math.max(...frame.lines.map((each) => Math.max(0, ...this.#feed(each.name).history)));
    if (frame.latency !== undefined) sparkline(parts.canvas, history, line.up ? "good" : "bad", most);
    say(element("lines-note"), frame.counts.lineDisagreements > 0 ? `${grouped(frame.counts.lineDisagreements)} disagreements` : "the lines agree");
  }

  #gapsDrawn(frame) {
    const open = frame.open ?? [];
    timeline(element("gaps-canvas"), this.#gaps.concat(open), frame.time, MINUTE);
    const counts = frame.counts;
    const totals = {
      line: (counts.filledByLineA ?? 0) + (counts.filledByLineB ?? 0), retransmission: counts.filledByRetransmission ?? 0,
      snapshot: counts.replacedBySnapshot ?? 0, lost: counts.messagesLost ?? 0, open: open.reduce((sum, gap) => sum + gap.count, 0),
    };
    const key = element("gaps-key");
    if (key.children.length === 0) {
      for (const lane of LANES) {
        const swatch = make("i");
        swatch.style.background = `var(--${lane.colour})`;
        key.append(make("li", "", swatch, `${lane.title} `, make("b")));
      }
    }
    LANES.forEach((lane, index) => say(key.children[index].lastChild, grouped(totals[lane.key])));
    say(element("gaps-note"), `${grouped(counts.rangesDetected ?? 0)} ranges, ${grouped(counts.messagesMissing ?? 0)} messages · ${counts.gapsOpenNow > 0 ? `${counts.gapsOpenNow} OPEN` : "none open"}`);
    const shown = open.slice(0, 3).concat(this.#lastEnded.slice().reverse()).slice(0, 5);
    this.#rows(element("gaps-table"), shown, (gap) => [
      [gap.count === 1 ? grouped(gap.first) : `${grouped(gap.first)} … ${grouped(gap.first + gap.count - 1)}`, ""],
      [grouped(gap.count), "right"], [gap.took < 1000 && gap.state !== "open" ? "at once" : duration(gap.took), "right"],
      [gap.state === "open" ? `open: ${gap.rung}` : gap.outcome, laneOf(gap) === "lost" ? "bad" : gap.state === "open" ? "warn" : ""],
    ]);
  }

  /** Fills a table's body, reusing its cells. */
  #rows(table, items, cells) {
    const body = table.tBodies[0];
    while (body.rows.length > items.length) body.deleteRow(-1);
    items.forEach((item, index) => {
      const row = body.rows[index] ?? body.insertRow();
      cells(item).forEach(([text, className], column) => {
        const cell = row.cells[column] ?? row.insertCell();
        say(cell, text);
        if (cell.className !== className) cell.className = className;
      });
    });
  }

  /** Time on a logarithmic scale from 1 µs to 10 s, in percent. */
  #place(nanoseconds) { return Math.max(0, Math.min(100, ((Math.log10(Math.max(1e3, nanoseconds)) - 3) / 7) * 100)); }

  #latency() {
    const body = element("latency-body");
    if (body.children.length === 0) {
      const axis = make("div");
      for (const [text, value] of [["1 µs", 1e3], ["100 µs", 1e5], ["10 ms", 1e7], ["1 s", 1e9]]) {
        const label = make("span", "", text);
        label.style.left = `${this.#place(value)}%`;
        axis.append(label);
      }
      body.append(make("div", "axis", make("div"), axis, make("div")));
    }
    for (const stage of this.#slow.latency ?? []) {
      let row = this.#stages.get(stage.stage);
      if (row === undefined) {
        const parts = { half: make("i", "half"), most: make("i", "most"), tail: make("i", "tail"), max: make("i", "max"), p99: make("div", "p99"), under: make("div", "under") };
        const box = make("div", "stage", make("div", "name", stage.stage), make("div", "scale", parts.tail, parts.most, parts.half, parts.max), parts.p99, parts.under);
        parts.p99.append(make("span"), make("small", "", "p99"));
        const rank = FLOW.indexOf(stage.stage);
        body.insertBefore(box, [...this.#stages].find(([other]) => FLOW.indexOf(other) > rank)?.[1].box ?? null);
        box.firstChild.title = "show the last fifteen minutes of this stage";
        box.firstChild.addEventListener("click", () => { this.#heatStage = stage.stage; });
        row = { box, parts };
        this.#stages.set(stage.stage, row);
      }
      const { parts } = row;
      const isQuiet = stage.count === 0;
      const values = { half: stage.p50, most: stage.p99, tail: stage.p999 };
      for (const [name, value] of Object.entries(values)) parts[name].style.width = isQuiet ? "0" : `${this.#place(value)}%`;
      parts.max.style.left = isQuiet ? "-9px" : `calc(${this.#place(stage.max)}% - 2px)`;
      say(parts.p99.firstChild, isQuiet ? "quiet" : duration(stage.p99));
      say(parts.under, isQuiet ? `since the start: p50 ${duration(stage.wholeP50)}, p99 ${duration(stage.wholeP99)}`
        : `p50 ${duration(stage.p50)} · p90 ${duration(stage.p90)} · p99.9 ${duration(stage.p999)} · max ${duration(stage.max)}`);
    }
  }

  /** The last fifteen minutes of one stage: the chosen one, or the last of the flow. */
  #heatDrawn() {
    const names = [...this.#stages.keys()].sort((a, b) => FLOW.indexOf(a) - FLOW.indexOf(b));
    const name = this.#heatStage ?? names.at(-1);
    if (name === undefined) return;
    for (const [other, { box }] of this.#stages) box.dataset.chosen = other === name ? "yes" : "no";
    const link = element("latency-hgrm");
    link.dataset.stage = name;
    link.href = `/v1/latency/${name}.hgrm`;
    say(element("latency-heat-title"), `${name}, a column a second, a row a power of two`);
    heatmap(element("latency-heat"), this.#heat.get(name) ?? [], HEAT_FIRST, HEAT_SECONDS);
  }

  /** The distribution of the shown stage onto the clipboard; where the browser has none for this page, the link leads to it. */
  async #copyLatency(event) {
    if (navigator.clipboard === undefined) return;
    event.preventDefault();
    const link = element("latency-hgrm");
    try {
      const answer = await fetch(link.href);
      if (!answer.ok) throw new Error(String(answer.status));
      await navigator.clipboard.writeText(await answer.text());
      link.textContent = "copied";
    } catch {
      link.textContent = "not copied";
    }
    setTimeout(() => { link.textContent = "copy .hgrm"; }, 1500);
  }

  #cores(frame) {
    const body = element("cores-body");
    const cores = this.#slow.cores ?? [];
    cores.forEach((core, index) => {
      let box = body.children[index];
      if (box === undefined) {
        box = make("div", "core", make("div", "top", make("b"), make("span")), make("div", "bar", make("i"), make("u")), make("div", "who"));
        body.append(box);
      }
      const [top, bar, who] = box.children;
      say(top.children[0], `core ${core.core}`);
      say(top.children[1], `${core.busy.toFixed(0)} % busy${core.stolen >= 0.5 ? `, ${core.stolen.toFixed(0)} % stolen` : ""}`);
      bar.children[0].style.width = `${core.busy}%`;
      bar.children[1].style.left = `${core.busy}%`;
      bar.children[1].style.width = `${core.stolen}%`;
      const here = frame.processes.filter((process) => process.alive && process.core === core.core && process.busy !== undefined);
      say(who, here.map((process) => `${process.name} ${process.busy.toFixed(process.busy < 10 ? 1 : 0)} %`).join(" · ") || "no process of this set");
    });
    if (frame.latency !== undefined) {
      let rate = 0;
      let faults = 0;
      for (const process of frame.processes) {
        const read = this.#faults.get(process.pid);
        if (read !== undefined && process.majorFaults !== undefined) faults += Math.max(0, process.majorFaults - read);
        if (process.majorFaults !== undefined) this.#faults.set(process.pid, process.majorFaults);
        const before = this.#involuntary.get(process.pid);
        if (before !== undefined && process.involuntary !== undefined) rate += Math.max(0, process.involuntary - before);
        if (process.involuntary !== undefined) this.#involuntary.set(process.pid, process.involuntary);
      }
      say(element("cores-note"), `${short(rate)} preemptions/s · ${short(faults)} page faults/s`);
      element("cores-note").title = "page faults that had to read the disk: 0 in steady state";
      element("cores-note").classList.toggle("warn", faults > 0);
    }
  }

  #clientsDrawn(frame) {
    const count = frame.counts.clients ?? 0;
    say(element("clients-note"), `${grouped(count)} of pubd`);
    const list = this.#clients ?? [];
    element("clients-table").hidden = list.length === 0;
    const empty = element("clients-empty");
    empty.hidden = list.length > 0;
    say(empty, count === 0 ? "nobody is connected" : `${grouped(count)} connected`);
    this.#rows(element("clients-table"), list.slice(0, 12), (client) => [
      [client.address, ""], [bytes(client.waiting), client.waiting > client.capacity / 2 ? "right warn" : "right"],
      [bytes(client.sent), "right"], [span(frame.time - client.since), "right"],
      [client.state, client.state === "slow" || client.state === "closing" ? "warn" : ""],
    ]);
  }

  #eventsDrawn() {
    const list = element("events-list");
    const newest = this.#events.at(-1)?.id ?? 0;
    if (list.dataset.newest === `${newest}/${this.#events.length}`) return;
    list.dataset.newest = `${newest}/${this.#events.length}`;
    list.replaceChildren(...this.#events.slice().reverse().map((event) => {
      const kind = { died: "bad", dying: "bad", "left down": "bad", fenced: "bad", alarm: "warn", action: "warn", ready: "good", trusted: "good", cleared: "good" }[event.event] ?? "plain";
      const item = make("li", "", make("span", "sign", { bad: "✕", warn: "▲", good: "●", plain: "·" }[kind]), make("span", "when", clock(event.time)),
        make("span", "who", event.component), make("span", "what", runbook(event.event)),
        make("span", "rest", [event.pid > 0 ? `process ${event.pid}` : "", event.epoch > 0 ? `epoch ${event.epoch}` : "", event.text].filter(Boolean).join(", ")));
      item.dataset.kind = kind;
      item.dataset.event = event.event;
      item.dataset.component = event.component;
      return item;
    }));
  }

  // Keys

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = event.target instanceof HTMLInputElement;
    if (event.key === "Escape" && isTyping) event.target.blur();
    if (isTyping) return;
    const sections = ["flow", "lines", "gaps", "latency", "ladder", "clients", "cores", "events"];
    const place = sections[Number(event.key) - 1];
    if (event.key === "/") {
      event.preventDefault();
      element("ladder-symbol").focus();
      element("ladder-symbol").select();
    } else if (event.key === "?") element("help").showModal();
    else if (event.key === "f") this.#ladder.freeze();
    else if (event.key === "l") this.#ladder.deepen();
    else if (event.key === "p") this.#pause();
    else if (event.key === "ArrowLeft") this.#step(PAST_STEP);
    else if (event.key === "ArrowRight") this.#step(-PAST_STEP);
    else if (event.key === "t") {
      const root = document.documentElement;
      const themes = ["auto", "light", "dark"];
      root.dataset.theme = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
      readColours();
    } else if (place !== undefined) {
      const section = element(place);
      section.tabIndex = -1;
      section.scrollIntoView({ block: "start" });
      section.focus({ preventScroll: true });
    }
  }
}

new Page().start();
