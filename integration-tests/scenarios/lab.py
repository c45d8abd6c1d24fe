"""A small laboratory: starts the processes of a scenario, drives traffic through them, and ends them again.

Services are forked processes of their own, with a name and a port each; servers of others (nginx, haproxy, redis, Node) are
started as programs. Everything listens on loopback. Whether the fault is switched on is a byte of shared memory, so that no
traffic and no file betrays it to the investigation.
"""

import ctypes
import hashlib
import mmap
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import web
from web import HOST, PATIENCE_S

# Below the ports that the kernel gives to clients, so that nobody else takes one meanwhile.
PORTS = range(20000, 32000)

_prctl = ctypes.CDLL(None).prctl
_SET_NAME, _SET_DEATH_SIGNAL = 15, 1


@dataclass
class Symptom:
    """What a user tells: where, and what happened there. `path` may hold `*`; `what` is a status, "slow", "closed" or "gave up"."""

    path: str
    what: int | str
    method: str = "GET"
    over_ms: int | None = None


@dataclass
class Expected:
    """Who is at fault, and what a right conclusion must contain: every needle, each a text or several of which one suffices."""

    culprit: str | tuple
    needles: list = field(default_factory=list)


class Lab:
    """`tls` tells how everything is spoken: in clear (None), over TLS ("http1"), or over TLS and HTTP/2 ("http2")."""

    def __init__(self, folder, tls=None):
        self.folder, self.tls = Path(folder), tls
        self.certificate = self.folder / "certificate.pem"
        if tls:
            self._certify()
            web.encrypt(self.certificate, tls == "http2")
        self.is_broken = mmap.mmap(-1, 1)
        self.ports = {}
        self.children = {}
        self.servers = {}

    def _certify(self):
        """A certificate for loopback that vouches for itself, with its key."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
            + ["-subj", "/CN=scenario", "-addext", f"subjectAltName=IP:{HOST}", "-keyout", "key.pem", "-out", "own.pem"],
            cwd=self.folder, check=True, capture_output=True,
        )  # fmt: skip
        self.certificate.write_bytes((self.folder / "key.pem").read_bytes() + (self.folder / "own.pem").read_bytes())

    # Ports and names

    def port(self, name):
        """The port of a service, taken when first asked for."""
        while name not in self.ports:
            port = random.choice(PORTS)
            with socket.socket() as probe:
                try:
                    probe.bind((HOST, port))
                except OSError:
                    continue
            if port not in self.ports.values():
                self.ports[name] = port
        return self.ports[name]

    def ask(self, name, path, **more):
        return web.ask(self.port(name), path, **more)

    # The fault

    def break_it(self):
        self.is_broken[0] = 1

    @property
    def broken(self):
        return self.is_broken[0] == 1

    # Processes

    def fork(self, name, work):
        """Runs `work` in a process of its own, which does not outlive this one."""
        pid = os.fork()
        if pid == 0:
            try:
                _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
                _prctl(_SET_NAME, name.encode()[:15])
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                work()
            finally:
                os._exit(0)
        self.children[name] = pid
        return pid

    def kill(self, name):
        """Ends a forked process at once, as the kernel does when memory runs out."""
        pid = self.children.pop(name)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def start(self, *words, **more):
        """Starts a program, which does not outlive this process."""
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(
            [str(word) for word in words],
            preexec_fn=lambda: _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL),
            **{**quiet, **more},
        )

    def await_listening(self, name):
        """Looks into /proc: a connection to try it would be traffic."""
        port = f":{self.port(name):04X}"
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for table in ("/proc/net/tcp", "/proc/net/tcp6"):
                for line in Path(table).read_text().splitlines()[1:]:
                    fields = line.split()
                    if fields[1].endswith(port) and fields[3] == "0A":
                        return
            time.sleep(0.005)
        raise TimeoutError(f"{name} does not listen on {self.port(name)}")

    def end(self):
        for program in self.servers.values():
            program.terminate()
        for pid in self.children.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for program in self.servers.values():
            try:
                program.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

    # Servers

    def serve(self, name, handler):
        """A service with a thread for each connection; see `web.serve`."""
        self._serve(name, web.serve, handler)

    def serve_async(self, name, handler):
        """A service that answers everything on one thread; see `web.serve_async`."""
        self._serve(name, web.serve_async, handler)

    def _serve(self, name, serve, handler):
        port = self.port(name)
        self.fork(name, lambda: serve(port, handler))
        self.await_listening(name)

    def go(self, name, source, **environment):
        """A service in Go, which finds its port in PORT. What was built once is kept for later runs."""
        built = Path(tempfile.gettempdir()) / f"headwater-scenarios-go-{hashlib.sha256(source.encode()).hexdigest()[:16]}" / name
        if not built.exists():
            file = self.folder / f"{name}.go"
            file.write_text(source)
            built.parent.mkdir(exist_ok=True)
            subprocess.run(["go", "build", "-o", built, file], check=True, env={"HOME": str(self.folder), **os.environ})
        self.servers[name] = self.start(built, env=self._environment(name, environment))
        self.await_listening(name)

    def _environment(self, name, more):
        tls = {"CERTIFICATE": str(self.certificate)} if self.tls else {}
        return {**os.environ, **tls, "PORT": str(self.port(name))} | {key: str(value) for key, value in more.items()}

    def serve_udp(self, name, handler, host=HOST):
        """A service of single packets, such as a DNS server. `handler` makes the answer of a packet."""
        ready, told = os.pipe()

        def work():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                server.bind((host, self.port(name)))
                os.write(told, b"1")
                while True:
                    packet, peer = server.recvfrom(4096)
                    server.sendto(handler(packet), peer)

        self.port(name)
        self.fork(name, work)
        os.read(ready, 1)
        os.close(ready)
        os.close(told)

    def nginx(self, name, locations, more=""):
        """nginx with these locations, and `more` beside its server."""
        self._nginx_file(name, locations, more)
        self.servers[name] = self.start("nginx", "-c", self._file(name), "-e", self.folder / f"{name}.log")
        self.await_listening(name)

    def reload_nginx(self, name, locations, more=""):
        """Gives a running nginx other settings, and waits until it has taken them."""
        before = self._workers(name)
        self._nginx_file(name, locations, more)
        self.servers[name].send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_S
        while before & self._workers(name):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} did not take its new settings")
            time.sleep(0.005)

    def _workers(self, name):
        pid = self.servers[name].pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def _file(self, name):
        return self.folder / f"{name}.conf"

    def _nginx_file(self, name, locations, more):
        temporary = " ".join(f"{kind}_temp_path {self.folder}/{name}-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        listen = f"{HOST}:{self.port(name)}"
        if self.tls:
            protocol = "http2" if self.tls == "http2" else ""
            listen += f" ssl {protocol}; ssl_certificate {self.certificate}; ssl_certificate_key {self.certificate}"
        self._file(name).write_text(
            f"""daemon off; user root; pid {self.folder}/{name}.pid; error_log {self.folder}/{name}.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off; {temporary}
  server {{ listen {listen}; {locations} }}
  {more}
}}
"""
        )

    def to(self, service, location="/", more=""):
        """A location of nginx that hands on to a service."""
        scheme = "https" if self.tls else "http"
        return f"location {location} {{ proxy_pass {scheme}://{HOST}:{self.port(service)}; {more} }}\n"

    def haproxy(self, name, servers, more=""):
        """haproxy that gives requests to these services in turn."""
        file = self.folder / f"{name}.cfg"
        bind = server = ""
        if self.tls:
            protocols = "alpn h2,http/1.1" if self.tls == "http2" else "alpn http/1.1"
            bind, server = f" ssl crt {self.certificate} {protocols}", f" ssl verify none {protocols}"
        lines = "\n".join(f"  server {service} {HOST}:{self.port(service)}{server}" for service in servers)
        file.write_text(
            f"""defaults
  mode http
  timeout connect 2s
  timeout client 5s
  timeout server 5s
frontend entry
  bind {HOST}:{self.port(name)}{bind}
  default_backend all
backend all
  balance roundrobin
  {more}
{lines}
"""
        )
        self.servers[name] = self.start("haproxy", "-db", "-f", file)
        self.await_listening(name)

    def redis(self, name):
        words = ("--port", self.port(name), "--bind", HOST, "--save", "", "--dir", self.folder)
        self.servers[name] = self.start("redis-server", *words)
        self.await_listening(name)

    def node(self, name, source, **environment):
        """A service in JavaScript, which finds its port in PORT, and is started again whenever it ends."""
        environment = self._environment(name, environment)

        def supervise():
            while True:
                self.start("node", "-e", source, env=environment).wait()

        self.fork(f"{name}-supervisor", supervise)
        self.await_listening(name)
