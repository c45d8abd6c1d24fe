"""Three services stand behind nginx, and one of them becomes slow: the page that asks it is slow."""

import time

from lab import Expected, Symptom

SYMPTOM = Symptom("/reports/daily", "slow", over_ms=300)


def expected(lab):
    return Expected(f":{lab.port('reports')}")


def start(lab):
    def reports(request):
        time.sleep(0.4 if lab.broken else 0.01)
        return 200

    def fine(request):
        time.sleep(0.005)
        return 200

    lab.serve("reports", reports)
    lab.serve("orders", fine)
    lab.serve("users", fine)
    lab.nginx("front", lab.to("reports", "/reports/") + lab.to("orders", "/orders/") + lab.to("users", "/users/"))


def visit(lab, number):
    yield lab.ask("front", ("/reports/daily", f"/orders/{number}", f"/users/{number}")[number % 3])
