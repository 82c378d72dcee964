// The clocks of every node against the host's: one panel for the wall clocks and, if any was touched, one for the monotonic clocks.

const clockStyles = [
  { colour: "p50", dash: [] }, { colour: "p99", dash: [] }, { colour: "band-1", dash: [] }, { colour: "leader", dash: [] }, { colour: "p999", dash: [] },
  { colour: "p50", dash: [7, 3] }, { colour: "p99", dash: [7, 3] }, { colour: "band-1", dash: [7, 3] }, { colour: "leader", dash: [7, 3] }, { colour: "p999", dash: [7, 3] },
];

// The axis is linear within a millisecond of the true time, and logarithmic beyond.
const bend = 1e6;
const fold = (ns) => Math.sign(ns) * Math.log10(1 + Math.abs(ns) / bend);

const clockTicks = [
  [1e6, "1 ms"], [1e7, "10 ms"], [1e8, "100 ms"], [1e9, "1 s"], [1e10, "10 s"], [6e10, "1 min"], [6e11, "10 min"], [3.6e12, "1 h"], [3.6e13, "10 h"],
  [8.64e13, "1 day"], [8.64e14, "10 days"], [8.64e15, "100 days"], [3.1536e16, "1 year"], [3.1536e17, "10 years"],
];

// distance prints how far off a clock is, as people say it.
function distance(ns) {
  const abs = Math.abs(ns);
  const sign = ns < 0 ? "−" : "+";
  const trim = (x) => String(Number(x.toPrecision(3)));
  if (abs < 5e4) return "0";
  if (abs >= 8.64e13) return sign + trim(abs / 8.64e13) + " days";
  if (abs >= 3.6e12) return sign + trim(abs / 3.6e12) + " h";
  if (abs >= 6e10) return sign + trim(abs / 6e10) + " min";
  return sign + (abs >= 1e9 ? trim(abs / 1e9) + " s" : trim(abs / 1e6) + " ms");
}

// ClockLine is one clock of one node: pieces, each from one point to the next, that go steadily.
class ClockLine {
  constructor(line, row, offsets, rates, swings) {
    this.node = line.node;
    this.style = { ...clockStyles[row % clockStyles.length], name: line.node };
    this.pieces = [];
    for (let i = 0; i < line.at.length; i++) {
      const to = i + 1 < line.at.length ? line.at[i + 1] : data.length;
      if (rates[i] > 0) this.pieces.push({ from: line.at[i], to, off: offsets[i], rate: rates[i], swing: swings?.[i] ?? 0 });
    }
  }
  value(p, t) {
    return p.off + (p.rate - 1) * (t - p.from);
  }
  at(t) {
    return this.pieces.find((p) => t >= p.from && t < p.to);
  }
  // extremes are the furthest to either side.
  extremes() {
    const all = this.pieces.flatMap((p) => [p.off - p.swing, p.off + p.swing, this.value(p, p.to)]);
    return [Math.min(0, ...all), Math.max(0, ...all)];
  }
}

// isTrue says whether a clock that goes so shows the true time, but for less than a millisecond.
const isTrue = (p) => Math.abs(p.off) <= bend && p.rate === 1 && p.swing === 0;

