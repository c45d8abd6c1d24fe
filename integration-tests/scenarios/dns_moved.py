"""A name resolves to another address than before, where nobody listens: the service that uses it answers 502."""

import dns
from lab import Expected, Symptom
from web import ask

SYMPTOM = Symptom("/stock/*", 502)
NAME, RESOLVER = "inventory.lab.internal", "127.0.7.53"
RIGHT, WRONG = "127.0.0.1", "127.0.0.66"


def expected(lab):
    wrong = f"{WRONG}:{lab.port('inventory')}"
    return Expected((NAME, f"{NAME}:{lab.port('inventory')}", wrong), [NAME, WRONG])


def start(lab):
    lab.ports["dns"] = 53
    lab.serve_udp("dns", lambda query: dns.answer(query, WRONG if lab.broken else RIGHT), RESOLVER)
    lab.serve("inventory", lambda request: 200)

    def stock(request):
        address = dns.resolve(NAME, RESOLVER)
        return ask(lab.port("inventory"), request.path, host=address, headers={"host": NAME}).status or 502

    lab.serve("stock", stock)
    lab.nginx("front", lab.to("stock"))


def visit(lab, number):
    yield lab.ask("front", f"/stock/{number}")
