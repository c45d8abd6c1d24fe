"""A page in Node asks three services at once. One fails always, which the page tolerates; another begins to fail, which it does not."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/product/*", 502)
THREADS = 5
SOURCE = """
const http = require('http');
const ask = (port, path) => new Promise(done => http.get({host: '127.0.0.1', port, path},
  answer => { answer.resume(); answer.on('end', () => done(answer.statusCode)); }).on('error', () => done(0)));
const {ADS, REVIEWS, PRICES} = process.env;
http.createServer(async (request, response) => {
  const [, reviews, prices] = await Promise.all([ask(ADS, '/ads'), ask(REVIEWS, '/reviews'), ask(PRICES, '/prices')]);
  response.writeHead(reviews === 200 && prices === 200 ? 200 : 502);
  response.end();
}).listen(process.env.PORT, '127.0.0.1');
"""


def expected(lab):
    return Expected(f":{lab.port('reviews')}", [["status 500", ": 500 "]])


def start(lab):
    count = iter(range(1_000_000))
    lab.serve("ads", lambda request: 500)
    lab.serve("reviews", lambda request: 500 if lab.broken and next(count) % 3 == 0 else 200)
    lab.serve("prices", lambda request: 200)
    lab.servers["product"] = lab.start("node", "-e", SOURCE, env=lab._environment("product", {n.upper(): lab.port(n) for n in ("ads", "reviews", "prices")}))
    lab.await_listening("product")
    lab.nginx("front", lab.to("product"))


def visit(lab, number):
    yield lab.ask("front", f"/product/{number}")
