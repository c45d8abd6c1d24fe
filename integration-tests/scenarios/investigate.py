"""Investigates a symptom with Headwater's tools alone: `investigate.py HEADWATER DATABASE SYMPTOM`.

The symptom is what a user tells: {"url", "path", "method", "what": status, "slow", "closed" or "gave_up", "over_ms", "since"}.
Nothing else is known here of what happened: the conclusion is made of structured answers, by rules that hold for any system.
Prints {"calls", "tokens", "answers", "conclusion": {"culprit", "evidence"}} as JSON.
"""

import asyncio
import json
import re
import sys
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

# A token of such text has about so many bytes.
BYTES_OF_A_TOKEN = 3.2
MOST_CALLS = 5


class Tools:
    """The tools of a server, and what their answers cost."""

    def __init__(self, client):
        self.client, self.answers = client, []

    async def ask(self, name, **arguments):
        result = await self.client.call_tool(name, {key: value for key, value in arguments.items() if value is not None})
        text = "\n".join(part.text for part in result.content if part.type == "text")
        self.answers.append(text)
        return {} if result.is_error else result.structured_content

    @property
    def left(self):
        return MOST_CALLS - len(self.answers)

    @property
    def tokens(self):
        return round(sum(len(text.encode()) for text in self.answers) / BYTES_OF_A_TOKEN)


def rows(answer, table=None):
    """The rows of a table, each by its columns' names."""
    table = answer.get(table, {}) if table else answer
    return [dict(zip(table.get("columns", []), row, strict=True)) for row in table.get("rows", [])]


def failed(exchange):
    return exchange["outcome"] not in ("complete", "open") or (exchange["status"] or 0) >= 400


class Conclusion:
    def __init__(self):
        self.culprit, self.evidence, self.seen = None, [], set()

    def read(self, explained):
        """Takes over what an explanation says, and names its suspect until something better is known."""
        chain = rows(explained, "chain")
        # Where nothing is wrong with it, nobody is suspected: then it is whoever gave the answer.
        last = chain[-1]["server"] if chain else self.culprit
        self.culprit = explained.get("suspect", {}).get("service") or last
        self.evidence += [explained[key] for key in ("symptom", "verdict") if key in explained]
        self.seen |= {hop["server"] for hop in chain}
        for hop in chain:
            self.evidence.append(f"{hop['server']} {hop['method']} {hop['path']}: {hop['status']} {hop['outcome']}, {hop['took_ms']} ms")
        for finding in rows(explained, "findings"):
            self.evidence.append(" ".join(str(finding[key]) for key in ("is", "what", "captured") if finding.get(key)))


async def find_symptom(tools, symptom):
    """The exchange that the user met, or nothing."""
    what = symptom["what"]
    asked = {"path": f"={symptom['path']}", "method": symptom["method"], "since": symptom["since"], "limit": 5}
    if what == "slow":
        asked |= {"min_latency_ms": symptom["over_ms"], "order": "slowest"}
    elif what == "closed":
        asked |= {"outcome": "failed"}
    elif what == "gave_up":
        asked |= {"outcome": "client_gave_up"}
    else:
        asked |= {"status": str(what)}
    found = rows(await tools.ask("search_exchanges", **asked))
    # Hops behind the entry have the same path often; the URL tells which is the user's own.
    port = urlsplit(symptom["url"]).port
    return next((exchange for exchange in found if exchange["server"].endswith(f":{port}")), found[0] if found else None)


async def investigate(tools, symptom):
    conclusion = Conclusion()
    met = await find_symptom(tools, symptom)
    if met is None:
        conclusion.evidence.append("no such exchange was recorded")
        await look_at_newest(tools, symptom, conclusion)
        return conclusion
    explained = await tools.ask("explain_failure", id=met["id"])
    conclusion.read(explained)
    if met["outcome"] == "client_gave_up" and await was_as_slow_before(tools, met, symptom):
        conclusion.culprit = met["client"]
        conclusion.evidence.append(f"the client gave up after {met['latency_ms']} ms, and what was answered there took longer")
        return conclusion
    while not settle(explained, conclusion) and tools.left > 0:
        below = named_below(explained) or await find_below(tools, met, conclusion)
        if below is None or tools.left <= 0:
            break
        explained = await tools.ask("explain_failure", id=below)
        conclusion.read(explained)
    await read_more(tools, explained, conclusion)
    if met["status"] in (401, 403) and tools.left > 0:
        await read_session(tools, met, conclusion)
    return conclusion


def settle(explained, conclusion):
    """Whether the explanation names something that could not be reached or found, which is then the culprit."""
    findings = rows(explained, "findings")
    for sure in ("cause", "known"):
        for about in ("a connection that its server's", "a name that its server's"):
            named = {
                finding["captured"]
                for finding in findings
                if finding["is"] == sure and finding["what"].startswith(about) and not finding["what"].endswith(("came about", "was found"))
            }
            # Of several it may be any.
            if len(named) == 1:
                conclusion.culprit = named.pop()
                return True
    called_well = any(finding["is"] == "ruled_out" for finding in findings)
    last = rows(explained, "chain")[-1:]
    if called_well and last and not failed(last[0]):
        where = "itself" if last[0]["own_ms"] * 2 > last[0]["took_ms"] else "waiting for what it called"
        conclusion.evidence.append(f"of its {last[0]['took_ms']} ms {last[0]['server']} spent most {where}")
        return True
    return any(finding["is"] == "cause" for finding in findings)


