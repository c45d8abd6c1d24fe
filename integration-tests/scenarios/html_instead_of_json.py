"""A service asks an exchange-rate service, which answers 200 with a page for people instead of JSON since its maintenance began."""

import json

from lab import Expected, Symptom

SYMPTOM = Symptom("/quote/*", 500)
THREADS = 4


def expected(lab):
    # The first that fails is quotes; why is that rates sends another kind of content.
    return Expected((f":{lab.port('rates')}", f":{lab.port('quotes')}"), [["text/html", "content-type"]])


def start(lab):
    def rates(request):
        if lab.broken:
            return 200, {"content-type": "text/html; charset=utf-8"}, b"<html><body>We will be back soon.</body></html>"
        return 200, {"content-type": "application/json"}, b'{"rate": 1.08}'

    def quotes(request):
        lab.ask("audit", "/audit", method="POST", body=b"{}")
        try:
            return 200, {"content-type": "application/json"}, json.dumps(json.loads(lab.ask("rates", "/rates/usd").body)).encode()
        except ValueError:
            return 500

    lab.serve("audit", lambda request: 204)
    lab.serve("rates", rates)
    lab.serve("quotes", quotes)
    lab.nginx("front", lab.to("quotes"))


def visit(lab, number):
    yield lab.ask("front", f"/quote/{number}")
