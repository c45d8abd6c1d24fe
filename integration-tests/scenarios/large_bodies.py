"""A service behind the one that takes uploads fails for bodies above 64 KiB."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/upload", 500, method="POST")


def expected(lab):
    return Expected(f":{lab.port('archive')}", [["request body", "content-length"]])


def start(lab):
    lab.serve("archive", lambda request: 500 if lab.broken and len(request.body) > 65536 else 201)
    lab.serve("upload", lambda request: lab.ask("archive", "/archive", method="POST", body=request.body).status)
    lab.nginx("front", lab.to("upload"), "client_max_body_size 1m;")


def visit(lab, number):
    yield lab.ask("front", "/upload", method="POST", body=b"x" * (1_000, 20_000, 50_000, 90_000)[number % 4])
