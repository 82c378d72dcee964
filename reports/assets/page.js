// The page: filters, selection, the table, theme, copying and printing.

const timeline = new Timeline(byId("timeline-box"));
const filters = { violation: "", key: "", f: "", node: "", process: "", type: "", text: "" };
const controls = {};

// field is a label with a select for one filter; what it offers is what the operations have.
function field(name, label, options) {
  const select = element("select", { onchange: () => choose({ [name]: select.value }) });
  for (const [value, text] of options) select.append(element("option", { value, textContent: text }));
  controls[name] = select;
  return element("label", { className: "field" }, label, select);
}

const valuesOf = (name) => [...new Set(ops.map((op) => op[name]))].filter((v) => v !== "").sort(numbersFirst);

function filterField(name, label, all) {
  const values = valuesOf(name);
  return values.length > 1 ? field(name, label, [["", all], ...values.map((v) => [String(v), String(v)])]) : "";
}

function buildTools() {
  const search = element("input", { type: "search", placeholder: "value, error, #operation", size: 18, oninput: () => choose({ text: search.value }) });
  controls.text = search;
  const lanes = element("select", { onchange: () => choose({}) });
  lanes.append(element("option", { value: "process", textContent: "process" }), element("option", { value: "node", textContent: "node" }));
  const axis = element("select", { onchange: () => choose({}) });
  axis.append(element("option", { value: "time", textContent: "time to scale" }), element("option", { value: "order", textContent: "order of events" }));
  Object.assign(controls, { lanes, axis });
  const violations = data.violations.map((v, i) => [String(i), `${i + 1}: ${v.kind}${v.key ? " on key " + v.key : ""}`]);
  byId("tools").append(
    violations.length > 0 ? field("violation", "Violation", [...violations, ["", "none"]]) : "",
    element("label", { className: "field" }, "A lane for each", lanes), element("label", { className: "field" }, "Axis", axis),
    filterField("key", "Key", "all"), filterField("f", "Function", "all"), filterField("node", "Node", "all"),
    filterField("process", "Process", "all"), filterField("type", "Outcome", "all"),
    element("label", { className: "field" }, "Search", search), zoomButtons(timeline.span),
  );
}

function passes(op) {
  for (const name of ["key", "f", "node", "process", "type"]) if (filters[name] !== "" && String(op[name]) !== filters[name]) return false;
  const text = filters.text.toLowerCase();
  return text === "" || text === "#" + op.index || [op.label, op.input, op.output, op.error, op.key].some((s) => s.toLowerCase().includes(text));
}

// choose changes filters. Another violation brings its key and its part of the run with it.
function choose(change) {
  Object.assign(filters, change);
  const focus = filters.violation === "" ? null : data.violations[Number(filters.violation)];
  if ("violation" in change) {
    for (const name of ["f", "node", "process", "type", "text"]) filters[name] = "";
    filters.key = focus && controls.key && valuesOf("key").includes(focus.key) ? focus.key : "";
  }
  for (const name of Object.keys(filters)) if (controls[name]) controls[name].value = filters[name];
  const list = ops.filter(passes);
  timeline.manyKeys = filters.key === "";
  timeline.show(list, { focus, lanes: controls.lanes.value, byOrder: controls.axis.value === "order" });
  if ("violation" in change && focus && focus.from >= 0) timeline.look(focus.from, focus.to);
  const all = list.length === ops.length;
  const sample = `a sample of ${grouped(ops.length)} out of ${grouped(data.ops.total)} operations${data.violations.length > 0 ? ", with all that show a violation" : ""}`;
  byId("shown").textContent = ops.length === data.ops.total ? `${grouped(list.length)} operations` : all ? sample : `${grouped(list.length)} operations from ${sample}`;
  fillTable();
}

// fillTable lists the operations in view, so that the timeline can be read without seeing it.
let tableTimer = 0;
function fillTable() {
  clearTimeout(tableTimer);
  if (byId("table").open) tableTimer = setTimeout(listRows, 120);
}

function listRows() {
  const inView = timeline.list.filter((op) => {
    const end = op.completed < 0 ? Infinity : timeline.place(op.completed);
    return timeline.place(op.invoked) <= timeline.span.to && end >= timeline.span.from;
  });
  const cells = (tag, list) => element("tr", {}, ...list.map((c) => element(tag, {}, c)));
  const rows = inView.slice(0, 300).map((op) => cells("td", [
    element("a", { href: "#op-" + op.index, textContent: "#" + op.index }), op.label, op.type, op.key, String(op.process), op.node,
    duration(op.invoked), op.completed < 0 ? "never returned" : duration(op.completed - op.invoked), op.error,
  ]));
  const head = element("thead", {}, cells("th", ["operation", "what", "outcome", "key", "process", "node", "invoked at", "took", "error"]));
  const note = inView.length > 300 ? `The first 300 of ${grouped(inView.length)} operations in view; zoom in or filter for the others.` : `${inView.length} operations in view.`;
  byId("rows").replaceChildren(element("table", {}, element("caption", { textContent: note }), head, element("tbody", {}, ...rows)));
}

