"""The last of three hops takes requests and never answers: the edge gives up waiting and says 504."""

import threading

from lab import Expected, Symptom

SYMPTOM = Symptom("/mail/*", 504)
BEFORE, AFTER = 45, 6


def expected(lab):
    return Expected(f":{lab.port('relay')}", [["no answer", "open", "never answered", "went on", "gave up", "timed out"]])


def start(lab):
    def relay(request):
        if lab.broken:
            threading.Event().wait()
        return 200

    lab.serve("relay", relay)
    lab.serve("mail", lambda request: lab.ask("relay", request.path, timeout=30).status or 502)
    lab.nginx("front", lab.to("mail", more="proxy_read_timeout 1s;"))


def visit(lab, number):
    yield lab.ask("front", f"/mail/{number}")
