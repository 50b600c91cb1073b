// Numbers as words, and what is drawn on canvases.

/** "1,234,567". */
export const grouped = (value) => Math.round(value).toLocaleString("en-US");

/** "812", "98.1k", "1.91M". */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  if (value >= 999500) return `${(value / 1e6).toFixed(2)}M`;
  if (value >= 99950) return `${Math.round(value / 1e3)}k`;
  if (value >= 9995) return `${(value / 1e3).toFixed(1)}k`;
  return grouped(value);
}

/** Nanoseconds: "812 ns", "41.2 µs", "3.40 ms", "1.2 s", "3 min", "2 h". */
export function duration(nanoseconds) {
  const value = Number(nanoseconds);
  if (!Number.isFinite(value) || value < 0) return "–";
  if (value < 1e3) return `${Math.round(value)} ns`;
  for (const [scale, unit] of [[1e3, "µs"], [1e6, "ms"], [1e9, "s"]]) {
    const scaled = value / scale;
    if (scaled < 999.5) return `${scaled >= 99.5 ? Math.round(scaled) : scaled.toPrecision(3)} ${unit}`;
  }
  return span(value / 1e6);
}

/** Milliseconds, coarsely: "12 s", "3 min 20 s", "2 h 5 min", "3 d 7 h". */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

/** The time of the day, UTC, of milliseconds since 1970. */
export const clock = (milliseconds) => new Date(milliseconds).toISOString().slice(11, 23);

/** Bytes: "812 B", "4.1 kB", "3.2 MB". */
export function bytes(value) {
  for (const [scale, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (value >= scale) return `${(value / scale).toPrecision(3)} ${unit}`;
  }
  return `${Math.round(value)} B`;
}

let colours = {};
/** Reads the theme's colours anew. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  colours = Object.fromEntries(["good", "warn", "bad", "info", "violet", "line", "soft", "faint", "track", "ink", "card"]
    .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}
export const colour = (name) => colours[name];

/** A canvas in its size on the screen, cleared, with a unit of one CSS pixel. */
function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (width === 0 || height === 0) return null;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  return pen;
}

/** One line of values, the newest at the right, filled below. */
export function sparkline(canvas, values, name, most) {
  const pen = prepare(canvas);
  if (pen === null || values.length < 2) return;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const top = Math.max(most, ...values, 1);
  const x = (index) => width - (values.length - 1 - index) * (width / 119);
  const y = (value) => height - 2 - (height - 4) * (value / top);
  pen.beginPath();
  values.forEach((value, index) => (index === 0 ? pen.moveTo(x(0), y(value)) : pen.lineTo(x(index), y(value))));
  pen.strokeStyle = colour(name);
  pen.lineWidth = 1.5;
  pen.lineJoin = "round";
  pen.stroke();
  pen.lineTo(width, height);
  pen.lineTo(x(0), height);
  pen.globalAlpha = 0.13;
  pen.fillStyle = colour(name);
  pen.fill();
  pen.globalAlpha = 1;
}

/** How gaps end: lanes of the timeline, from the top down. */
export const LANES = [
  { key: "line", title: "other line", colour: "good" },
  { key: "retransmission", title: "retransmission", colour: "info" },
  { key: "snapshot", title: "snapshot", colour: "violet" },
  { key: "lost", title: "lost", colour: "bad" },
  { key: "open", title: "open", colour: "warn" },
];

export function laneOf(gap) {
  if (gap.state === "open") return "open";
  if (gap.state === "lost") return "lost";
  if (gap.outcome.includes("retransmission")) return "retransmission";
  return gap.outcome.includes("snapshot") ? "snapshot" : "line";
}

/** Latency over time: columns of counts by powers of two from `first` on, the newest at the right, `seconds` of them. */
export function heatmap(canvas, columns, first, seconds) {
  const pen = prepare(canvas);
  if (pen === null) return;
  const left = 44;
  const bottom = 14;
  const width = canvas.clientWidth - left;
  const height = canvas.clientHeight - bottom;
  pen.fillStyle = colour("track");
  pen.fillRect(left, 0, width, height);
  const rows = columns[0]?.length ?? 1;
  const step = width / seconds;
  const row = height / rows;
  const most = Math.max(1, ...columns.map((column) => Math.max(...column)));
  pen.fillStyle = colour("info");
  columns.forEach((column, index) => {
    const x = left + width - (columns.length - index) * step;
    column.forEach((count, power) => {
      if (count === 0) return;
      pen.globalAlpha = 0.12 + 0.88 * (Math.log1p(count) / Math.log1p(most));
      pen.fillRect(x, height - (power + 1) * row, Math.max(1, step), row);
    });
  });
  pen.globalAlpha = 1;
  pen.font = "10.5px system-ui, 'DejaVu Sans', sans-serif";
  pen.fillStyle = colour("soft");
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  for (const [text, power] of [["1 µs", 10], ["65 µs", 16], ["4 ms", 22], ["268 ms", 28]]) {
    pen.fillText(text, 0, height - (power + 1 - first) * row);
  }
  pen.textBaseline = "alphabetic";
  pen.fillText(`−${seconds / 60} min`, left, height + bottom - 2);
  pen.textAlign = "right";
  pen.fillText("now", left + width, height + bottom - 2);
}

/** Missing ranges over the last minute: when, how long, and how they ended. */
export function timeline(canvas, gaps, now, seconds) {
  const pen = prepare(canvas);
  if (pen === null) return;
  const width = canvas.clientWidth;
  const lane = 22;
  const left = 96;
  const x = (time) => left + (width - left - 4) * (1 - (now - time) / (seconds * 1000));
  pen.font = "11px system-ui, 'DejaVu Sans', sans-serif";
  pen.textBaseline = "middle";
  LANES.forEach((each, index) => {
    const middle = index * lane + lane / 2;
    pen.fillStyle = colour("soft");
    pen.textAlign = "left";
    pen.fillText(each.title, 0, middle);
    pen.fillStyle = colour("track");
    pen.fillRect(left, middle - 7, width - left - 4, 14);
  });
  pen.fillStyle = colour("faint");
  for (let back = 0; back <= seconds; back += 15) {
    const at = x(now - back * 1000);
    pen.globalAlpha = 0.5;
    pen.fillRect(Math.round(at), 0, 1, LANES.length * lane);
    pen.globalAlpha = 1;
    pen.textAlign = back === 0 ? "right" : back === seconds ? "left" : "center";
    pen.fillText(back === 0 ? "now" : `−${back} s`, at, LANES.length * lane + 12);
  }
  for (const gap of gaps) {
    const index = LANES.findIndex((each) => each.key === laneOf(gap));
    const from = Math.max(left, x(gap.detected));
    const to = Math.min(width - 4, x(gap.detected + gap.took / 1e6));
    if (to < left) continue;
    const height = 6 + Math.min(8, 2 * Math.log10(1 + gap.count));
    pen.fillStyle = colour(LANES[index].colour);
    pen.globalAlpha = 0.85;
    pen.fillRect(from, index * lane + (lane - height) / 2, Math.max(2, to - from), height);
  }
  pen.globalAlpha = 1;
}
