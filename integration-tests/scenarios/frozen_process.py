"""A service is stopped where it stands, as by a debugger or a hanging disk: its connections come about, and nobody answers."""

import os
import signal

from lab import Expected, Symptom

SYMPTOM = Symptom("/maps/*", 504)
BEFORE, AFTER = 45, 6


def expected(lab):
    return Expected(f":{lab.port('tiles')}", [["no answer", "open", "never answered", "went on", "gave up", "gave_up", "timed out"]])


def start(lab):
    lab.serve("tiles", lambda request: 200)
    lab.serve("maps", lambda request: lab.ask("tiles", request.path, timeout=30).status or 502)
    lab.nginx("front", lab.to("maps", more="proxy_read_timeout 1s;"))


def break_it(lab):
    os.kill(lab.children["tiles"], signal.SIGSTOP)


def visit(lab, number):
    yield lab.ask("front", f"/maps/{number}")
