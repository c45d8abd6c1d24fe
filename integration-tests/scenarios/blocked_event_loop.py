"""A service in Node computes a report on its only thread, since the report is asked for whole: quick pages wait meanwhile."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/items/*", "slow", over_ms=150)
THREADS, AFTER = 4, 60
SOURCE = """
const http = require('http');
http.createServer((request, response) => {
  if (request.url === '/report?range=all') { const until = Date.now() + 300; while (Date.now() < until); }
  response.end('ok');
}).listen(process.env.PORT, '127.0.0.1');
"""


def expected(lab):
    return Expected(f":{lab.port('shop')}", [["itself", "own", "the same process"], "/report"])


def start(lab):
    lab.servers["shop"] = lab.start("node", "-e", SOURCE, env=lab._environment("shop", {}))
    lab.await_listening("shop")
    lab.serve("portal", lambda request: lab.ask("shop", request.path + (f"?range={request.query['range']}" if request.query else "")).status or 502)
    lab.nginx("front", lab.to("portal"))


def visit(lab, number):
    if number % 12 == 0:
        yield lab.ask("front", f"/report?range={'all' if lab.broken else 'today'}")
    else:
        yield lab.ask("front", f"/items/{number}")
