// The plots over time: faults, throughput, latency by function, and who led. They share one span.

const run = new Span(0, data.length);
const gutter = { left: 64, right: 16 };
const quantileStyles = [
  { name: "p50", colour: "p50", dash: [] }, { name: "p90", colour: "p90", dash: [7, 3] },
  { name: "p99", colour: "p99", dash: [8, 3, 2, 3] }, { name: "p99.9", colour: "p999", dash: [2, 2] },
];
const outcomes = [
  { name: "ok", colour: "ok", dash: [] }, { name: "fail", colour: "fail", dash: [6, 3] }, { name: "info", colour: "info", dash: [2, 3] },
];
const plotState = { outcome: "ok", at: null };
const panels = [];

// Panel is one plot with a title, a legend and a line that tells the figures under the pointer.
class Panel {
  constructor(box, title, height, legend = []) {
    this.readout = element("span", { className: "readout" });
    this.title = element("strong", { textContent: title });
    this.head = element("div", { className: "panel-head" }, this.title, ...legend.map(swatch), this.readout);
    const holder = element("div", { className: "canvas" });
    box.append(element("div", { className: "panel" }, this.head, holder));
    this.top = 6;
    this.later = []; // draws into the gutter, which the body is clipped from
    this.surface = new Surface(holder, title + " over time", height, (c) => this.render(c));
    run.watchers.push(() => this.surface.draw());
    const unit = (x) => run.from + ((x - gutter.left) / (this.surface.width - gutter.left - gutter.right)) * (run.to - run.from);
    gestures(this.surface.canvas, run, unit, {
      hover: (e) => {
        const band = bandUnder(e, unit, this.strip);
        tip(band ? bandText(band) : "", e);
        point(unit(e.offsetX));
      },
      leave: () => {
        tip("");
        point(null);
      },
    });
    panels.push(this);
  }
  x(t) {
    return gutter.left + ((t - run.from) / (run.to - run.from)) * (this.surface.width - gutter.left - gutter.right);
  }
  render(c) {
    const area = { left: gutter.left, right: this.surface.width - gutter.right, top: this.top, bottom: this.surface.height - 20 };
    const x = (t) => this.x(t);
    c.save();
    c.beginPath();
    c.rect(area.left, 0, area.right - area.left, this.surface.height);
    c.clip();
    drawBands(c, area, x, this.strip);
    c.restore();
    this.ticks(c, area);
    c.save();
    c.beginPath();
    c.rect(area.left, 0, area.right - area.left, area.bottom + 1);
    c.clip();
    this.body(c, area, x);
    if (plotState.at !== null) {
      c.fillStyle = colour("quiet");
      c.fillRect(x(plotState.at), area.top, 1, area.bottom - area.top);
    }
    c.restore();
    for (const draw of this.later.splice(0)) draw();
    this.readout.textContent = plotState.at === null ? "" : clock(plotState.at, 1e8) + this.figures(plotState.at);
  }
  ticks(c, area) {
    const { step, list } = steps(run.from, run.to, (area.right - area.left) / 90);
    c.font = font(11);
    c.textAlign = "center";
    for (const t of list) {
      c.fillStyle = colour("line");
      c.fillRect(Math.round(this.x(t)), area.bottom, 1, 4);
      c.fillStyle = colour("quiet");
      c.fillText(clock(t, step), Math.min(this.x(t), area.right - 14), area.bottom + 12);
    }
    c.textAlign = "left";
    c.fillStyle = colour("line");
    c.fillRect(area.left, area.bottom, area.right - area.left, 1);
  }
  // rule draws one horizontal grid line with its value.
  rule(c, area, y, text) {
    c.fillStyle = colour("line");
    c.globalAlpha = 0.6;
    c.fillRect(area.left, Math.round(y), area.right - area.left, 1);
    c.globalAlpha = 1;
    this.later.push(() => {
      c.font = font(11);
      c.fillStyle = colour("quiet");
      c.textAlign = "right";
      c.fillText(text, area.left - 6, y);
      c.textAlign = "left";
    });
  }
  body() {}
  figures() {
    return "";
  }
}

// swatch is a line of the legend, drawn with the same dashes as in the plot.
function swatch(style) {
  const svg = (tag, attributes) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
    return e;
  };
  const line = svg("line", { x1: 0, x2: 26, y1: 4, y2: 4, "stroke-width": 2, "stroke-dasharray": style.dash.join(" ") });
  line.style.stroke = `var(--${style.colour})`;
  const drawing = svg("svg", { width: 26, height: 8, "aria-hidden": "true" });
  drawing.append(line);
  return element("span", { className: "swatch" }, drawing, style.name);
}

