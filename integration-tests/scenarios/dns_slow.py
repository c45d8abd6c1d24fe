"""The resolver becomes slow, and with it every page of the service that resolves a name for each of its calls."""

import time

import dns
from lab import Expected, Symptom
from web import ask

SYMPTOM = Symptom("/stock/*", "slow", over_ms=240)
NAME, RESOLVER = "inventory.lab.internal", "127.0.7.54"
# The resolver answers one question after the other.
BEFORE, AFTER = 45, 8


def expected(lab):
    return Expected((NAME, f"{RESOLVER}:53", ":53"), [NAME])


def start(lab):
    def resolver(query):
        time.sleep(0.3 if lab.broken else 0)
        return dns.answer(query, "127.0.0.1")

    lab.ports["dns"] = 53
    lab.serve_udp("dns", resolver, RESOLVER)
    lab.serve("inventory", lambda request: 200)

    def stock(request):
        address = dns.resolve(NAME, RESOLVER)
        return ask(lab.port("inventory"), request.path, host=address).status or 502

    lab.serve("stock", stock)
    lab.nginx("front", lab.to("stock"))


def visit(lab, number):
    yield lab.ask("front", f"/stock/{number}")
