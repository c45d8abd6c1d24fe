"""A service in Node fails for a moment and is well again; nginx in front of it has kept the errors, and serves them on."""

import signal
import time

from lab import Expected, Symptom

SYMPTOM = Symptom("/articles/*", 500)
THREADS, AFTER = 4, 900
SOURCE = """
const http = require('http');
let failing = false;
process.on('SIGUSR2', () => { failing = !failing; });
http.createServer((request, response) => {
  const status = failing && Number(request.url.split('/').pop()) % 3 === 0 ? 500 : 200;
  setTimeout(() => { response.writeHead(status); response.end('text'); }, 4);
}).listen(process.env.PORT, '127.0.0.1');
"""


def expected(lab):
    return Expected(f":{lab.port('front')}", [["itself", "cache", "without asking", "asked nobody", "kept"]])


def start(lab):
    lab.servers["articles"] = lab.start("node", "-e", SOURCE, env=lab._environment("articles", {}))
    lab.await_listening("articles")
    lab.serve("comments", lambda request: 200)
    cached = "proxy_cache kept; proxy_cache_valid 200 1s; proxy_cache_valid any 10m; add_header x-cache-status $upstream_cache_status always;"
    lab.nginx(
        "front", lab.to("articles", "/articles/", cached) + lab.to("comments", "/comments/"), f"proxy_cache_path {lab.folder}/kept keys_zone=kept:1m;"
    )


def break_it(lab):
    articles = lab.servers["articles"]
    articles.send_signal(signal.SIGUSR2)
    time.sleep(2.4)
    articles.send_signal(signal.SIGUSR2)


def visit(lab, number):
    yield lab.ask("front", f"/articles/{number % 24}" if number % 4 else f"/comments/{number}")
