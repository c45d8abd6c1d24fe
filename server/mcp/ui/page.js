// The page: which view is shown, of what, and what is asked for it.

const byId = (id) => document.getElementById(id);
const main = byId("main");
const state = { view: "errors", id: "" };
const visited = [];
let asking = new AbortController();

// Ids are the store's own words. Anything else that is looked for may be a secret, and stays out of the address.
const isId = (text) => /^[a-z]_[a-z0-9]{1,40}$/.test(text);

function since() {
  const chosen = byId("since").value;
  const text = chosen === "other" ? byId("mark").value.trim() : chosen;
  return text ? { since: text } : {};
}

function shown(nodes) {
  main.replaceChildren(...nodes.flat(3).filter((node) => node !== null && node !== undefined));
  main.setAttribute("aria-busy", "false");
}

function failed(error, into) {
  if (error.name === "AbortError") return;
  if (error instanceof Locked) {
    byId("gate-why").textContent = error.message;
    byId("gate").hidden = false;
    if (into === main) shown([]);
    byId("token").focus();
    return;
  }
  const told = element("p", { class: "problem", role: "alert" }, error.message);
  if (into === main) shown([state.view === "transaction" ? finder() : null, told]);
  else into.replaceChildren(told);
}

// The field that asks for a transaction.
function finder() {
  const field = element("input", { id: "wanted", autocomplete: "off", spellcheck: "false", maxlength: "400", placeholder: "x_…, a trace id, a request id, an order number" });
  field.value = state.id;
  const form = element("form", { class: "finder" }, element("label", { for: "wanted" }, "Exchange, group, or a value that the requests carried"), field, element("button", { type: "submit" }, "Trace"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) go({ view: "transaction", id: field.value.trim() });
  });
  return form;
}

const act = {
  trace: (id) => go({ view: "transaction", id }),
  explain: (group) => go({ view: "transaction", id: group }),
  async more(node, cursor) {
    node.disabled = true;
    try {
      const next = await call("find_errors", { ...since(), limit: 50, max_tokens: 8000, detail: "detailed", cursor }, asking.signal);
      const drawn = drawErrors(next, act).flat(3).filter(Boolean);
      main.querySelector(".groups").append(...drawn.find((part) => part.matches(".groups")).childNodes);
      node.replaceWith(...drawn.filter((part) => part.matches(".more")));
    } catch (error) {
      node.after(element("p", { class: "problem", role: "alert" }, error.message));
      node.remove();
    }
  },
};

async function showTransaction(signal) {
  if (!state.id) {
    shown([element("h2", { tabindex: "-1" }, "Transaction"), finder(), element("p", { class: "faint" }, "One request across processes: what it caused, when, and what speaks for each link. Examples stand at the groups of Errors.")]);
    return;
  }
  // A group is explained as such, and drawn by the exchange that stands for it.
  const isGroup = state.id.startsWith("g_") && isId(state.id);
  let explained = null;
  let traced = state.id;
  if (isGroup) {
    explained = await call("explain_failure", { id: state.id, max_tokens: 8000 }, signal);
    traced = rowsOf(explained.chain)[0].id;
  }
  drawWhole(await loadTransaction(traced, signal), traced, explained, signal);
}

function drawWhole(answer, about, explained, signal) {
  let panel = null;
  const mark = (id) => {
    for (const row of main.querySelectorAll(".row")) row.classList.toggle("suspected", row.dataset.id === id);
    const row = [...main.querySelectorAll(".row")].find((one) => one.dataset.id === id);
    if (row) row.scrollIntoView({ block: "nearest" });
  };
  const put = (explanation) => {
    panel.replaceChildren(...drawExplanation(explanation, { mark }).flat(3).filter(Boolean));
    if (explanation.suspect && explanation.suspect.id) for (const row of main.querySelectorAll(".row")) row.classList.toggle("suspected", row.dataset.id === explanation.suspect.id);
  };
  const explainHop = (id) => {
    panel.replaceChildren(element("p", { class: "faint" }, "asking why…"));
    call("explain_failure", { id, max_tokens: 8000 }, signal).then(put, (error) => failed(error, panel));
  };
  const drawn = drawTransaction(answer, about, { explainHop });
  panel = drawn.explanation;
  shown([finder(), drawn.nodes]);
  const hops = rowsOf(answer);
  const wrong = hops.find((hop) => hop.id === about && hasFailed(hop)) || hops.find(hasFailed);
  if (explained) put(explained);
  else if (wrong) explainHop(wrong.id);
  else if (hops.length) panel.replaceChildren(element("p", { class: "faint" }, "Nothing here failed. Choose an id to ask what took its time."));
}

