"""A service has too few connections to its backend since its settings were changed: requests wait for one inside it."""

import threading
import time

from lab import Expected, Symptom

SYMPTOM = Symptom("/catalog/*", "slow", over_ms=150)
THREADS, AFTER = 5, 25


def expected(lab):
    return Expected(f":{lab.port('catalog')}", ["itself"])


def start(lab):
    large, small = threading.Semaphore(8), threading.Semaphore(1)

    def rows(request):
        time.sleep(0.06)
        return 200

    def catalog(request):
        with small if lab.broken else large:
            return lab.ask("rows", request.path).status or 502

    lab.serve("rows", rows)
    lab.serve("catalog", catalog)
    lab.nginx("front", lab.to("catalog"))


def visit(lab, number):
    yield lab.ask("front", f"/catalog/{number}")
