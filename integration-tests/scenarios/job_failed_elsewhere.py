"""A job fails in a service that a worker calls later. The worker learnt the job's id from a header of a response alone."""

import queue
import secrets
import time

from lab import Expected, Symptom

SYMPTOM = Symptom("/jobs/*", 500)


def expected(lab):
    return Expected(f":{lab.port('render')}", [["status 500", ": 500 "]])


def start(lab):
    waiting, states = queue.Queue(), {}

    def jobs(request):
        if request.path == "/next":
            return (200, {"x-job-id": waiting.get()})
        job = request.path.rsplit("/", 1)[1]
        if request.path.startswith("/done/"):
            states[job] = int(request.query["status"])
            return 204
        if request.method == "POST":
            job = secrets.token_hex(12)
            waiting.put(job)
            return 202, {"location": f"/jobs/{job}"}
        return states.get(job, 404)

    def worker():
        while True:
            job = lab.ask("jobs", "/next", timeout=60).headers.get("x-job-id")
            rendered = lab.ask("render", "/render", method="POST", headers={"x-job-id": job}, body=b"{}")
            lab.ask("jobs", f"/done/{job}?status={rendered.status}")

    lab.serve("render", lambda request: 500 if lab.broken else 200)
    lab.serve("jobs", jobs)
    lab.nginx("front", lab.to("jobs"))
    lab.fork("worker", worker)


def visit(lab, number):
    job = lab.ask("front", "/jobs", method="POST", body=b"{}")
    yield job
    while True:
        state = lab.ask("front", job.headers["location"])
        if state.status != 404:
            yield state
            return
        time.sleep(0.01)
