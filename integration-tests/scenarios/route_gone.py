"""A new version of a service is started in the place of the old one, and has no such route any more: 404."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/v1/orders/*", 404)


def expected(lab):
    return Expected(f":{lab.port('orders')}", [["restart", "started", "new process", "another process", "began then"]])


def old(request):
    return 200


def new(request):
    return 200 if request.path.startswith("/v2/") else 404


def start(lab):
    lab.serve("orders", old)
    lab.serve("api", lambda request: lab.ask("orders", request.path).status or 502)
    lab.nginx("front", lab.to("api"))


def break_it(lab):
    lab.kill("orders")
    lab.serve("orders", new)


def change_without_fault(lab):
    lab.kill("orders")
    lab.serve("orders", old)


def visit(lab, number):
    yield lab.ask("front", f"/v{1 + number % 2}/orders/{number}")
