// The second view: who calls whom. A box is a service with a line for each port it answers on, an arrow those who call it;
// the table below says the same, and more.

const BOX = 196;
const GAP = 44;
const EDGE = 30;
const LINE = 19;
const HEAD = 24;
const MOST_LINES = 6;

async function loadMap(since, signal) {
  return pages("list_services", { ...since, limit: 200, max_tokens: 8000 }, signal, 8);
}

// Callers are told by name, those who answer by name and port.
function placeOf(server) {
  const at = server.lastIndexOf(":");
  return at > 0 && /^\d+$/.test(server.slice(at + 1)) ? [server.slice(0, at), server.slice(at)] : [server, ""];
}

function graphOf(calls) {
  const services = new Map();
  const service = (name) => {
    if (!services.has(name)) services.set(name, { name, ports: new Map(), gateway: null, callees: new Set(), layer: 0 });
    return services.get(name);
  };
  const arrows = [];
  for (const call of calls) {
    const [name, port] = placeOf(call.server);
    const [to, from] = [service(name), service(call.client)];
    to.gateway = to.gateway || call.gateway;
    const line = to.ports.get(port) || { port, requests: 0, errors: 0, p95: null };
    line.requests += call.requests;
    line.errors += call.errors;
    if (call.p95_ms !== null) line.p95 = Math.max(line.p95, call.p95_ms);
    to.ports.set(port, line);
    if (to !== from) from.callees.add(to);
    arrows.push({ from, to, line, call });
  }
  return { services: [...services.values()], arrows };
}

// Left to right by the longest way from those whom nobody calls; what closes a circle goes back.
function layered({ services, arrows }) {
  const state = new Map();
  const order = [];
  const visit = (service) => {
    state.set(service, "open");
    for (const callee of service.callees) {
      if (state.get(callee) === "open") service.callees.delete(callee);
      else if (!state.has(callee)) visit(callee);
    }
    state.set(service, "done");
    order.unshift(service);
  };
  const called = new Set(arrows.filter((arrow) => arrow.to !== arrow.from).map((arrow) => arrow.to));
  services.filter((service) => !called.has(service)).forEach(visit);
  services.filter((service) => !state.has(service)).forEach(visit);
  for (const service of order) for (const callee of service.callees) callee.layer = Math.max(callee.layer, service.layer + 1);
  const layers = [];
  for (const service of order) (layers[service.layer] = layers[service.layer] || []).push(service);
  // Neighbours near each other: each where the middle of its neighbours is, to and fro.
  const near = new Map(services.map((service) => [service, []]));
  for (const { from, to } of arrows) if (from !== to) near.get(from).push(to), near.get(to).push(from);
  for (let sweep = 0; sweep < 6; sweep += 1) {
    const rank = new Map();
    for (const layer of layers) layer.forEach((service, index) => rank.set(service, (index + 0.5) / layer.length));
    const middle = (service) => near.get(service).reduce((sum, other) => sum + rank.get(other), 0) / (near.get(service).length || 1);
    for (const layer of sweep % 2 ? [...layers].reverse() : layers) {
      const wanted = new Map(layer.map((service) => [service, middle(service)]));
      layer.sort((a, b) => wanted.get(a) - wanted.get(b));
      layer.forEach((service, index) => rank.set(service, (index + 0.5) / layer.length));
    }
  }
  return layers;
}

const linesOf = (service) => [...service.ports.values()].sort((a, b) => b.errors - a.errors || b.requests - a.requests);

function placed(layers) {
  const gap = 22;
  const heightOf = (service) => HEAD + 8 + Math.min(service.ports.size, MOST_LINES + 1) * LINE;
  const heights = layers.map((layer) => layer.reduce((sum, service) => sum + heightOf(service) + gap, -gap));
  const tallest = Math.max(...heights);
  layers.forEach((layer, column) => {
    let y = 20;
    for (const service of layer) {
      Object.assign(service, { x: EDGE + column * (BOX + GAP), y, height: heightOf(service) });
      linesOf(service).forEach((line, index) => (line.y = y + HEAD + (Math.min(index, MOST_LINES) + 0.5) * LINE));
      y += service.height + gap;
    }
  });
  return { width: 2 * EDGE + layers.length * (BOX + GAP) - GAP, height: tallest + 40 };
}

function arrowOf({ from, to, line, call }) {
  // To the right, from the right side to the left one; back, from the left side to the right one; to itself, on the left.
  const isBack = to.layer < from.layer;
  const [x1, y1] = [from === to || isBack ? from.x : from.x + BOX, from.y + HEAD / 2];
  const [x2, y2] = [isBack ? to.x + BOX + 7 : to.x - 7, line.y];
  const bend = from === to ? 26 : Math.max(24, Math.abs(x2 - x1) / 2);
  const [out, into] = [from === to || isBack ? -bend : bend, isBack ? bend : -bend];
  const path = `M${x1},${y1} C${x1 + out},${y1} ${x2 + into},${y2} ${x2},${y2}`;
  const tip = isBack ? `M${x2 - 6},${y2} l8,-4 v8 z` : `M${x2 + 6},${y2} l-8,-4 v8 z`;
  const width = Math.min(6, 1 + Math.log10(1 + call.requests));
  const kind = call.errors > 0 ? "bad" : call.client_errors > 0 ? "poor" : "good";
  const told = `${call.client} → ${call.server}: ${call.requests} requests, ${share(call.errors / call.requests)} errors, p95 ${milliseconds(call.p95_ms)}`;
  const node = drawing("g", { class: "arrow " + kind + (isBack ? " back" : "") }, drawing("path", { d: path }), drawing("path", { class: "tip", d: tip }), drawing("title", {}, told));
  node.firstChild.style.strokeWidth = width + "px";
  return node;
}

