// The faults behind the plots.

// bands are the faults, in rows of which none overlaps itself. Each knows where the next of its row begins.
const bandKinds = [...new Set(data.bands.map((b) => b.kind))];
const bandRows = [];
for (const b of data.bands) {
  b.row = bandRows.findIndex((last) => last.to <= b.from);
  if (b.row < 0) b.row = bandRows.length;
  else bandRows[b.row].next = b.from;
  bandRows[b.row] = b;
  b.next = data.length;
  b.colour = "band-" + (bandKinds.indexOf(b.kind) % 5);
}
const bandStrip = bandRows.length * 17;

// drawBands tints the time of each fault between two heights, and writes the names above where there is a strip for them.
function drawBands(c, area, x, strip) {
  for (const b of data.bands) {
    const [left, right] = [Math.max(x(b.from), area.left), Math.min(x(b.to), area.right)];
    if (right < area.left || left > area.right) continue;
    c.fillStyle = colour(b.colour);
    c.globalAlpha = 0.16 / Math.max(2, bandRows.length); // overlapping faults must not hide what they stand behind
    c.fillRect(left, area.top, Math.max(1, right - left), area.bottom - area.top);
    if (strip !== undefined) {
      const y = strip + b.row * 17;
      c.globalAlpha = 0.2;
      c.fillRect(left, y, Math.max(1, right - left), 15);
      c.globalAlpha = 1;
      c.fillRect(left, y, 2, 15);
      c.font = font(11, 500);
      c.fillStyle = colour("ink");
      const text = b.state === "proven" ? b.label : b.label + " (not proven)";
      c.fillText(fitText(c, text, Math.min(x(b.next), area.right) - left - 8), left + 5, y + 8);
    }
    c.globalAlpha = 1;
  }
}

// bandUnder is the fault whose name stands at a point, if the names begin at the height strip.
function bandUnder(e, unit, strip) {
  if (strip === undefined || e.offsetY < strip || e.offsetY > strip + bandStrip) return null;
  const [row, t] = [Math.floor((e.offsetY - strip) / 17), unit(e.offsetX)];
  return data.bands.find((b) => b.row === row && t >= b.from && t <= b.to) ?? null;
}

// bandText is all that is known of a fault.
const bandText = (b) => `Fault ${b.id}: ${b.label}, ${b.state}, ${duration(b.from)} to ${duration(b.to)}\n${b.told}`;
