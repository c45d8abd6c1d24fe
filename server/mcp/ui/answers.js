// What every answer has: how far it reaches, what was not seen, why it is empty.

function coverageOf(answer) {
  const { coverage } = answer;
  if (!coverage) return null;
  const day = (coverage.as_of || "").slice(0, 10);
  const line = [];
  if (coverage.since) line.push(moment(coverage.since, day), " to ", moment(coverage.until, day), " UTC · ");
  line.push("data as of ", coverage.as_of === "never" ? "never" : moment(coverage.as_of), " · ", /recorder/.test(coverage.recorder) ? coverage.recorder : "recorder " + coverage.recorder);
  const items = coverage.not_seen || [];
  const more = coverage.not_told ? ", and " + coverage.not_told + " more kinds" : "";
  const notSeen = items.length
    ? element(
        "details",
        { class: "not-seen", open: Boolean(answer.empty) },
        element("summary", {}, "Not seen: " + items.map((item) => item.kind + " (" + item.count + ")").join(", ") + more),
        element("ul", {}, items.map((item) => element("li", {}, element("b", {}, item.kind), " ", item.explanation || "", " ", moment(item.from), " to ", moment(item.until)))),
      )
    : element("p", { class: "all-seen" }, "Not seen: nothing that the recorder knows of" + more);
  return element("div", { class: "coverage" }, element("p", {}, line), notSeen);
}

// The head of a view: its title, the coverage, what the answer says of itself.
function opening(title, answer) {
  return [
    element("h2", { tabindex: "-1" }, title),
    coverageOf(answer),
    answer.empty ? element("p", { class: "empty", role: "status" }, answer.empty) : null,
    (answer.notes || []).map((note) => element("p", { class: "note" }, note)),
  ];
}

// All pages of a list, up to so many.
async function pages(name, given, signal, most) {
  const answer = await call(name, given, signal);
  for (let more = 1; answer.next_cursor && more < most; more += 1) {
    const next = await call(name, { ...given, cursor: answer.next_cursor }, signal);
    answer.rows = answer.rows.concat(next.rows);
    answer.next_cursor = next.next_cursor;
  }
  return answer;
}