const bucketAt = (t) => Math.floor(t / data.plots.bucket);

// drawLine joins the values of a series' buckets; y gives null where there is none.
function drawLine(c, x, style, n, y) {
  c.strokeStyle = colour(style.colour);
  c.fillStyle = colour(style.colour);
  c.lineWidth = 1.7;
  c.setLineDash(style.dash);
  c.beginPath();
  let joined = false;
  const lone = [];
  for (let i = 0; i < n; i++) {
    const at = y(i);
    if (at === null) {
      joined = false;
      continue;
    }
    const px = x((i + 0.5) * data.plots.bucket);
    if (joined) c.lineTo(px, at);
    else {
      c.moveTo(px, at);
      if (i + 1 >= n || y(i + 1) === null) lone.push([px, at]);
    }
    joined = true;
  }
  c.stroke();
  c.setLineDash([]);
  for (const [px, py] of lone) c.fillRect(px - 2, py - 2, 4, 4);
}

class Throughput extends Panel {
  constructor(box) {
    super(box, "Throughput, operations/s by outcome", 166 + bandStrip, outcomes);
    this.strip = 2;
    this.top = 24 + bandStrip;
    const buckets = data.plots.series[0]?.completed.length ?? 0;
    this.sums = Object.fromEntries(outcomes.map((o) => [o.name, new Array(buckets).fill(0)]));
    for (const s of data.plots.series) s.completed.forEach((n, i) => (this.sums[s.type][i] += n));
    this.rate = (type, i) => (this.sums[type][i] * 1e9) / data.plots.bucket;
    this.highest = Math.max(1, ...outcomes.flatMap((o) => this.sums[o.name].map((_, i) => this.rate(o.name, i))));
  }
  body(c, area, x) {
    const y = (v) => area.bottom - (v / (this.highest * 1.08)) * (area.bottom - area.top);
    for (const v of steps(0, this.highest, 4).list) this.rule(c, area, y(v), grouped(v));
    for (const phase of data.phases) this.phase(c, area, phase, x);
    for (const o of outcomes) {
      if (this.sums[o.name].some((n) => n > 0)) drawLine(c, x, o, this.sums[o.name].length, (i) => y(this.rate(o.name, i)));
    }
  }
  // phase marks where a phase of the run begins, with its name above the plot.
  phase(c, area, { name, from, to }, x) {
    const left = x(from);
    c.fillStyle = colour("quiet");
    c.globalAlpha = 0.6;
    for (let y = area.top - 12; y < area.bottom; y += 5) c.fillRect(left, y, 1, 2);
    c.globalAlpha = 1;
    c.font = font(11);
    c.fillText(fitText(c, name, x(to) - Math.max(left, area.left) - 6), Math.max(left, area.left) + 4, area.top - 8);
  }
  figures(t) {
    return outcomes.map((o) => `  ${o.name} ${grouped(Math.round(this.rate(o.name, bucketAt(t)) || 0))}/s`).join("");
  }
}

// Latency draws the quantiles of one function with the chosen outcome, over single operations as dots, on a logarithmic axis.
class Latency extends Panel {
  constructor(box, f) {
    super(box, `Latency of ${f}`, 170, quantileStyles);
    this.f = f;
  }
  get series() {
    return data.plots.series.find((s) => s.f === this.f && s.type === plotState.outcome);
  }
  body(c, area, x) {
    const s = this.series;
    this.title.textContent = `Latency of ${this.f}, ${plotState.outcome}`;
    if (!s) {
      c.fillStyle = colour("quiet");
      c.font = font(12);
      c.fillText(`No ${this.f} ended ${plotState.outcome}.`, area.left + 12, (area.top + area.bottom) / 2);
      return;
    }
    const all = s.quantiles.flat().filter((v) => v > 0);
    const [low, high] = [Math.log10(Math.min(...all, 1e6) * 0.7), Math.log10(Math.max(...all, 1) * 1.4)];
    const y = (us) => area.bottom - ((Math.log10(us) - low) / (high - low)) * (area.bottom - area.top);
    for (let power = Math.floor(low); power <= high; power++) {
      for (const us of (high - low < 1.3 ? [1, 2, 5] : [1]).map((m) => m * 10 ** power)) {
        if (Math.log10(us) >= low && Math.log10(us) <= high) this.rule(c, area, y(us), duration(us * 1e3));
      }
    }
    c.fillStyle = colour("quiet");
    c.globalAlpha = 0.28;
    for (const op of ops) {
      if (op.f !== this.f || op.type !== plotState.outcome || op.completed < 0 || op.invoked < run.from || op.invoked > run.to) continue;
      c.fillRect(x(op.invoked) - 1, y(Math.max(1, (op.completed - op.invoked) / 1e3)) - 1, 2, 2);
    }
    c.globalAlpha = 1;
    quantileStyles.forEach((style, q) => {
      const values = s.quantiles[q];
      drawLine(c, x, style, values.length, (i) => (values[i] > 0 ? y(values[i]) : null));
    });
  }
  figures(t) {
    const s = this.series;
    if (!s) return "";
    return quantileStyles.map((style, q) => {
      const v = s.quantiles[q][bucketAt(t)];
      return `  ${style.name} ${v ? duration(v * 1e3) : "none"}`;
    }).join("");
  }
}

