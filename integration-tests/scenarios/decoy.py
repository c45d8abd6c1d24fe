"""Another system on the same machine, which fails all the time and has nothing to do with the incident."""

import time

from web import RESET, ask


class Decoy:
    def __init__(self, lab):
        self.lab = lab
        # Known before the services are forked, so that they know it, too.
        lab.port("nobody")
        lab.serve("stock", self.stock)
        lab.serve("shop", self.shop)

    def stock(self, request):
        if request.path == "/stock/slow":
            time.sleep(0.25)
        return {"/stock/broken": 500, "/stock/reset": RESET, "/stock/slow": 200}.get(request.path, 404)

    def shop(self, request):
        # One of its pages asks a service that was never started.
        behind = "nobody" if request.path == "/shop/gone" else "stock"
        answer = self.lab.ask(behind, request.path.replace("/shop", "/stock"), headers={"x-tenant": "decoy"})
        return answer.status or 502

    def visit(self, number):
        page = ("broken", "missing", "reset", "gone", "slow")[number % 5]
        yield ask(self.lab.port("shop"), f"/shop/{page}")
