"""A service answers everything on one thread, and one of its two backends fails for some requests."""

import asyncio

from lab import Expected, Symptom
from web import ask_async

SYMPTOM = Symptom("/page/*", 502)
THREADS = 6


def expected(lab):
    return Expected(f":{lab.port('reviews')}", [["status 500", ": 500 "]])


def start(lab):
    def reviews(request):
        return 500 if lab.broken and int(request.path.rsplit("/", 1)[1]) % 3 == 0 else 200

    async def page(path):
        number = path.rsplit("/", 1)[1]
        backends = (("details", f"/details/{number}"), ("reviews", f"/reviews/{number}"))
        found = await asyncio.gather(*(ask_async(lab.port(name), path) for name, path in backends))
        return 200 if set(found) == {200} else 502

    lab.serve("details", lambda request: 200)
    lab.serve("reviews", reviews)
    lab.serve_async("page", page)
    lab.nginx("front", lab.to("page"))


def visit(lab, number):
    yield lab.ask("front", f"/page/{number}")