class Clocks extends Panel {
  constructor(box, title, lines) {
    const styles = lines.map((l) => l.style);
    super(box, title, 290 + bandStrip, styles);
    this.lines = lines;
    this.strip = 2;
    this.top = 14 + bandStrip;
    const ends = lines.map((l) => l.extremes());
    this.low = Math.min(fold(-2 * bend), ...ends.map(([low]) => fold(low))) * 1.08;
    this.high = Math.max(fold(2 * bend), ...ends.map(([, high]) => fold(high))) * 1.08;
  }
  body(c, area, x) {
    const y = (ns) => area.bottom - ((fold(ns) - this.low) / (this.high - this.low)) * (area.bottom - area.top);
    this.rules(c, area, y);
    this.lines.forEach((line) => this.line(c, area, { x, y, line }));
    const taken = [];
    for (const line of this.lines) this.names(c, area, { x, y, line, taken });
  }
  // rules draws as many of the ticks as there is room for, the true time first.
  rules(c, area, y) {
    const used = [y(0)];
    this.rule(c, area, y(0), "true time");
    c.fillStyle = colour("quiet");
    c.fillRect(area.left, Math.round(y(0)), area.right - area.left, 1);
    for (const [ns, text] of clockTicks) {
      for (const [at, name] of [[ns, "+" + text], [-ns, "−" + text]]) {
        if (y(at) < area.top || y(at) > area.bottom || used.some((u) => Math.abs(u - y(at)) < 15)) continue;
        used.push(y(at));
        this.rule(c, area, y(at), name);
      }
    }
  }
  // line draws one clock. A drift bends on this axis, so it is drawn in short steps; where a clock jumps the line is upright. While it shows the
  // true time it has no colour: all that do lie on one another.
  line(c, area, { x, y, line }) {
    let [end, height] = [null, 0];
    for (const p of line.pieces) {
      const [left, right] = [x(p.from), x(p.to)];
      const [from, to] = [Math.max(left, area.left - 4), Math.min(right, area.right + 4)];
      const jumped = end === p.from && Math.abs(height - y(p.off)) > 1;
      c.strokeStyle = c.fillStyle = colour(line.style.colour);
      c.lineWidth = 2;
      c.setLineDash(line.style.dash);
      c.beginPath();
      if (jumped) c.moveTo(left, height);
      if (p.swing > 0) {
        c.globalAlpha = 0.3;
        c.fillRect(from, y(p.off + p.swing), Math.max(0, to - from), y(p.off - p.swing) - y(p.off + p.swing));
        c.globalAlpha = 1;
        for (const edge of [p.off + p.swing, p.off - p.swing]) c.fillRect(from, y(edge) - 1, Math.max(0, to - from), 2);
        c.lineTo(left, y(p.off));
      } else {
        if (isTrue(p)) {
          c.lineTo(left, y(p.off));
          c.stroke();
          c.beginPath();
          c.strokeStyle = colour("quiet");
        }
        c.lineTo(left, y(p.off));
        if (p.rate !== 1) {
          for (let px = from; px < to; px++) c.lineTo(px, y(line.value(p, p.from + ((px - left) / (right - left)) * (p.to - p.from))));
        }
        c.lineTo(right, y(line.value(p, p.to)));
      }
      c.stroke();
      [end, height] = [p.to, y(line.value(p, p.to))];
    }
    c.setLineDash([]);
  }
  // names writes beside a clock that is wrong whose it is and how wrong, where there is room.
  names(c, area, { x, y, line, taken }) {
    c.font = font(11, 600);
    let before = null;
    for (const p of line.pieces) {
      const same = before && before.rate === p.rate && before.swing === p.swing && Math.abs(line.value(before, before.to) - p.off) < Math.max(bend, Math.abs(p.off) / 50);
      before = p;
      if (same || isTrue(p)) continue;
      const how = [p.swing > 0 ? "±" + distance(p.swing).slice(1) : Math.abs(p.off) > bend ? distance(p.off) : "", p.rate !== 1 ? "×" + Number(p.rate.toPrecision(3)) : ""].filter(Boolean).join(" ");
      const text = `${line.node} ${how}`;
      const width = c.measureText(text).width;
      const left = Math.min(Math.max(x(p.from), area.left) + 5, area.right - width - 2);
      if (x(p.to) < area.left || x(p.from) > area.right) continue;
      const height = y(p.off + p.swing);
      for (const dy of [-8, 9, -20, 21]) {
        const box = { left, right: left + width, top: height + dy - 6, bottom: height + dy + 6 };
        if (box.top < area.top - 2 || box.bottom > area.bottom) continue;
        if (taken.some((b) => box.left < b.right + 6 && b.left < box.right + 6 && box.top < b.bottom && b.top < box.bottom)) continue;
        taken.push(box);
        c.globalAlpha = 0.8;
        c.fillStyle = colour("card");
        c.fillRect(left - 2, box.top, width + 4, 12);
        c.globalAlpha = 1;
        c.fillStyle = colour(line.style.colour);
        c.fillText(text, left, height + dy);
        break;
      }
    }
  }
  figures(t) {
    const list = this.lines.map((line) => {
      const p = line.at(t);
      if (!p) return `  ${line.node} down`;
      const rate = p.rate === 1 ? "" : " ×" + Number(p.rate.toPrecision(3));
      return `  ${line.node} ${distance(line.value(p, t))}${p.swing > 0 ? " ±" + distance(p.swing).slice(1) : ""}${rate}`;
    });
    return list.join("");
  }
}

function startClocks() {
  const box = byId("clock-panels");
  if (!box) return;
  new Clocks(box, "Wall clocks, off the host's", data.clocks.map((l, row) => new ClockLine(l, row, l.wall, l.wallRate, l.swing)));
  const monotonic = data.clocks.map((l, row) => new ClockLine(l, row, l.monotonic, l.monotonicRate));
  if (monotonic.some((l) => l.extremes().some((ns) => Math.abs(ns) > bend))) new Clocks(box, "Monotonic clocks, off the host's", monotonic);
}
