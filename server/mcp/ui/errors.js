// The first view: what failed, in groups, the most suspicious first.

async function loadErrors(since, signal) {
  return call("find_errors", { ...since, limit: 50, max_tokens: 8000, detail: "detailed" }, signal);
}

function drawErrors(answer, act) {
  const groups = rowsOf(answer);
  const most = Math.max(1, ...groups.map((group) => group.count));
  const day = ((answer.coverage && answer.coverage.as_of) || "").slice(0, 10);
  return [
    opening("What failed", answer),
    element("ol", { class: "groups" }, groups.map((group) => groupOf(group, most, day, act))),
    answer.next_cursor ? button("More", (event) => act.more(event.target, answer.next_cursor), { class: "more" }) : null,
  ];
}

function groupOf(group, most, day, act) {
  const examples = group.examples || [];
  const traced = examples.filter((id) => id.startsWith("x_"));
  const elsewhere = examples.some((id) => id.startsWith("d_")) ? "get_exchange tells of " : "no request was sent; get_connection tells the story of ";
  const bar = drawing("svg", { class: "share", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" }, drawing("rect", { x: 0, y: 0, width: Math.max(1, (group.count / most) * 100), height: 4 }));
  const before = group.before === null ? " (before: not known)" : " (before: " + group.before + ")";
  const isBelow = group.suspect !== null && group.suspect !== undefined;
  return element(
    "li",
    { class: "group" },
    element("p", { class: "what" }, element("span", { class: "kind" }, group.kind), " ", captured(group.route), " at ", captured(group.server)),
    bar,
    element(
      "p",
      { class: "how" },
      element("b", {}, group.count + "×"),
      before,
      group.of_requests ? ", of " + group.of_requests + (group.of_requests === 1 ? " request" : " requests") : "",
      ", ",
      group.first && group.first.slice(0, 19) !== group.last.slice(0, 19) ? [moment(group.first, day), " to "] : "",
      moment(group.last, day),
      group.client ? [", asked by ", captured(group.client)] : "",
    ),
    group.fails_at
      ? element("p", { class: "where" }, "fails ", element("b", {}, group.fails_at === "itself" ? "by itself" : group.fails_at), isBelow ? [" → ", captured(group.suspect)] : "")
      : null,
    element(
      "p",
      { class: "actions" },
      // Connections that came to no exchange have no transaction, nor have questions of DNS.
      traced.length ? button("Why?", () => act.explain(group.group), { class: "main", "aria-label": "Why did this group fail?" }) : element("span", { class: "faint" }, elsewhere, examples.join(", ")),
      traced.map((id) => button(id, () => act.trace(id), { class: "id", "aria-label": "Transaction of example " + id })),
      isBelow && group.suspect_id ? button("suspect " + group.suspect_id, () => act.trace(group.suspect_id), { class: "id suspect" }) : null,
    ),
  );
}
