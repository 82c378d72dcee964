// The bars of the timeline. A bar is {type, left, right, tail, y, edge}: an operation's outcome, its ends in pixels, how far an open
// end reaches, the top of its row, and the colour of the thick edge that emphasises it, or null.

const barHeight = 15;
const barTop = 11; // below the top of the row, where the small numbers stand

// drawBar shows the outcome by shape as well as colour: ok is full, fail is hollow with a cross, info is hatched and has no end.
function drawBar(c, { type, left, right, tail, y, edge }) {
  const top = y + barTop;
  const width = Math.max(4, right - left);
  c.lineWidth = 1.2;
  c.strokeStyle = colour(type);
  c.fillStyle = type === "info" ? hatch(c, "info", "info-fill") : colour(type === "fail" ? "card" : "ok-fill");
  c.fillRect(left, top, width, barHeight);
  c.beginPath();
  if (type === "info") {
    c.moveTo(left + width, top + 0.5);
    c.lineTo(left + 0.5, top + 0.5);
    c.lineTo(left + 0.5, top + barHeight - 0.5);
    c.lineTo(left + width, top + barHeight - 0.5);
  } else c.rect(left + 0.5, top + 0.5, width - 1, barHeight - 1);
  if (type === "fail") {
    const [x, middle] = [right - Math.min(6, width / 2), top + barHeight / 2];
    for (const d of [-3, 3]) {
      c.moveTo(x - 3, middle - d);
      c.lineTo(x + 3, middle + d);
    }
  }
  c.stroke();
  if (tail > right) {
    c.setLineDash([3, 4]);
    c.beginPath();
    c.moveTo(right, top + barHeight / 2);
    c.lineTo(tail, top + barHeight / 2);
    c.stroke();
    c.setLineDash([]);
  }
  if (edge) {
    c.lineWidth = 2.5;
    c.strokeStyle = colour(edge);
    c.strokeRect(left - 1, top - 1, width + 2, barHeight + 2);
  }
}

// drawSpeck is a bar too small for its shape: fail is half as high.
function drawSpeck(c, { type, left, right, y }) {
  const height = type === "fail" ? barHeight / 2 : barHeight;
  c.fillStyle = colour(type);
  c.fillRect(left, y + barTop + barHeight - height, Math.max(1.5, right - left - 2.5), height);
}

// drawLabel writes into the bar, or behind it if there is room up to the next. An emphasised bar always has its
// label, if need be before it.
function drawLabel(c, area, { type, left, right, y, edge }, text, next) {
  if (!edge && Math.max(right - left, next - right) < 24) return;
  c.font = font(12, edge ? 600 : 400);
  const width = textWidth(c, text);
  const middle = y + barTop + barHeight / 2 + 0.5;
  const from = Math.max(left, area.left);
  const inside = width + 10 < Math.min(right, area.right) - from && !(edge && type !== "ok");
  const behind = width + 8 < next - right;
  if (!inside && !behind && !edge) return;
  const x = inside ? from + 5 : behind ? right + 5 : Math.max(area.left + 2, left - width - 6);
  if (edge && !inside) halo(c, x, middle, width, 16);
  c.fillStyle = colour("ink");
  c.fillText(text, x, middle);
}

// halo clears what stands behind a text.
function halo(c, x, middle, width, height) {
  c.fillStyle = colour("card");
  c.globalAlpha = 0.9;
  c.fillRect(x - 2, middle - height / 2, width + 4, height);
  c.globalAlpha = 1;
}
