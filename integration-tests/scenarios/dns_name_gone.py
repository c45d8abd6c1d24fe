"""A name does not exist any more: the service that uses it answers 503."""

import dns
from lab import Expected, Symptom
from web import ask

SYMPTOM = Symptom("/stock/*", 503)
NAME, RESOLVER = "inventory.lab.internal", "127.0.7.55"


def expected(lab):
    return Expected(NAME, [NAME, ["NXDOMAIN", "does not exist"]])


def start(lab):
    lab.ports["dns"] = 53
    lab.serve_udp("dns", lambda query: dns.answer(query, None if lab.broken else "127.0.0.1"), RESOLVER)
    lab.serve("inventory", lambda request: 200)

    def stock(request):
        address = dns.resolve(NAME, RESOLVER)
        return ask(lab.port("inventory"), request.path, host=address).status if address else 503

    lab.serve("stock", stock)
    lab.nginx("front", lab.to("stock"))


def visit(lab, number):
    yield lab.ask("front", f"/stock/{number}")
