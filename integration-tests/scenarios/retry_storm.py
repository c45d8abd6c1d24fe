"""A backend fails, and the service before it tries five times each time: what fails is hidden in a storm."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/basket/*", 502)


def expected(lab):
    return Expected(f":{lab.port('rows')}", [["retried", "retries", "5 times", "5 exchanges", "5 attempts"]])


def start(lab):
    lab.serve("rows", lambda request: 500 if lab.broken else 200)

    def basket(request):
        for _ in range(5):
            if lab.ask("rows", request.path).status == 200:
                return 200
        return 502

    lab.serve("basket", basket)
    lab.nginx("front", lab.to("basket"))


def visit(lab, number):
    yield lab.ask("front", f"/basket/{number}")
