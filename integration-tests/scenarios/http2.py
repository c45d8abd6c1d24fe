"""HTTP/2 for the scenarios, over connections that are encrypted already: one request as a client, and a server's connection."""

import select
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

# More than any connection carries at once.
_PIECE = 65536


def ask(connection, host, path, method, headers, body):
    """One request. Its status, headers and body; raises ConnectionError where no whole answer comes."""
    http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    http2.initiate_connection()
    fields = [(":method", method), (":scheme", "https"), (":authority", host), (":path", path)]
    fields += [(name.lower(), value) for name, value in (headers or {}).items()]
    if body is not None:
        fields.append(("content-length", str(len(body))))
    stream, left = 1, memoryview(body or b"")
    http2.send_headers(stream, fields, end_stream=not left)
    status, told, received = 0, {}, b""
    while True:
        while left and (room := min(http2.local_flow_control_window(stream), http2.max_outbound_frame_size, len(left))):
            http2.send_data(stream, bytes(left[:room]), end_stream=room == len(left))
            left = left[room:]
        connection.sendall(http2.data_to_send())
        data = connection.recv(_PIECE)
        if not data:
            raise ConnectionError("closed before the answer was whole")
        for event in http2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                told = {name: value for name, value in event.headers if not name.startswith(":")}
                status = int(dict(event.headers)[":status"])
            elif isinstance(event, h2.events.DataReceived):
                received += event.data
                http2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                raise ConnectionError("reset")
            elif isinstance(event, h2.events.StreamEnded):
                http2.close_connection()
                connection.sendall(http2.data_to_send())
                return status, told, received


class Served:
    """A connection that a client made, whose requests are answered at once, each by a thread of its own. `answer` gives nothing for a stream
    that is to be reset."""

    def __init__(self, connection, answer):
        self.connection, self.answer = connection, answer
        self.http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        # One at a time may use the connection: what encrypts it is not made for more.
        self.free = threading.Condition()
        self.requests = {}

    def serve(self):
        with self.free:
            self.http2.initiate_connection()
            self._send()
        while True:
            if not self.connection.pending():
                select.select([self.connection], [], [])
            with self.free:
                data = self.connection.recv(_PIECE)
                if not data:
                    return
                for event in self.http2.receive_data(data):
                    self._take(event)
                self._send()
                self.free.notify_all()

    def _send(self):
        self.connection.sendall(self.http2.data_to_send())

    def _take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.requests[event.stream_id] = (dict(event.headers), bytearray())
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id][1].extend(event.data)
            self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            threading.Thread(target=self._respond, args=(event.stream_id,), daemon=True).start()

    def _respond(self, stream):
        headers, body = self.requests.pop(stream)
        result = self.answer(headers[":method"], headers[":path"], headers, bytes(body))
        try:
            with self.free:
                if result is None:
                    self.http2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
                    self._send()
                    return
                status, told, body = result
                fields = [(":status", str(status)), *((name.lower(), value) for name, value in told.items())]
                self.http2.send_headers(stream, fields, end_stream=not body)
                left = memoryview(body)
                while left:
                    room = min(self.http2.local_flow_control_window(stream), self.http2.max_outbound_frame_size, len(left))
                    if room:
                        self.http2.send_data(stream, bytes(left[:room]), end_stream=room == len(left))
                        left = left[room:]
                    self._send()
                    if left and not room:
                        self.free.wait()
                self._send()
        except (OSError, h2.exceptions.H2Error):
            # A client that went away is nothing that a service would tell.
            pass
