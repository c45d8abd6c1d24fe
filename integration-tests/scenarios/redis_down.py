"""redis is gone: the service that counts with it answers 500."""

import socket

from lab import Expected, Symptom
from web import HOST

SYMPTOM = Symptom("/count/*", 500)


def expected(lab):
    return Expected(f":{lab.port('redis')}", ["refused"])


def start(lab):
    lab.redis("redis")

    def counter(request):
        try:
            with socket.create_connection((HOST, lab.port("redis")), 2) as redis:
                redis.sendall(b"INCR visits\r\n")
                return 200 if redis.recv(64).startswith(b":") else 500
        except OSError:
            return 500

    lab.serve("counter", counter)
    lab.nginx("front", lab.to("counter"))


def break_it(lab):
    redis = lab.servers["redis"]
    redis.terminate()
    redis.wait()


def visit(lab, number):
    yield lab.ask("front", f"/count/{number}")
