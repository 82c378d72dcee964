// The timeline: a lane for each client or node, a bar from each invocation to its completion.

const rowHeight = 28;
const laneGap = 5;
const laneGutter = 112;
const bandTop = 18;

class Timeline {
  constructor(box) {
    this.box = box;
    this.span = new Span(0, data.length);
    this.spacer = element("div");
    this.surface = new Surface(box, "Timeline of operations; the table below says the same in words", 100, (c) => this.render(c));
    box.append(this.spacer);
    box.addEventListener("scroll", () => this.surface.draw());
    this.span.watchers.push(() => this.surface.draw());
    this.unit = (x) => this.span.from + ((x - laneGutter) / (this.surface.width - laneGutter)) * (this.span.to - this.span.from);
    gestures(this.surface.canvas, this.span, this.unit, {
      click: (e) => this.onselect?.(this.under(e)),
      hover: (e) => this.hover(e),
      leave: () => tip(""),
      keys: { n: () => this.step(1), p: () => this.step(-1), ArrowDown: () => (box.scrollTop += rowHeight), ArrowUp: () => (box.scrollTop -= rowHeight) },
    });
  }

  // show lays out a choice of operations. focus is the violation to emphasise, or null; lanes is "process" or "node".
  show(list, { focus, lanes, byOrder }) {
    this.list = list;
    this.focus = focus;
    this.proof = new Set(focus ? [...focus.ops, ...focus.stuck] : []);
    this.stuck = new Set(focus ? focus.stuck : []);
    this.order = new Map(focus ? focus.linearized.map((index, i) => [index, focus.first + i]) : []);
    this.lanesBy = lanes;
    const seen = [this.instant(this.span.from), this.instant(this.span.to)];
    this.events = byOrder && list.length > 0 ? warp(list) : null;
    this.layOut();
    if (this.events) this.span.bound(-1, this.events.times.length, 4);
    else this.span.bound(0, data.length);
    this.look(...seen);
  }

  // place and instant turn an instant into a place on the axis, and back.
  place(t) {
    return this.events ? this.events.place(t) : t;
  }
  instant(p) {
    return this.events ? this.events.instant(p) : p;
  }

  // look shows a part of the run, given in instants.
  look(from, to) {
    this.span.set(this.place(from), this.place(to));
  }

  // layOut gives each node its lane, or each client: a process that was retired and the one that followed it share a lane. Where
  // operations of a lane overlap they take several rows. Lanes that show the violation come first,
  // in the order of time.
  layOut() {
    const groups = this.lanesBy === "node" ? Map.groupBy(this.list, (op) => op.node) : this.clients();
    const shows = (list) => list.find((op) => this.proof.has(op.index))?.invoked ?? Number.MAX_VALUE;
    this.lanes = [...groups].sort(([a, x], [b, y]) => shows(x) - shows(y) || numbersFirst(a, b)).map(([name, list]) => ({ name, list, rows: [] }));
    let y = 0;
    for (const lane of this.lanes) {
      for (const op of lane.list) {
        let row = lane.rows.find((r) => r.end <= op.invoked);
        if (!row) lane.rows.push((row = { ops: [], y: y + lane.rows.length * rowHeight }));
        row.ops.push(op);
        row.end = op.completed < 0 ? Infinity : op.completed;
      }
      lane.y = y;
      lane.height = lane.rows.length * rowHeight;
      y += lane.height + laneGap;
    }
    this.top = bandTop + 2 + bandStrip + (this.focus && this.focus.at >= 0 ? 18 : 0);
    const height = Math.min(this.top + y + 4, 480);
    this.surface.height = Math.max(height, this.top + rowHeight * 2);
    this.box.style.maxHeight = this.surface.height + "px";
    this.spacer.style.height = Math.max(0, this.top + y + 4 - this.surface.height) + "px";
    this.surface.draw();
  }

  // clients joins processes of one node that follow one another in time.
  clients() {
    const lanes = [];
    const processes = [...Map.groupBy(this.list, (op) => op.process).values()];
    for (const list of processes.sort((a, b) => a[0].invoked - b[0].invoked || a[0].process - b[0].process)) {
      const last = list[list.length - 1];
      let lane = lanes.find((l) => l.node === list[0].node && l.end <= list[0].invoked);
      if (!lane) lanes.push((lane = { process: list[0].process, node: list[0].node, ops: [] }));
      lane.ops.push(...list);
      lane.end = last.completed < 0 ? Infinity : last.completed;
    }
    return new Map(lanes.map((l) => [l.process, l.ops]));
  }

