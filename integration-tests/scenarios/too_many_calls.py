"""A page asks its backend for every row singly since its last release: forty quick calls make it slow."""

import time

from lab import Expected, Symptom
from web import Connection

SYMPTOM = Symptom("/list/*", "slow", over_ms=120)
AFTER = 20


def expected(lab):
    return Expected(f":{lab.port('list')}", [["40 exchanges", "40 calls", "40 times", "40 of them"]])


def start(lab):
    def rows(request):
        time.sleep(0.004)
        return 200

    def page(request):
        backend = Connection(lab.port("rows"))
        for row in range(40 if lab.broken else 1):
            backend.ask(f"/rows/{row}")
        backend.close()
        return 200

    lab.serve("rows", rows)
    lab.serve("list", page)
    lab.nginx("front", lab.to("list"))


def visit(lab, number):
    yield lab.ask("front", f"/list/{number}")
