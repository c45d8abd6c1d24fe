"""A service in Node ends with exit code 1 whenever one of its pages is asked for, and is started again."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/export", 502)
BEFORE, AFTER = 45, 30
SOURCE = """
const http = require('http');
http.createServer((request, response) => {
  if (request.url === '/crash') process.exit(1);
  response.end();
}).listen(process.env.PORT, '127.0.0.1');
"""


def expected(lab):
    return Expected(f":{lab.port('exports')}", [["exit code 1", "code 1", "status 1"]])


def start(lab):
    lab.node("exports", SOURCE)

    # Since the fault the export is made by the page that crashes.
    def pages(request):
        path = "/crash" if lab.broken and request.path == "/export" else request.path
        return lab.ask("exports", path).status or 502

    lab.serve("pages", pages)
    lab.nginx("front", lab.to("pages"))


def visit(lab, number):
    yield lab.ask("front", "/export" if number % 8 == 0 else f"/list/{number}")
