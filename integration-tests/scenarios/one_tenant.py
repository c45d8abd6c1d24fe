"""A service two hops behind the edge fails for the requests of one tenant alone."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/invoices/*", 500)


def expected(lab):
    return Expected(f":{lab.port('billing')}", ["x-tenant"])


def start(lab):
    lab.serve("billing", lambda request: 500 if lab.broken and request.headers["x-tenant"] == "acme" else 200)

    def api(request):
        return lab.ask("billing", request.path, headers={"x-tenant": request.headers["x-tenant"]}).status

    lab.serve("api", api)
    lab.nginx("front", lab.to("api"))


def visit(lab, number):
    yield lab.ask("front", f"/invoices/{number}", headers={"x-tenant": ("acme", "globex", "initech", "umbrella")[number % 4]})