def named_below(explained):
    """An exchange that the suspect made and that failed or had no end, or an earlier one of the same id, where one is named."""
    last = rows(explained, "chain")[-1]
    for finding in rows(explained, "findings"):
        is_own = finding["is"] == "known" and finding["what"].startswith("an exchange that it made")
        # The same request, made before, is no other symptom.
        is_earlier = finding["is"] == "same_id" and f"status {last['status']}" in finding["what"] and finding["captured"] != last["path"]
        if finding["id"] and (is_own or is_earlier):
            return finding["id"]
    return None


async def find_below(tools, met, conclusion):
    """Where others of the same kind failed first: of this one alone it may not be known."""
    if not failed(met) or tools.left < 2:
        return None
    began = datetime.fromisoformat(met["start"]) - timedelta(seconds=2)
    errors = rows(await tools.ask("find_errors", service=met["server"], since=began.isoformat(), limit=5))
    for error in errors:
        is_such = met["id"] in error["examples"] or error["kind"] == f"status {met['status']}" and is_of_route(met["path"], error["route"])
        if is_such and error.get("suspect") and error["suspect"].split()[0] not in conclusion.seen:
            return error["suspect_id"]
    return None


def is_of_route(path, route):
    """Whether a path is of a route, in which `{}` stands for what varies."""
    pattern = re.escape(route.split(" ", 1)[-1]).replace(re.escape("{}"), "[^/]+")
    return re.fullmatch(pattern, path) is not None


async def look_at_newest(tools, symptom, conclusion):
    """What is known of the newest request there, where none was as the user tells."""
    newest = rows(await tools.ask("search_exchanges", path=f"={symptom['path']}", method=symptom["method"], limit=1))
    if newest:
        explained = await tools.ask("explain_failure", id=newest[0]["id"])
        conclusion.read(explained)
        if not failed(newest[0]) and all(finding["is"] != "cause" for finding in rows(explained, "findings")):
            conclusion.culprit = None


async def was_as_slow_before(tools, met, symptom):
    """Whether the answers that came took longer than this client waited."""
    asked = {"path": f"={symptom['path']}", "method": met["method"], "outcome": "complete", "until": met["start"], "limit": 3}
    complete = rows(await tools.ask("search_exchanges", service=met["server"], **asked))
    return bool(complete) and all(exchange["latency_ms"] > met["latency_ms"] for exchange in complete)


async def read_more(tools, explained, conclusion):
    """Why the suspect's own exchange broke off, which its connection or the exchange itself tells."""
    for finding in rows(explained, "findings"):
        if finding["is"] == "cause" and "get_connection" in finding["what"] and tools.left > 0:
            connection = await tools.ask("get_connection", id=finding["id"])
            read_story(rows(connection, "story"), conclusion)
            return
    last = rows(explained, "chain")[-1:]
    if last and last[0]["outcome"] not in ("complete", "open") and tools.left > 0:
        exchange = await tools.ask("get_exchange", id=last[0]["id"], max_tokens=600)
        conclusion.evidence += [f"exchange: {exchange.get('outcome_explained')} {exchange.get('http2', {}).get('error', '')}"]


def read_story(story, conclusion):
    """What happened on a connection, and how long it had been idle before its last exchange."""
    conclusion.evidence += [f"connection: {event['by']} {event['what']}" for event in story]
    exchanges = [place for place, event in enumerate(story) if event["what"].startswith("exchange:")]
    if len(exchanges) > 1:
        idle = story[exchanges[-1]]["after_ms"] - story[exchanges[-1] - 1]["after_ms"]
        conclusion.evidence.append(f"connection: kept open after {len(exchanges) - 1} exchanges, and idle for {idle:.1f} ms before the last")


async def read_session(tools, met, conclusion):
    """Where somebody was not let in, what became of their session before."""
    session = await tools.ask("get_session", id=met["id"], limit=6)
    for exchange in rows(session):
        if exchange["events"]:
            conclusion.evidence.append(
                f"session: {exchange['server']} {exchange['method']} {exchange['path']} {exchange['status']}: {exchange['events']}"
            )


async def main(headwater, database, symptom):
    server = stdio_client(StdioServerParameters(command=headwater, args=["--db", database, "mcp"]))
    async with Client(server, mode="legacy") as client:
        tools = Tools(client)
        found = await investigate(tools, symptom)
    conclusion = {"culprit": found.culprit, "evidence": found.evidence}
    print(json.dumps({"calls": len(tools.answers), "tokens": tools.tokens, "answers": tools.answers, "conclusion": conclusion}))


asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