const stateLooks = {
  leader: { letter: "L", fill: "leader-fill" },
  follower: { letter: "F", fill: "follower-fill" },
  candidate: { letter: "C", fill: "candidate-fill" },
  unreachable: { letter: "×", hatch: ["line", "down-fill"] },
  "no member": { letter: "–", fill: "down-fill" },
  retired: { letter: "†", fill: "down-fill" },
};

// Leaders is a strip for each node: its state by colour and letter, and its term where that changes.
class Leaders extends Panel {
  constructor(box) {
    super(box, "State of each node", 30 + bandStrip + data.leaders.length * 26);
    this.strip = 2;
    this.top = 8 + bandStrip;
  }
  body(c, area, x) {
    data.leaders.forEach((strip, row) => {
      const y = area.top + row * 26;
      this.later.push(() => {
        c.font = font(12, 500);
        c.fillStyle = colour("ink");
        c.textAlign = "right";
        c.fillText(fitText(c, strip.node, gutter.left - 10), area.left - 6, y + 11);
        c.textAlign = "left";
      });
      let term = 0;
      for (const s of strip.spans) {
        const [left, right] = [x(s.from), Math.max(x(s.to), x(s.from) + 1)];
        const look = stateLooks[s.state] ?? { letter: s.state.slice(0, 1).toUpperCase(), fill: "follower-fill" };
        if (right >= area.left && left <= area.right) this.span(c, { left, right, y, look, s, term }, area);
        if (s.term) term = s.term;
      }
    });
  }
  span(c, { left, right, y, look, s, term }, area) {
    c.fillStyle = look.hatch ? hatch(c, ...look.hatch) : colour(look.fill);
    c.fillRect(left, y, right - left, 22);
    if (s.state === "leader") {
      c.fillStyle = colour("leader");
      c.fillRect(left, y + 19, right - left, 3);
    }
    c.fillStyle = colour("card");
    c.fillRect(left, y, 1, 22);
    const from = Math.max(left, area.left);
    c.fillStyle = colour("ink");
    c.font = font(11, s.state === "leader" ? 700 : 400);
    const text = look.letter + (s.term && (s.term !== term || s.state === "leader") ? ` term ${s.term}` : "");
    const short = c.measureText(text).width <= right - from - 6 ? text : c.measureText(look.letter).width <= right - from - 4 ? look.letter : "";
    c.fillText(short, from + 4, y + 11);
  }
  figures(t) {
    return data.leaders.map((strip) => {
      const s = strip.spans.find((sp) => t >= sp.from && t < sp.to);
      return s ? `  ${strip.node} ${s.state}${s.term ? " (term " + s.term + ")" : ""}` : "";
    }).join("");
  }
}

// point moves the line under the pointer in all panels.
function point(t) {
  plotState.at = t === null || t < 0 || t > data.length ? null : t;
  for (const p of panels) p.surface.draw();
}

function startPlots() {
  const box = byId("plot-panels");
  if (data.plots.series.length > 0) {
    new Throughput(box);
    for (const f of [...new Set(data.plots.series.map((s) => s.f))].slice(0, 8)) new Latency(box, f);
  }
  const choice = element("span", { className: "group", role: "group", "aria-label": "Outcome of the operations whose latency is drawn" });
  const choose = (name) => {
    plotState.outcome = name;
    for (const b of choice.children) b.setAttribute("aria-pressed", String(b.textContent === name));
    for (const p of panels) p.surface.draw();
  };
  for (const o of outcomes) choice.append(element("button", { type: "button", textContent: o.name, onclick: () => choose(o.name) }));
  choose("ok");
  byId("plot-tools").append(element("span", { className: "field" }, "Latency of operations that ended ", choice), zoomButtons(run));
  if (data.leaders.length > 0) {
    new Leaders(byId("leader-panel"));
    byId("leader-panel").append(element("p", { className: "quiet", textContent: "L leader, F follower, C candidate, × did not answer, – no member, † stays down on damaged data. The term is named where it changes." }));
  }
}
