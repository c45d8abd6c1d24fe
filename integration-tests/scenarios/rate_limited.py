"""A third party answers 429, and the service that uses it hands that on as 503."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/ship/*", 503)


def expected(lab):
    return Expected(f":{lab.port('carrier')}", [["status 429", ": 429 "]])


def start(lab):
    lab.serve("carrier", lambda request: (429, {"retry-after": "60"}) if lab.broken else 200)
    lab.serve("shipping", lambda request: 200 if lab.ask("carrier", "/labels", method="POST", body=b"{}").status == 200 else 503)
    lab.nginx("front", lab.to("shipping"))


def visit(lab, number):
    yield lab.ask("front", f"/ship/{number}")
