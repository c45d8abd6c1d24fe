"""The edge answers 502, because the third hop behind it resets its connections."""

from lab import Expected, Symptom
from web import RESET

SYMPTOM = Symptom("/orders/*", 502)


def expected(lab):
    return Expected(f":{lab.port('prices')}", ["reset"])


def start(lab):
    lab.serve("prices", lambda request: RESET if lab.broken else 200)
    lab.serve("orders", lambda request: lab.ask("prices", request.path.replace("orders", "prices")).status or 502)
    lab.serve("gateway", lambda request: lab.ask("orders", request.path).status or 502)
    lab.nginx("front", lab.to("gateway"))


def visit(lab, number):
    yield lab.ask("front", f"/orders/{number}")
