// What all plots share: a span of time, a canvas that stays sharp, colours of the theme, ticks and gestures.

// Span is the part of an axis that is shown. Several plots may watch one.
class Span {
  constructor(min, max) {
    this.watchers = [];
    this.bound(min, max);
  }
  // bound sets the whole axis and the smallest part of it that may be shown.
  bound(min, max, smallest = 1000) {
    [this.min, this.max] = [min, Math.max(max, min + 1)];
    this.smallest = Math.min(smallest, this.max - this.min);
    this.set(this.min, this.max);
  }
  set(from, to) {
    const width = Math.min(Math.max(to - from, this.smallest), this.max - this.min);
    from = Math.min(Math.max(from, this.min), this.max - width);
    [this.from, this.to] = [from, from + width];
    for (const watch of this.watchers) watch();
  }
  zoom(factor, at = (this.from + this.to) / 2) {
    const width = Math.min(Math.max((this.to - this.from) * factor, this.smallest), this.max - this.min);
    const left = (at - this.from) / (this.to - this.from);
    this.set(at - left * width, at + (1 - left) * width);
  }
  pan(part) {
    const by = part * (this.to - this.from);
    this.set(this.from + by, this.to + by);
  }
  fit() {
    this.set(this.min, this.max);
  }
}

// warp turns instants into places on an axis on which only the order counts: each end of an operation is one step
// from the next. Busy instants become readable then, however long nothing happened between them.
function warp(list) {
  const at = [...new Set(list.flatMap((op) => [op.invoked, op.completed]).filter((t) => t >= 0))].sort((a, b) => a - b);
  const below = (t) => {
    let [low, high] = [0, at.length];
    while (low < high) {
      const mid = (low + high) >> 1;
      if (at[mid] <= t) low = mid + 1;
      else high = mid;
    }
    return low - 1;
  };
  return {
    times: at,
    place: (t) => {
      const i = below(t);
      if (i < 0) return -1;
      if (i >= at.length - 1) return t > at[at.length - 1] ? at.length : at.length - 1;
      return i + (t - at[i]) / (at[i + 1] - at[i]);
    },
    instant: (p) => {
      const i = Math.min(Math.max(Math.floor(p), 0), at.length - 1);
      return at[i] + ((at[i + 1] ?? at[i]) - at[i]) * Math.min(1, Math.max(0, p - i));
    },
  };
}

// colours resolves the theme's variables, which a canvas cannot.
const colours = new Map();
function colour(name) {
  if (!colours.has(name)) {
    const probe = element("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
}

const font = (size, weight = 400) => `${weight} ${size}px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif`;

// Surface is a canvas as wide as its box. It draws at most once a frame.
class Surface {
  constructor(box, label, height, draw) {
    this.canvas = element("canvas", { tabIndex: 0, role: "img", "aria-label": label });
    this.context = this.canvas.getContext("2d");
    this.height = height;
    this.render = draw;
    box.append(this.canvas);
    new ResizeObserver(() => this.draw()).observe(box);
    Surface.all.push(this);
  }
  // draw asks for a frame.
  draw() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => this.now());
  }
  now() {
    this.asked = false;
    const width = this.canvas.parentElement.clientWidth;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(this.height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      [this.canvas.width, this.canvas.height] = [w, h];
      this.canvas.style.height = this.height + "px";
    }
    this.width = width;
    const c = this.context;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, this.height);
    c.textBaseline = "middle";
    if (width > 0) this.render(c);
  }
}
Surface.all = [];

// redraw draws everything anew, at once: the theme has changed, or the page is about to be printed.
function redraw() {
  colours.clear();
  hatches.clear();
  for (const s of Surface.all) s.now();
}

// hatch is a fill of slanted lines, so that meaning does not hang on colour alone.
const hatches = new Map();
function hatch(c, line, ground) {
  const id = line + ground;
  if (!hatches.has(id)) {
    const tile = element("canvas", { width: 6, height: 6 });
    const t = tile.getContext("2d");
    t.fillStyle = colour(ground);
    t.fillRect(0, 0, 6, 6);
    t.strokeStyle = colour(line);
    t.lineWidth = 1.2;
    for (const x of [-6, 0, 6]) {
      t.moveTo(x - 1, 7);
      t.lineTo(x + 7, -1);
    }
    t.stroke();
    hatches.set(id, c.createPattern(tile, "repeat"));
  }
  return hatches.get(id);
}