  // laneName is the node, or the processes whose operations are in view.
  laneName(lane) {
    if (this.lanesBy === "node") return lane.name || "no node";
    const { from, to } = this.span;
    const inView = lane.list.filter((op) => this.place(op.invoked) <= to && (op.completed < 0 || this.place(op.completed) >= from));
    const processes = [...new Set(inView.map((op) => op.process))];
    return `process ${processes[0] ?? lane.name}` + (processes.length > 1 ? ` +${processes.length - 1}` : "");
  }

  x(t) {
    return this.xOf(this.place(t));
  }
  xOf(p) {
    return laneGutter + ((p - this.span.from) / (this.span.to - this.span.from)) * (this.surface.width - laneGutter);
  }

  // extent is an operation's bar in pixels, a few of them at least.
  extent(op) {
    const left = this.x(op.invoked);
    const right = op.completed < 0 ? this.surface.width : this.x(op.completed);
    return [left, Math.max(right, left + 4)];
  }

  render(c) {
    if (!this.lanes) return;
    const area = { left: laneGutter, right: this.surface.width, top: this.top, bottom: this.surface.height };
    const scroll = this.box.scrollTop;
    this.drawLanes(c, area, scroll);
    c.save();
    c.beginPath();
    c.rect(area.left, 0, area.right - area.left, area.bottom);
    c.clip();
    drawBands(c, area, (t) => this.x(t), bandTop);
    this.drawTicks(c, area);
    c.beginPath();
    c.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
    c.clip();
    const late = [];
    for (const lane of this.lanes) {
      if (lane.y + lane.height < scroll || lane.y > scroll + area.bottom - area.top) continue;
      for (const row of lane.rows) this.drawRow(c, area, row, area.top + row.y - scroll, late);
    }
    c.restore();
    this.drawStop(c, area);
    c.save();
    c.beginPath();
    c.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
    c.clip();
    for (const draw of late) draw();
    c.restore();
    if (this.list.length === 0) {
      c.font = font(13);
      c.fillStyle = colour("quiet");
      c.fillText("No operation passes the filters.", area.left + 12, area.top + 20);
    }
  }

  drawLanes(c, area, scroll) {
    c.font = font(12);
    for (const [i, lane] of this.lanes.entries()) {
      const y = area.top + lane.y - scroll;
      if (y + lane.height < area.top || y > area.bottom) continue;
      if (i % 2 === 0) {
        c.fillStyle = colour("sunk");
        c.globalAlpha = 0.55;
        c.fillRect(0, Math.max(y, area.top) - 1, area.right, Math.min(y + lane.height, area.bottom) - Math.max(y, area.top) + 2);
        c.globalAlpha = 1;
      }
      const text = y + rowHeight / 2 + 3;
      if (text < area.top + 4) continue;
      c.fillStyle = colour("ink");
      c.fillText(fitText(c, this.laneName(lane), laneGutter - 12), 6, text);
    }
  }

  drawTicks(c, area) {
    c.font = font(11);
    c.textAlign = "center";
    const put = (x, text) => {
      c.fillStyle = colour("line");
      c.globalAlpha = 0.5;
      c.fillRect(Math.round(x), area.top - 2, 1, area.bottom);
      c.globalAlpha = 1;
      c.fillStyle = colour("quiet");
      if (x > area.left + 24 && x < area.right - 30) c.fillText(text, x, 8);
    };
    if (this.events) {
      const { times } = this.events;
      const every = Math.max(1, Math.ceil((110 * (this.span.to - this.span.from)) / (area.right - area.left)));
      for (let i = Math.max(0, Math.ceil(this.span.from / every) * every); i < times.length && i <= this.span.to; i += every) put(this.xOf(i), clock(times[i], 1e5));
    } else {
      const { step, list } = steps(this.span.from, this.span.to, (area.right - area.left) / 110);
      for (const t of list) put(this.xOf(t), clock(t, step));
    }
    c.textAlign = "left";
  }

  // drawRow draws the operations of a row. Those that are emphasised come later, over everything else.
  drawRow(c, area, row, y, late) {
    let free = -Infinity; // up to where the numbers of the row stand
    row.ops.forEach((op, i) => {
      const bar = this.barOf(op, y);
      if (bar.tail < area.left || bar.left > area.right) return;
      const follower = row.ops[i + 1];
      const next = follower ? this.x(follower.invoked) : area.right;
      const text = this.manyKeys && op.key ? `${op.key}: ${op.label}` : op.label;
      if (bar.edge) {
        late.push(() => {
          drawBar(c, bar);
          drawLabel(c, area, bar, text, follower && this.proof.has(follower.index) ? next : area.right);
          this.drawNumber(c, area, op, bar.left, y);
        });
        return;
      }
      c.globalAlpha = this.proof.size > 0 ? 0.5 : 1;
      if (bar.right - bar.left < 6 && next - bar.right < 16) drawSpeck(c, bar);
      else {
        drawBar(c, bar);
        drawLabel(c, area, bar, text, next);
        if (bar.left > free) free = this.drawNumber(c, area, op, bar.left, y);
      }
      c.globalAlpha = 1;
    });
  }

