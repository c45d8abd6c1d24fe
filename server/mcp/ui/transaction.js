// The third view: one transaction, each exchange below the one that caused it, on one axis of time; and beside it why it failed.

async function loadTransaction(id, signal) {
  return call("trace_transaction", { id, limit: 200, max_tokens: 8000 }, signal);
}

const hasFailed = (hop) => (hop.status !== null && hop.status >= 400) || !["complete", "open"].includes(hop.outcome);

function drawTransaction(answer, about, act) {
  const hops = rowsOf(answer);
  const explanation = element("aside", { "aria-live": "polite", "aria-label": "Why it failed" });
  if (!hops.length) return { nodes: [opening("Transaction", answer)], explanation };
  const whole = Math.max(0.001, ...hops.map((hop) => hop.after_ms + hop.took_ms));
  const rows = hops.map((hop, index) => rowOf(hop, childrenOf(hops, index), whole, about, act));
  const table = element(
    "div",
    { class: "hops", role: "table", "aria-label": "Exchanges of the transaction" },
    element("div", { role: "row", class: "axis" }, element("span", { role: "columnheader" }, "Exchange"), element("span", { role: "columnheader", class: "ticks" }, [0, 0.25, 0.5, 0.75, 1].map((part) => element("span", {}, part ? milliseconds(whole * part) : "0"))), element("span", { role: "columnheader" }, "Took")),
    rows,
  );
  const legend = element("p", { class: "faint legend" }, element("i", { class: "own" }), " by itself ", element("i", { class: "below" }), " waiting for those below ", element("i", { class: "failed" }), " failed. Indented below the exchange that caused it, with what speaks for that.");
  return { nodes: [opening("Transaction", answer), element("div", { class: "beside" }, element("div", {}, table, legend), explanation)], explanation };
}

// Those right below one: of the rows behind it until one is no deeper.
function childrenOf(hops, index) {
  const found = [];
  for (let at = index + 1; at < hops.length && hops[at].depth > hops[index].depth; at += 1) if (hops[at].depth === hops[index].depth + 1) found.push(hops[at]);
  return found;
}

function rowOf(hop, children, whole, about, act) {
  const failed = hasFailed(hop);
  const outcome = [hop.status, hop.outcome === "complete" ? null : hop.outcome].filter((part) => part !== null).join(" ");
  const evidence = hop.evidence
    ? element("span", { class: "evidence " + hop.confidence }, hop.confidence + " link by " + hop.evidence, hop.by ? [" ", captured(hop.by)] : "", hop.alternatives ? "; " + hop.alternatives.split(" ").length + " others may have caused it" : "")
    : null;
  const label = element(
    "div",
    { role: "cell", class: "hop" },
    element("p", {}, captured(hop.method), " ", captured(hop.path), " ", element("span", { class: failed ? "kind" : "fine" }, outcome)),
    element("p", { class: "faint" }, captured(hop.client), " → ", captured(hop.server)),
    element("p", { class: "faint" }, button(hop.id, () => act.explainHop(hop.id), { class: "id", title: "Why did this one fail, or take so long?" }), " ", evidence),
  );
  label.style.setProperty("--depth", String(Math.min(hop.depth, 12)));
  const row = element(
    "div",
    { role: "row", class: "row" + (failed ? " failed" : "") + (hop.id === about ? " about" : ""), "data-id": hop.id },
    label,
    element("div", { role: "cell", class: "bar" }, barOf(hop, children, whole)),
    element("div", { role: "cell", class: "took" }, element("b", {}, milliseconds(hop.took_ms)), element("span", { class: "faint" }, "own ", milliseconds(hop.own_ms)), hop.network_ms === null || hop.network_ms === undefined ? "" : element("span", { class: "faint" }, "network ", milliseconds(hop.network_ms))),
  );
  return row;
}

function barOf(hop, children, whole) {
  const place = (ms) => Math.min(1000, Math.max(0, (ms / whole) * 1000));
  const part = (kind, from, until) => drawing("rect", { class: kind, x: place(from), y: 0, width: Math.max(place(until) - place(from), 4), height: 10 });
  const end = hop.after_ms + hop.took_ms;
  const below = children.map((child) => part("below", Math.max(child.after_ms, hop.after_ms), Math.min(child.after_ms + child.took_ms, end)));
  return drawing("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" }, part("own", hop.after_ms, end), below);
}

const WORDS = { cause: "cause", changed: "changed", common: "in common", known: "known", not_seen: "not seen", retries: "retries", ruled_out: "ruled out", slow: "slow" };

function drawExplanation(answer, act) {
  const { suspect } = answer;
  const findings = rowsOf(answer.findings);
  return [
    element("h3", {}, "Why"),
    answer.empty ? element("p", { class: "empty" }, answer.empty) : null,
    answer.symptom ? element("p", {}, answer.symptom) : null,
    answer.verdict ? element("p", { class: "verdict" }, answer.verdict) : null,
    suspect ? element("p", {}, "Suspect: ", captured(suspect.service), " ", suspect.id ? button(suspect.id, () => act.mark(suspect.id), { class: "id suspect", title: "Show it in the waterfall" }) : "") : null,
    findings.length
      ? element(
          "ul",
          { class: "findings" },
          findings.map((finding) =>
            element("li", {}, element("span", { class: "is " + finding.is }, WORDS[finding.is] || finding.is), " ", finding.what, " ", captured(finding.captured), finding.after_ms === null ? "" : element("span", { class: "faint" }, " at " + milliseconds(finding.after_ms)), finding.id ? element("span", { class: "faint" }, " " + finding.id) : ""),
          ),
        )
      : null,
    (answer.notes || []).map((note) => element("p", { class: "note" }, note)),
    answer.coverage && (answer.coverage.not_seen || []).length ? element("p", { class: "faint" }, "Not seen around it: " + answer.coverage.not_seen.map((item) => item.kind + " (" + item.count + ")").join(", ")) : null,
  ];
}
