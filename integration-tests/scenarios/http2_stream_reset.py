"""A backend behind HTTP/2 resets its streams: its caller answers 502."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/ledger/*", 502)
LEDGER = """
const http2 = require('http2'), pem = process.env.CERTIFICATE && require('fs').readFileSync(process.env.CERTIFICATE);
(pem ? http2.createSecureServer({ key: pem, cert: pem }) : http2.createServer()).on('stream', (stream, headers) => {
  stream.on('error', () => {});
  if (headers['x-version'] === '2') return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  stream.respond({ ':status': 200 });
  stream.end();
}).listen(process.env.PORT, '127.0.0.1');
"""
BOOKS = """
const http2 = require('http2'), pem = process.env.CERTIFICATE && require('fs').readFileSync(process.env.CERTIFICATE);
const ledger = http2.connect((pem ? 'https' : 'http') + '://127.0.0.1:' + process.env.BEHIND, { ca: pem });
const serve = handler => pem ? http2.createSecureServer({ key: pem, cert: pem, allowHTTP1: true }, handler) : require('http').createServer(handler);
serve((request, response) => {
  const stream = ledger.request({ ':path': request.url, 'x-version': request.headers['x-version'] });
  const answer = status => { if (!response.headersSent) { response.writeHead(status); response.end(); } };
  stream.on('response', headers => answer(headers[':status']));
  stream.on('error', () => answer(502));
  stream.resume();
}).listen(process.env.PORT, '127.0.0.1');
"""


def expected(lab):
    return Expected(f":{lab.port('ledger')}", [["INTERNAL_ERROR", "RST_STREAM", "stream"]])


def start(lab):
    lab.node("ledger", LEDGER)
    lab.node("books", BOOKS, BEHIND=lab.port("ledger"))
    lab.nginx("front", lab.to("books"))


def visit(lab, number):
    # A release of the client, which the ledger cannot answer.
    yield lab.ask("front", f"/ledger/{number}", headers={"x-version": "2" if lab.broken else "1"})