// select shows all of one operation and puts its link into the address.
function select(op) {
  timeline.selected = op;
  timeline.surface.draw();
  const box = byId("detail");
  box.hidden = !op;
  if (!op) return;
  history.replaceState(null, "", "#op-" + op.index);
  const position = timeline.order.get(op.index);
  const facts = [
    ["function", op.f], ["key", op.key], ["input", op.input], ["output", op.output], ["outcome", op.type + (op.error ? ": " + op.error : "")],
    ["process", String(op.process)], ["node", op.node], ["invoked", clock(op.invoked, 1e3)],
    ["completed", op.completed < 0 ? "never" : `${clock(op.completed, 1e3)}, after ${duration(op.completed - op.invoked)}`],
    ["in history.jsonl", op.end < 0 ? `line ${op.index + 1}` : `lines ${op.index + 1} and ${op.end + 1}`],
    ["linearization", timeline.stuck.has(op.index) ? "cannot be next" : position ? `number ${position}` : ""],
  ];
  const list = element("dl", { className: "facts" });
  for (const [name, value] of facts) if (value) list.append(element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })));
  const title = element("h3", { textContent: `Operation #${op.index}: ${op.label}` });
  const close = element("button", { type: "button", textContent: "Close", onclick: () => select(null) });
  box.replaceChildren(element("div", { className: "row" }, title, copyButton(() => location.href, "Copy link"), close), list);
}

function copyButton(text, label = "Copy") {
  const button = element("button", { type: "button", className: "copy", textContent: label });
  button.onclick = () => copy(text(), button);
  return button;
}

async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a page from a file may have no clipboard
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = before), 1200);
}

// followLink selects the operation that the address names.
function followLink() {
  const match = /^#op-(\d+)$/.exec(location.hash);
  if (!match) return;
  const op = opByIndex.get(Number(match[1]));
  byId("timeline").scrollIntoView();
  if (!op) {
    byId("detail").hidden = false;
    byId("detail").replaceChildren(element("p", { textContent: `Operation #${match[1]} is not on this page, which shows a sample. It is line ${Number(match[1]) + 1} of history.jsonl.` }));
    return;
  }
  if (!passes(op)) choose({ key: "", f: "", node: "", process: "", type: "", text: "" });
  select(op);
  timeline.reveal(op);
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = "Theme: " + theme;
  redraw();
}

function startTheme() {
  const themes = ["auto", "light", "dark"];
  let theme = "auto";
  try { // storage may be refused to a page from a file
    theme = themes.find((t) => t === localStorage.getItem("rift-theme")) ?? "auto";
  } catch {}
  setTheme(theme);
  byId("theme").onclick = () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try {
      localStorage.setItem("rift-theme", theme);
    } catch {}
    setTheme(theme);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

// startPrinting opens what is folded and draws for paper, and puts all back.
function startPrinting() {
  let folded = [];
  let theme;
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")].filter((d) => d.id !== "table");
    for (const d of folded) d.open = true;
    theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    redraw();
  });
  addEventListener("afterprint", () => {
    for (const d of folded) d.open = false;
    setTheme(theme ?? "auto");
  });
}

function startLegend() {
  const item = (type, text) => element("span", { className: "swatch" }, element("i", { className: "bar " + type }), text);
  byId("legend").append(item("ok", "ok: it took effect"), item("fail", "fail: it certainly did not"), item("info", "info: nobody knows"));
  if (data.violations.length > 0) byId("legend").append(item("proof", "shows the violation"), element("span", {}, "Small numbers: the order that was found, as far as it goes."));
}

buildTools();
startLegend();
timeline.onselect = select;
timeline.span.watchers.push(fillTable);
byId("table").addEventListener("toggle", fillTable);
choose({ violation: data.violations.length > 0 ? "0" : "" });
startPlots();
startClocks();
startTheme();
startPrinting();
for (const button of document.querySelectorAll(".commands .copy")) button.onclick = () => copy(button.previousElementSibling.textContent, button);
for (const button of document.querySelectorAll("button.show")) {
  button.onclick = () => {
    choose({ violation: String(Number(button.dataset.violation) - 1) });
    byId("timeline").scrollIntoView({ behavior: "smooth" });
  };
}
addEventListener("hashchange", followLink);
followLink();
