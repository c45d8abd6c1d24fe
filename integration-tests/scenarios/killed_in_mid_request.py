"""A service is killed, as for want of memory, while it answers, and started again."""

import os
import time

from lab import Expected, Symptom

SYMPTOM = Symptom("/render/*", 502)


def expected(lab):
    return Expected(f":{lab.port('render')}", [["SIGKILL", "signal 9", "killed"]])


def serve(lab):
    def render(request):
        os.write(lab.told, b"1")
        time.sleep(0.08)
        return 200

    lab.serve("render", render)


def start(lab):
    lab.requests, lab.told = os.pipe()
    serve(lab)
    lab.serve("pages", lambda request: lab.ask("render", request.path).status or 502)
    lab.nginx("front", lab.to("pages"))


def break_it(lab):
    # Forgets the requests of before, and waits for one that has just begun.
    os.read(lab.requests, 65536)
    os.read(lab.requests, 1)
    lab.kill("render")
    serve(lab)


def visit(lab, number):
    yield lab.ask("front", f"/render/{number}")
