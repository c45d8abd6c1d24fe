"""A service closes connections that were idle for a while, just as its caller sends the next request on them."""

import select
import socket
import threading
import time

from lab import Expected, Symptom
from web import HOST, Connection

SYMPTOM = Symptom("/cart/*", 502)
IDLE_S = 0.015


def expected(lab):
    return Expected(f":{lab.port('carts')}", [["reset", "closed"], ["idle", "keep-alive", "kept open", "reused"]])


def start(lab):
    def talk(connection):
        last = None
        while True:
            select.select([connection], [], [])
            if lab.broken and last and time.monotonic() - last > IDLE_S:
                # The timer of idle connections fires at this very moment: what has come is not read any more.
                break
            if not connection.recv(65536):
                break
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            last = time.monotonic()
        connection.close()

    def carts():
        with socket.create_server((HOST, lab.port("carts")), backlog=64) as server:
            while True:
                threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()

    lab.port("carts")
    lab.fork("carts", carts)
    lab.await_listening("carts")
    free, lock = [], threading.Lock()

    def shop(request):
        with lock:
            # The one that waits longest, so that all are used.
            connection = free.pop(0) if len(free) > 3 else Connection(lab.port("carts"))
        answer = connection.ask(request.path, method="POST", body=b"{}")
        with lock:
            if answer.status:
                free.append(connection)
        return answer.status or 502

    lab.serve("shop", shop)
    lab.nginx("front", lab.to("shop"))


def visit(lab, number):
    yield lab.ask("front", f"/cart/{number}")