  // barOf is an operation's bar, with an edge if it is to be emphasised.
  barOf(op, y) {
    const [left, right] = this.extent(op);
    const edge = op === this.selected ? "accent" : this.stuck.has(op.index) ? "invalid" : this.proof.has(op.index) ? "ink" : null;
    const tail = op.type !== "info" ? right : edge ? this.surface.width : right + 24;
    return { type: op.type, left, right, tail, y, edge };
  }

  // drawNumber writes the place in the linearization above the bar, and says where the number ends.
  drawNumber(c, area, op, left, y) {
    const number = this.order.get(op.index);
    const stuck = this.stuck.has(op.index);
    if (!number && !stuck) return -Infinity;
    c.font = font(10, stuck ? 700 : 400);
    const text = stuck ? "cannot be next" : String(number);
    const width = c.measureText(text).width;
    const at = Math.max(Math.min(left, area.right - width - 4), area.left + 2);
    if (stuck) halo(c, at, y + 5, width, 11);
    c.fillStyle = colour(stuck ? "invalid" : "quiet");
    c.fillText(text, at, y + 5);
    return at + width + 4;
  }

  // drawStop marks the instant behind which no linearization continues.
  drawStop(c, area) {
    if (!this.focus || this.focus.at < 0) return;
    const x = this.x(this.focus.at);
    if (x < area.left || x > area.right) return;
    c.strokeStyle = colour("invalid");
    c.lineWidth = 2;
    c.setLineDash([6, 3]);
    c.beginPath();
    c.moveTo(x, area.top - 4);
    c.lineTo(x, area.bottom);
    c.stroke();
    c.setLineDash([]);
    c.font = font(11, 700);
    c.fillStyle = colour("invalid");
    const text = "no linearization continues past here";
    const width = c.measureText(text).width;
    c.fillText(text, Math.max(area.left + 2, Math.min(x - width / 2, area.right - width - 4)), area.top - 11);
  }

  under(e) {
    const y = e.offsetY - this.top + this.box.scrollTop;
    if (e.offsetY < this.top || e.offsetX < laneGutter) return null;
    const row = this.lanes?.flatMap((l) => l.rows).find((r) => y >= r.y && y < r.y + rowHeight);
    let best = null;
    for (const op of row?.ops ?? []) {
      const [left, right] = this.extent(op);
      const away = Math.max(left - e.offsetX, e.offsetX - right, 0);
      if (away <= 4 && (!best || away < best.away)) best = { op, away };
    }
    return best?.op ?? null;
  }

  hover(e) {
    const op = this.under(e);
    const band = bandUnder(e, (x) => this.instant(this.unit(x)), bandTop);
    this.surface.canvas.style.cursor = op ? "pointer" : "grab";
    if (!op) return tip(band ? bandText(band) : "", e);
    const took = op.completed < 0 ? "never returned" : "took " + duration(op.completed - op.invoked);
    tip(`#${op.index}  ${op.key ? "key " + op.key + ": " : ""}${op.label}  ${op.type}, process ${op.process}, ${op.node}, at ${duration(op.invoked)}, ${took}`, e);
  }

  // step selects the next or the previous operation in the order of invocation.
  step(by) {
    if (this.list.length === 0) return;
    let at = this.list.indexOf(this.selected);
    if (at < 0) at = this.list.findIndex((op) => this.place(op.invoked) >= this.span.from) - (by > 0 ? 1 : 0);
    const op = this.list[Math.min(Math.max(at + by, 0), this.list.length - 1)];
    this.onselect?.(op);
    this.reveal(op);
  }

  // reveal moves the view so that an operation stands in it.
  reveal(op) {
    const p = this.place(op.invoked);
    if (p < this.span.from || p > this.span.to) {
      const half = (this.span.to - this.span.from) / 2;
      this.span.set(p - half, p + half);
    }
    const row = this.lanes.flatMap((l) => l.rows).find((r) => r.ops.includes(op));
    const room = this.surface.height - this.top;
    if (row && (row.y < this.box.scrollTop || row.y + rowHeight > this.box.scrollTop + room)) this.box.scrollTop = row.y - room / 2;
  }
}
