"""A service fails for one value of one query parameter alone."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/search", 500)


def expected(lab):
    return Expected(f":{lab.port('index')}", ["sort"])


def start(lab):
    lab.serve("index", lambda request: 500 if lab.broken and request.query["sort"] == "price" else 200)

    def search(request):
        return lab.ask("index", f"/index?sort={request.query['sort']}&page={request.query['page']}").status

    lab.serve("search", search)
    lab.nginx("front", lab.to("search"))


def visit(lab, number):
    sort = ("price", "name", "date", "rating")[number % 4]
    yield lab.ask("front", f"/search?sort={sort}&page={number % 3}")