// steps are round numbers over a range, about `count` of them.
function steps(from, to, count) {
  const rough = (to - from) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const list = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) list.push(t);
  return { step, list };
}

// textWidth remembers what it has measured, which is slow.
const widths = new Map();
function textWidth(c, text) {
  const id = c.font + text;
  if (!widths.has(id)) {
    if (widths.size > 50000) widths.clear();
    widths.set(id, c.measureText(text).width);
  }
  return widths.get(id);
}

// fitText cuts a text to a width, or gives "" where nothing sensible fits.
function fitText(c, text, width) {
  if (c.measureText(text).width <= width) return text;
  let n = Math.floor((text.length * width) / c.measureText(text).width);
  while (n > 2 && c.measureText(text.slice(0, n) + "…").width > width) n--;
  return n > 2 ? text.slice(0, n) + "…" : "";
}

// gestures lets pointer, wheel and keys move a span. unit turns a horizontal place into one on the axis.
function gestures(canvas, span, unit, plot) {
  let drag = null;
  canvas.addEventListener("pointerdown", (e) => {
    drag = { x: e.offsetX, moved: false };
    canvas.setPointerCapture(e.pointerId);
  });
  canvas.addEventListener("pointermove", (e) => {
    if (drag && Math.abs(e.offsetX - drag.x) > (drag.moved ? 0 : 3)) {
      const by = unit(drag.x) - unit(e.offsetX);
      span.set(span.from + by, span.to + by);
      drag = { x: e.offsetX, moved: true };
    }
    plot.hover?.(e);
  });
  canvas.addEventListener("pointerup", (e) => {
    if (drag && !drag.moved) plot.click?.(e);
    drag = null;
  });
  canvas.addEventListener("pointercancel", () => (drag = null));
  canvas.addEventListener("pointerleave", () => plot.leave?.());
  canvas.addEventListener("dblclick", () => span.fit());
  canvas.addEventListener("wheel", (e) => {
    if (!e.ctrlKey && !e.metaKey && (e.shiftKey || document.activeElement !== canvas)) return;
    e.preventDefault();
    if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) span.pan(e.deltaX / canvas.clientWidth);
    else span.zoom(Math.exp(Math.max(-60, Math.min(60, e.deltaY)) / 240), unit(e.offsetX));
  }, { passive: false });
  canvas.addEventListener("keydown", (e) => {
    const act = {
      "+": () => span.zoom(1 / 1.5), "=": () => span.zoom(1 / 1.5), "-": () => span.zoom(1.5), 0: () => span.fit(),
      ArrowLeft: () => span.pan(-0.15), ArrowRight: () => span.pan(0.15), ...plot.keys,
    }[e.key];
    if (!act || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    act();
  });
}

// tip shows a text at the pointer; without a text it goes away.
const tipBox = element("div", { className: "tip", hidden: true });
document.body.append(tipBox);
function tip(text, e) {
  tipBox.hidden = !text;
  if (!text) return;
  tipBox.textContent = text;
  tipBox.style.left = Math.max(4, Math.min(e.clientX + 12, innerWidth - tipBox.offsetWidth - 4)) + "px";
  tipBox.style.top = Math.min(e.clientY + 18, innerHeight - tipBox.offsetHeight - 4) + "px";
}

// zoomButtons are for those who have neither wheel nor keyboard at hand.
function zoomButtons(span) {
  const button = (text, title, onclick) => element("button", { type: "button", textContent: text, title, onclick, "aria-label": title });
  return element("span", { className: "group" },
    button("−", "Zoom out", () => span.zoom(1.5)), button("+", "Zoom in", () => span.zoom(1 / 1.5)), button("All", "Show the whole run", () => span.fit()));
}
