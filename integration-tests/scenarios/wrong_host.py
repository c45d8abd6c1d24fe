"""The proxy's settings change, and it sends another Host than before: the server behind it has no such site and answers 404."""

from lab import Expected, Symptom
from web import HOST

SYMPTOM = Symptom("/shop/*", 404)
SITE = "shop.lab.internal"


def expected(lab):
    # The change was the proxy's; the server behind it is where it failed.
    return Expected((f":{lab.port('sites')}", f":{lab.port('front')}"), ["host", f"{HOST}:{lab.port('sites')}"])


def start(lab):
    lab.serve("shop", lambda request: 200)
    site = f"server {{ listen {HOST}:{lab.port('sites')}; server_name {SITE}; {lab.to('shop')} }}"
    lab.nginx("sites", "return 404;", site)
    lab.nginx("front", lab.to("sites", more=f"proxy_set_header Host {SITE};"))


def break_it(lab):
    lab.reload_nginx("front", lab.to("sites"))


def visit(lab, number):
    yield lab.ask("front", f"/shop/{number}")
