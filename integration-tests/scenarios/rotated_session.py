"""A session's id is rotated by the server that logs users in, and the server of accounts is not told: it answers 401."""

import secrets

from lab import Expected, Symptom

SYMPTOM = Symptom("/account", 401)


def expected(lab):
    # It refuses a session whose id the other has just set.
    return Expected(f":{lab.port('account')}", [["session", "cookie"], [f":{lab.port('auth')}", "/refresh"]])


def start(lab):
    known = set()

    def account(request):
        if request.path == "/sessions":
            known.add(request.body.decode())
            return 204
        return 200 if request.headers.get("cookie", "").removeprefix("session=") in known else 401

    def auth(request):
        session = secrets.token_hex(16)
        if request.path == "/login" or not lab.broken:
            lab.ask("account", "/sessions", method="POST", body=session.encode())
        return 204, {"set-cookie": f"session={session}; HttpOnly"}

    lab.serve("account", account)
    lab.serve("auth", auth)
    lab.nginx("front", lab.to("account") + lab.to("auth", "/login") + lab.to("auth", "/refresh"))


def visit(lab, number):
    """Logs in, looks, rotates, looks again."""
    headers = {}
    for enter in ("/login", "/refresh"):
        entered = lab.ask("front", enter, method="POST", headers=headers, body=b"")
        yield entered
        headers = {"cookie": entered.headers["set-cookie"].split(";")[0]}
        yield lab.ask("front", "/account", headers=headers)
