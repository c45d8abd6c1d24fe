"""A service is stopped and not started again: its caller is refused, and answers 503."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/quote/*", 503)


def expected(lab):
    return Expected(f":{lab.port('prices')}", ["refused"])


def start(lab):
    lab.serve("prices", lambda request: 200)
    lab.serve("quotes", lambda request: lab.ask("prices", request.path).status or 503)
    lab.nginx("front", lab.to("quotes"))


def break_it(lab):
    lab.kill("prices")


def visit(lab, number):
    yield lab.ask("front", f"/quote/{number}")