const compact = (count) => (count >= 1e6 ? (count / 1e6).toFixed(1) + "M" : count >= 1e4 ? Math.round(count / 1e3) + "k" : String(count));

// Measured by its letters: a box is as wide as some of them.
const shortened = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);

function boxOf(service, select) {
  const { x, y, height } = service;
  const lines = linesOf(service);
  const told = lines.slice(0, lines.length > MOST_LINES + 1 ? MOST_LINES : MOST_LINES + 1).map((line) => {
    const figures = `${compact(line.requests)} · ${share(line.errors / line.requests)} · ${milliseconds(line.p95)}`;
    return drawing("text", { class: "line" + (line.errors ? " bad" : ""), x: x + 9, y: line.y + 4 }, drawing("tspan", { class: "port" }, line.port || "·"), " " + figures);
  });
  if (lines.length > MOST_LINES + 1) told.push(drawing("text", { class: "line", x: x + 9, y: y + HEAD + (MOST_LINES + 0.5) * LINE + 4 }, `and ${lines.length - MOST_LINES} more ports`));
  const errors = lines.reduce((sum, line) => sum + line.errors, 0);
  const node = drawing(
    "g",
    { class: "service" + (errors ? " bad" : ""), role: "button", tabindex: "0", "aria-pressed": "false", "aria-label": service.name + (service.gateway ? ", a gateway" : "") },
    drawing("title", {}, service.name + (service.gateway ? " (gateway: " + service.gateway + ")" : "")),
    drawing("rect", { x, y, width: BOX, height, rx: 7 }),
    drawing("text", { class: "name", x: x + 9, y: y + 17 }, shortened(service.name, service.gateway ? 14 : 20)),
    service.gateway ? drawing("text", { class: "gateway", x: x + BOX - 60, y: y + 16 }, "gateway") : null,
    told,
  );
  node.addEventListener("click", () => select(service));
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      select(service);
    }
  });
  return node;
}

// Roles are written out: laid out as blocks on a narrow screen, a table is none to a screen reader.
const CALL_COLUMNS = [
  ["caller", (call) => captured(call.client)],
  ["service", (call) => captured(call.server)],
  ["requests", (call) => String(call.requests)],
  ["errors", (call) => (call.errors ? element("b", { class: "bad" }, `${call.errors} (${share(call.errors / call.requests)})`) : "0")],
  ["4xx", (call) => String(call.client_errors)],
  ["p50", (call) => milliseconds(call.p50_ms)],
  ["p95", (call) => milliseconds(call.p95_ms)],
  ["p99", (call) => milliseconds(call.p99_ms)],
  ["gateway", (call) => call.gateway || ""],
];

function drawMap(answer) {
  const calls = rowsOf(answer);
  if (!calls.length) return [opening("Who calls whom", answer)];
  const graph = graphOf(calls);
  const { width, height } = placed(layered(graph));
  const rows = new Map(calls.map((call) => [call, element("tr", { role: "row" }, CALL_COLUMNS.map(([name, cell]) => element("td", { role: "cell", "data-label": name }, cell(call))))]));
  const arrows = new Map(graph.arrows.map((arrow) => [arrow, arrowOf(arrow)]));
  let chosen = null;
  const boxes = new Map();
  const select = (service) => {
    chosen = chosen === service ? null : service;
    for (const [box, node] of boxes) {
      const isNear = graph.arrows.some(({ from, to }) => (from === chosen && to === box) || (to === chosen && from === box));
      node.setAttribute("aria-pressed", String(box === chosen));
      node.classList.toggle("dim", chosen !== null && box !== chosen && !isNear);
    }
    for (const [arrow, node] of arrows) {
      const isOf = chosen === null || arrow.from === chosen || arrow.to === chosen;
      node.classList.toggle("dim", !isOf);
      rows.get(arrow.call).hidden = !isOf;
    }
  };
  for (const service of graph.services) boxes.set(service, boxOf(service, select));
  return [
    opening("Who calls whom", answer),
    element("p", { class: "faint" }, "Callers stand left of those they call. A line of a box is a port with its requests, the share that failed (5xx and failed connections), and the worst p95 of its callers. Choose a box to see its calls alone."),
    element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Map of services; the table below says the same" }, drawing("svg", { class: "map", width, height, viewBox: `0 0 ${width} ${height}` }, [...arrows.values()], [...boxes.values()])),
    element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Calls" }, element("table", { role: "table" }, element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, CALL_COLUMNS.map(([name]) => element("th", { scope: "col", role: "columnheader" }, name)))), element("tbody", { role: "rowgroup" }, [...rows.values()]))),
    answer.next_cursor ? element("p", { class: "note" }, "There are more calls than are drawn here: choose a shorter window.") : null,
  ];
}
