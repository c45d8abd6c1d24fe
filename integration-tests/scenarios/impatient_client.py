"""A client's patience is made shorter than the answers of a healthy chain have always taken."""

import subprocess
import time

from lab import Expected, Symptom
from web import Answer

SYMPTOM = Symptom("/forecast/*", "gave_up")
BEFORE, AFTER = 20, 20


def expected(lab):
    return Expected("curl", ["gave up"])


def start(lab):
    def model(request):
        time.sleep(0.2)
        return 200

    lab.serve("model", model)
    lab.serve("forecast", lambda request: lab.ask("model", request.path).status)
    lab.nginx("front", lab.to("forecast"))


def visit(lab, number):
    began = time.monotonic()
    url = f"http://127.0.0.1:{lab.port('front')}/forecast/{number}"
    patience = "0.12" if lab.broken else "3"
    curl = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", patience, url], capture_output=True, text=True)
    failure = {0: None, 28: "timeout"}.get(curl.returncode, "closed")
    yield Answer(int(curl.stdout), {}, b"", time.monotonic() - began, failure)
