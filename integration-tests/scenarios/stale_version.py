"""Pages ask a new path since their release; of two servers behind a gateway one, in Node, is an old version that lacks it."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/profile/*", 404)
THREADS = 5
SOURCE = """
const pem = process.env.CERTIFICATE && require('fs').readFileSync(process.env.CERTIFICATE);
const fresh = process.env.VERSION === '2';
const serve = handler => pem
  ? require('http2').createSecureServer({ key: pem, cert: pem, allowHTTP1: true }, handler)
  : require('http').createServer(handler);
serve((request, response) => {
  const known = request.url.startsWith('/v1/') || (fresh && request.url.startsWith('/v2/'));
  setTimeout(() => { response.writeHead(known ? 200 : 404); response.end(known ? '{"name":"x"}' : 'no such route'); }, 3);
}).listen(process.env.PORT, '127.0.0.1');
"""


def expected(lab):
    return Expected(f":{lab.port('users-b')}", [["status 404", ": 404 "], "/v2/"])


def start(lab):
    for name, version in (("users-a", 2), ("users-b", 1)):
        lab.servers[name] = lab.start("node", "-e", SOURCE, env=lab._environment(name, {"VERSION": version}))
        lab.await_listening(name)
    lab.haproxy("gateway", ["users-a", "users-b"])

    def pages(request):
        number = request.path.rsplit("/", 1)[1]
        version = 2 if lab.broken else 1
        user = lab.ask("gateway", f"/v{version}/users/{number}")
        lab.ask("avatars", f"/avatars/{number}")
        return user.status

    lab.serve("avatars", lambda request: 200 if int(request.path.rsplit("/", 1)[1]) % 3 else 404)
    lab.serve("pages", pages)
    lab.nginx("front", lab.to("pages"))


def visit(lab, number):
    yield lab.ask("front", f"/profile/{number}")
