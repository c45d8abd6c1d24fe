"""One of two servers behind haproxy is broken: every second request fails."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/search", 500)


def expected(lab):
    return Expected(f":{lab.port('app-b')}", [["status 500", ": 500 "]])


def start(lab):
    lab.serve("app-a", lambda request: 200)
    lab.serve("app-b", lambda request: 500 if lab.broken else 200)
    lab.haproxy("front", ["app-a", "app-b"])


def visit(lab, number):
    yield lab.ask("front", "/search")
