"""HTTP as the scenarios need it: clients that tell why there is no answer, and servers that can break off.

In clear, unless `encrypt` was called: then everything, of clients and servers, is over TLS, and over HTTP/2 where that is asked for
and the other end speaks it too.
"""

import asyncio
import http.client
import http.server
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import http2

HOST = "127.0.0.1"
PATIENCE_S = 5

# What a handler returns to reset the connection instead of an answer.
RESET = "reset"


@dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: http.client.HTTPMessage
    body: bytes


@dataclass
class Answer:
    """An answer, or why there is none: `status` is then 0 and `failure` "closed", "timeout" or "refused"."""

    status: int
    headers: dict
    body: bytes
    seconds: float
    failure: str | None = None


class Encryption:
    """How everything is encrypted: by this certificate with its key, both in one file."""

    def __init__(self, certificate, has_http2):
        protocols = ["h2", "http/1.1"] if has_http2 else ["http/1.1"]
        self.has_http2 = has_http2
        self.of_client = ssl.create_default_context(cafile=certificate)
        self.of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.of_server.load_cert_chain(certificate)
        self.of_client.set_alpn_protocols(protocols)
        self.of_server.set_alpn_protocols(protocols)


_encryption = None


def encrypt(certificate, has_http2):
    """From here on, also in processes forked later."""
    global _encryption
    _encryption = Encryption(certificate, has_http2)


class Connection:
    """A client's connection, kept open between requests. Over HTTP/2 it is made anew for each."""

    def __init__(self, port, timeout=PATIENCE_S, host=HOST):
        self.host, self.port, self.timeout = host, port, timeout
        if _encryption:
            self.connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=_encryption.of_client)
        else:
            self.connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def ask(self, path, method="GET", headers=None, body=None):
        began = time.monotonic()
        try:
            status, headers, body = self._ask(path, method, headers, body)
            return Answer(status, headers, body, time.monotonic() - began)
        except TimeoutError:
            failure = "timeout"
        except ConnectionRefusedError:
            failure = "refused"
        except (OSError, http.client.HTTPException):
            failure = "closed"
        self.close()
        return Answer(0, {}, b"", time.monotonic() - began, failure)

    def _ask(self, path, method, headers, body):
        if _encryption and _encryption.has_http2:
            with socket.create_connection((self.host, self.port), self.timeout) as plain:
                # A request is many small records, which none of the kernel's waiting is to join.
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with _encryption.of_client.wrap_socket(plain, server_hostname=self.host) as encrypted:
                    if encrypted.selected_alpn_protocol() == "h2":
                        return http2.ask(encrypted, f"{self.host}:{self.port}", path, method, headers, body)
        self.connection.request(method, path, body=body, headers=headers or {})
        answer = self.connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def close(self):
        self.connection.close()


def ask(port, path, method="GET", headers=None, body=None, timeout=PATIENCE_S, host=HOST):
    """One request on a connection of its own."""
    connection = Connection(port, timeout, host)
    answer = connection.ask(path, method, headers, body)
    connection.close()
    return answer


def parts(result):
    """A handler returns a status, or a status with headers and perhaps a body."""
    status, headers, body = ((result, {}, b"") if isinstance(result, int) else (*result, b""))[:3]
    return status, headers, body


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in one piece, and do not wait for what was sent before to be acknowledged.
    wbufsize = -1
    disable_nagle_algorithm = True
    handle_request = None

    def handle(self):
        if not _encryption:
            return super().handle()
        try:
            self.connection.do_handshake()
            if self.connection.selected_alpn_protocol() != "h2":
                return super().handle()
            http2.Served(self.connection, self.answer_http2).serve()
        except OSError:
            # A client that went away is nothing that a service would tell.
            pass

    def _ask(self, method, target, headers, body):
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        return type(self).handle_request(Request(method, url.path, query, headers, body))

    def answer_http2(self, *request):
        result = self._ask(*request)
        return None if result == RESET else parts(result)

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        result = self._ask(self.command, self.path, self.headers, body)
        if result == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        status, headers, body = parts(result)
        self.send_response_only(status)
        # A length that a handler gives may be more than it sends.
        self.close_connection |= "content-length" in headers
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def finish(self):
        # After a reset there is nothing left to flush.
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

    def get_request(self):
        connection, address = super().get_request()
        if _encryption:
            # The handshake waits for the connection's own thread.
            connection = _encryption.of_server.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, *_):
        # A client that went away is nothing that a service would tell.
        pass

    def shutdown_request(self, request):
        if request.fileno() >= 0:
            super().shutdown_request(request)


async def ask_async(port, path):
    """One request without a thread of its own; status 0 where no answer came."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {HOST}:{port}\r\nconnection: close\r\n\r\n".encode())
        head = (await reader.read()).split(b"\r\n", 1)[0].split()
        writer.close()
        return int(head[1]) if len(head) > 1 else 0
    except OSError:
        return 0


def serve(port, handler):
    """Answers with a thread for each connection. `handler` makes a status, perhaps with headers and a body, of a request."""
    kind = type("Handler", (_Handler,), {"handle_request": staticmethod(handler)})
    _Server((HOST, port), kind).serve_forever()


def serve_async(port, handler):
    """Answers everything on one thread. `handler` is a coroutine that makes a status of a path."""

    async def talk(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                status = await handler(head.split()[1].decode())
                writer.write(f"HTTP/1.1 {status} {http.client.responses[status]}\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def listen():
        server = await asyncio.start_server(talk, HOST, port, backlog=64)
        await server.serve_forever()

    asyncio.run(listen())
