"""A service ends its answers in the middle of their bodies: downloads break off at the edge."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/files/*", "closed")


def expected(lab):
    return Expected(f":{lab.port('files')}", [["closed", "cut", "incomplete"]])


def start(lab):
    body = b"x" * 20_000

    def files(request):
        sent = body[:5_000] if lab.broken else body
        return 200, {"content-length": str(len(body))}, sent

    lab.serve("files", files)
    lab.nginx("front", lab.to("files"))


def visit(lab, number):
    yield lab.ask("front", f"/files/{number}")
