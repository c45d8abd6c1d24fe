"""A page sends users to the login, which sends those who are logged in back to the page, again and again."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/home", 302)


def expected(lab):
    return Expected(f":{lab.port('pages')}", [["redirect", ": 302 ", "location"]])


def start(lab):
    def pages(request):
        # It looks for a cookie that nobody sets.
        cookie = "sid=" if lab.broken else "session="
        return 200 if request.headers.get("cookie", "").startswith(cookie) else (302, {"location": "/login"})

    def auth(request):
        return (302, {"location": "/home"}) if request.headers.get("cookie") else (200, {"set-cookie": "session=1"})

    lab.serve("pages", pages)
    lab.serve("auth", auth)
    lab.nginx("front", lab.to("pages") + lab.to("auth", "/login"))


def visit(lab, number):
    path = "/home"
    for _ in range(6):
        answer = lab.ask("front", path, headers={"cookie": "session=4c7f1b2a9d3e8f60"})
        yield answer
        path = answer.headers.get("location")
        if answer.status != 302:
            return
