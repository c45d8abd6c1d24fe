"""Two servers share the sessions of users; one of them loses those that it has, and answers 401 to whom haproxy sends there."""

import secrets

from lab import Expected, Symptom

SYMPTOM = Symptom("/cart", 401)


def expected(lab):
    return Expected(f":{lab.port('app-b')}", [["status 401", ": 401 "], ["session", "cookie"]])


def start(lab):
    def app(name):
        sessions = set()

        def handle(request):
            cookie = request.headers.get("cookie", "")
            if request.path == "/login":
                cookie = f"session={secrets.token_hex(16)}"
                lab.ask("app-a", "/sessions", method="POST", headers={"cookie": cookie}, body=b"")
                lab.ask("app-b", "/sessions", method="POST", headers={"cookie": cookie}, body=b"")
                return 204, {"set-cookie": cookie}
            if request.path == "/sessions":
                if not (lab.broken and name == "app-b"):
                    sessions.add(cookie)
                return 204
            return 200 if cookie in sessions else 401

        return handle

    lab.port("app-a"), lab.port("app-b")
    lab.serve("app-a", app("app-a"))
    lab.serve("app-b", app("app-b"))
    lab.haproxy("front", ["app-a", "app-b"])


def visit(lab, number):
    entered = lab.ask("front", "/login", method="POST", body=b"")
    yield entered
    for _ in range(3):
        yield lab.ask("front", "/cart", headers={"cookie": entered.headers["set-cookie"]})
