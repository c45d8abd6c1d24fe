"""A host of MCP Apps, as small as one can be: it calls a tool, shows the document that the tool names in a sandbox, and hands on
what the document asks for."""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

EXTENSION = {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}

# The policy of the specification for documents that declare no domains; what asks the host's own server is the host.
POLICY = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-src 'self'"

PAGE = """<!DOCTYPE html><meta charset=utf-8><title>host</title><style>iframe { width: 100%; border: 0; height: 300px }</style>
<script>
const given = GIVEN;
const log = [];
addEventListener("DOMContentLoaded", () => {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  const send = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
  addEventListener("message", async ({ source, data }) => {
    if (source !== frame.contentWindow) return;
    log.push(data);
    if (data.method === "ui/initialize") send({ id: data.id, result: { protocolVersion: "2026-01-26", hostInfo: { name: "host", version: "1" },
      hostCapabilities: { serverTools: {} }, hostContext: { theme: given.theme } } });
    else if (data.method === "ui/notifications/initialized") {
      send({ method: "ui/notifications/tool-input", params: { arguments: given.arguments } });
      send({ method: "ui/notifications/tool-result", params: given.result });
    } else if (data.method === "tools/call") {
      const response = await fetch("/call", { method: "POST", body: JSON.stringify(data.params) });
      send({ id: data.id, result: await response.json() });
    } else if (data.method === "ui/notifications/size-changed") frame.style.height = data.params.height + "px";
  });
  frame.srcdoc = given.html;
  document.body.append(frame);
});
</script><body>"""


def ask(url, method, about=None, **params):
    """A request as the revision without sessions has it, with the extension declared."""
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {"extensions": EXTENSION},
            "io.modelcontextprotocol/clientInfo": {"name": "host", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28",
               "Mcp-Method": method, **({"Mcp-Name": about} if about else {})}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as response:
        text = response.read().decode()
    lines = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()] or [text]
    return json.loads(lines[-1])["result"]


class Host:
    def __init__(self, mcp):
        self.mcp = mcp
        tools = {tool["name"]: tool for tool in ask(mcp, "tools/list")["tools"]}
        self.documents = {name: tool["_meta"]["ui"]["resourceUri"] for name, tool in tools.items() if "_meta" in tool}
        host = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                wanted = dict(parse_qsl(urlsplit(self.path).query))
                self.answer("text/html; charset=utf-8", host.page(**wanted).encode() if wanted else b"")

            def do_POST(self):
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer("application/json", json.dumps(host.call(call["name"], call.get("arguments") or {})).encode())

            def answer(self, kind, body):
                self.send_response(200)
                for name, value in [("Content-Type", kind), ("Content-Security-Policy", POLICY), ("Content-Length", str(len(body)))]:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def call(self, name, arguments):
        return ask(self.mcp, "tools/call", name, name=name, arguments=arguments)

    def page(self, tool, arguments, theme):
        uri, arguments = self.documents[tool], json.loads(arguments)
        [document] = ask(self.mcp, "resources/read", uri, uri=uri)["contents"]
        assert document["mimeType"] == "text/html;profile=mcp-app" and not any(document["_meta"]["ui"]["csp"].values()), document
        given = {"html": document["text"], "result": self.call(tool, arguments), "arguments": arguments, "theme": theme}
        return PAGE.replace("GIVEN", json.dumps(given).replace("<", "\\u003c"))
