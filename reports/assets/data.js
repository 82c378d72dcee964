// The data block, and what makes elements of it. Text from outside reaches the page through textContent alone.

const data = JSON.parse(document.getElementById("data").textContent);

// ops are the operations in the order of invocation. A completed of -1 stands for never.
const ops = data.ops.index.map((index, i) => ({
  index,
  end: data.ops.end[i],
  process: data.ops.process[i],
  f: data.ops.fs[data.ops.f[i]],
  key: data.ops.keys[data.ops.key[i]],
  node: data.ops.nodes[data.ops.node[i]],
  type: data.ops.type[i],
  invoked: data.ops.invoked[i],
  completed: data.ops.completed[i],
  label: data.ops.label[i],
  input: data.ops.input[i],
  output: data.ops.output[i],
  error: data.ops.error[i],
}));
const opByIndex = new Map(ops.map((op) => [op.index, op]));

const byId = (id) => document.getElementById(id);

// element makes an element with properties and children; a child that is a string becomes text.
function element(tag, properties = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "for" || name === "role") e.setAttribute(name, value);
    else e[name] = value;
  }
  e.append(...children);
  return e;
}

// duration prints nanoseconds with their unit, as the rest of the report does.
function duration(ns) {
  const trim = (x) => String(Number(x.toFixed(3)));
  if (ns === 0 || Math.abs(ns) >= 1e9) return trim(ns / 1e9) + " s";
  if (Math.abs(ns) >= 1e6) return trim(ns / 1e6) + " ms";
  return trim(ns / 1e3) + " µs";
}

// clock prints an instant of the run with as many digits as a step between two ticks needs.
function clock(ns, step) {
  const digits = Math.min(9, Math.max(0, 9 - Math.floor(Math.log10(Math.max(1, step)))));
  return (ns / 1e9).toFixed(digits) + " s";
}

const grouped = (n) => n.toLocaleString("en-US");

// numbersFirst orders names such as n2 and n10, or 7 and 12, as people do.
const numbersFirst = (a, b) => String(a).localeCompare(String(b), "en", { numeric: true });
