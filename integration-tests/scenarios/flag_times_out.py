"""Requests with a feature flag make a service ask one more, in Node, which stops answering: the service gives up on it."""

import signal

from lab import Expected, Symptom

SYMPTOM = Symptom("/checkout/*", 504, method="POST")
THREADS, AFTER = 5, 60
# The control signal stands for a lock that is never released.
SOURCE = """
const http = require('http');
let stuck = false;
process.on('SIGUSR2', () => { stuck = true; });
http.createServer((request, response) => {
  request.resume();
  request.on('end', () => { if (!stuck) setTimeout(() => response.end('{"tax":7}'), 5); });
}).listen(process.env.PORT, '127.0.0.1');
"""


def expected(lab):
    return Expected(f":{lab.port('tax')}", [["gave up", "no answer", "never answered", "not answered", "timeout"]])


def start(lab):
    lab.servers["tax"] = lab.start("node", "-e", SOURCE, env=lab._environment("tax", {}))
    lab.await_listening("tax")

    def checkout(request):
        basket = lab.ask("baskets", request.path.replace("/checkout", "/baskets"))
        if basket.status != 200:
            return 502
        if "tax-v2" in request.headers.get("x-features", ""):
            tax = lab.ask("tax", "/tax", method="POST", body=b'{"net":100}', timeout=0.3)
            if tax.status != 200:
                return 504
        return lab.ask("payments", "/charge", method="POST", body=b'{"gross":107}').status

    lab.serve("baskets", lambda request: 200)
    lab.serve("payments", lambda request: 200)
    lab.serve("checkout", checkout)
    lab.nginx("front", lab.to("checkout"))


def break_it(lab):
    lab.servers["tax"].send_signal(signal.SIGUSR2)


def visit(lab, number):
    features = ("quick-pay", "quick-pay,tax-v2", "", "dark-mode")[number % 4]
    yield lab.ask("front", f"/checkout/{number}", method="POST", headers={"x-features": features}, body=b"{}")