function showTab() {
  for (const tab of document.querySelectorAll("nav button")) {
    if (tab.dataset.view === state.view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
}

async function refresh() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  main.setAttribute("aria-busy", "true");
  showTab();
  try {
    if (state.view === "transaction") await showTransaction(signal);
    else if (state.view === "map") {
      const answer = await loadMap(since(), signal);
      shown(drawMap(answer));
    } else {
      const answer = await loadErrors(since(), signal);
      shown(drawErrors(answer, act));
    }
    byId("gate").hidden = true;
  } catch (error) {
    failed(error, main);
  }
}

async function go(next) {
  Object.assign(state, { id: "" }, next);
  const address = "#" + state.view + (isId(state.id) ? "/" + state.id : "");
  if (!isApp && address !== location.hash) history.pushState(visited.push({ ...state }) - 1, "", address);
  await refresh();
  const title = main.querySelector("h2");
  if (title) title.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

// What the address says; what it cannot say this page alone remembers, and a reload forgets.
function come() {
  const [view, id] = location.hash.slice(1).split("/");
  Object.assign(state, { view: ["errors", "map", "transaction"].includes(view) ? view : "errors", id: id && isId(id) ? id : "" }, visited[history.state]);
  refresh();
}

// What the host tells: the answer that the model got, drawn as what it is.
function toldByHost(method, params) {
  if (method === "ui/notifications/host-context-changed") {
    if (params.theme === "light" || params.theme === "dark") document.documentElement.dataset.theme = params.theme;
  } else if (method === "ui/notifications/tool-input") {
    const given = params.arguments || {};
    if (typeof given.id === "string") state.id = given.id;
    if (typeof given.since === "string" && given.since) {
      byId("since").value = "other";
      byId("mark").value = given.since;
      byId("mark").hidden = false;
    }
  } else if (method === "ui/notifications/tool-cancelled") {
    shown([element("p", { class: "note", role: "status" }, "The call was cancelled.")]);
  } else if (method === "ui/notifications/tool-result") {
    const answer = params.structuredContent;
    if (params.isError || !answer) failed(new Error(textOf(params) || "the tool gave no answer"), main);
    else drawTold(answer);
  }
}

function drawTold(answer) {
  const columns = answer.columns || [];
  const { signal } = asking;
  if (answer.chain) {
    state.view = "transaction";
    const chain = rowsOf(answer.chain);
    // A chain is drawn as a transaction is: it has the same columns, but for what is told of links.
    drawWhole({ ...answer.chain, coverage: answer.coverage, empty: answer.empty }, chain.length ? chain[0].id : "", answer, signal);
  } else if (columns.includes("depth")) {
    state.view = "transaction";
    drawWhole(answer, state.id, null, signal);
  } else if (columns.includes("fails_at")) {
    state.view = "errors";
    shown(drawErrors(answer, act));
  } else if (columns.includes("gateway")) {
    state.view = "map";
    shown(drawMap(answer));
  } else {
    failed(new Error("the page does not draw this tool's answers"), main);
  }
  showTab();
}

for (const tab of document.querySelectorAll("nav button")) tab.addEventListener("click", () => go({ view: tab.dataset.view }));
byId("since").addEventListener("change", () => {
  const isOther = byId("since").value === "other";
  byId("mark").hidden = !isOther;
  if (isOther) byId("mark").focus();
  else refresh();
});
byId("window").addEventListener("submit", (event) => {
  event.preventDefault();
  refresh();
});
byId("gate").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  byId("token").value = "";
  byId("gate").hidden = true;
  refresh();
});

if (isApp) {
  document.documentElement.dataset.app = "";
  main.append(element("p", { class: "faint" }, "waiting for the host…"));
  greetHost(toldByHost).catch((error) => failed(error, main));
} else {
  window.addEventListener("popstate", come);
  come();
}
