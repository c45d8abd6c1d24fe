// Calls of tools: at /mcp, or through the host that shows this as an MCP App. Nothing else differs between the two.

const REVISION = "2026-07-28";
const APP_REVISION = "2026-01-26";
// The page itself cannot be framed: its policy forbids it.
const isApp = window.parent !== window;

// The server wants a token, or another one.
class Locked extends Error {}

let token = null;
let lastId = 0;
const pending = new Map();

async function call(name, given, signal) {
  const params = { name, arguments: given };
  const result = isApp ? await askHost("tools/call", params, signal) : await askServer(params, signal);
  if (result.isError) throw new Error(textOf(result) || "the tool gave no answer");
  if (!result.structuredContent) throw new Error("the answer has no structured form");
  return result.structuredContent;
}

const textOf = (result) => (result.content || []).map((block) => block.text || "").join("\n");

async function askServer(params, signal) {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": { name: "headwater-page", version: "1" },
  };
  const headers = {
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    "MCP-Protocol-Version": REVISION,
    "Mcp-Method": "tools/call",
    "Mcp-Name": params.name,
  };
  if (token !== null) headers.Authorization = "Bearer " + token;
  let response, text;
  try {
    response = await fetch("mcp", {
      method: "POST",
      headers,
      body: JSON.stringify({ jsonrpc: "2.0", id: ++lastId, method: "tools/call", params: { ...params, _meta: meta } }),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal,
    });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the server does not answer: does headwater serve still run?");
  }
  if (response.status === 401) throw new Locked(token === null ? "This server wants its token." : "This is not the token of this server.");
  const answer = messageOf(text);
  if (answer && answer.result) return answer.result;
  throw new Error((answer && answer.error && answer.error.message) || text.trim().slice(0, 300) || "status " + response.status);
}

// The response, as JSON or as the last event of a stream.
function messageOf(text) {
  const candidates = text.trimStart().startsWith("{") ? [text] : text.split(/\r?\n\r?\n/).map((event) => event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n"));
  for (const candidate of candidates.reverse()) {
    try {
      const message = JSON.parse(candidate);
      if (message.result || message.error) return message;
    } catch {
      // Not it: an empty event, or another's text.
    }
  }
  return null;
}

function askHost(method, params, signal) {
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    pending.set(id, { resolve, reject });
    if (signal) {
      signal.addEventListener("abort", () => {
        pending.delete(id);
        reject(new DOMException("given up", "AbortError"));
      });
    }
    post({ id, method, params });
  });
}

// Who the host is, a sandboxed document cannot know: what is sent is the name of a tool, its arguments, and a size.
const post = (message) => window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");

// Begins the talk with the host. `told` gets its notifications.
async function greetHost(told) {
  window.addEventListener("message", (event) => {
    const message = event.data;
    if (event.source !== window.parent || !message || message.jsonrpc !== "2.0") return;
    if (message.method === undefined) {
      const waiting = pending.get(message.id);
      pending.delete(message.id);
      if (!waiting) return;
      if (message.error) waiting.reject(new Error(String(message.error.message || "the host refused")));
      else waiting.resolve(message.result || {});
    } else if (message.id === undefined) {
      told(message.method, message.params || {});
    } else if (message.method === "ping" || message.method === "ui/resource-teardown") {
      post({ id: message.id, result: {} });
    } else {
      post({ id: message.id, error: { code: -32601, message: "the page has no such method" } });
    }
  });
  const begun = await askHost("ui/initialize", {
    protocolVersion: APP_REVISION,
    appInfo: { name: "headwater", version: "1" },
    appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
  });
  told("ui/notifications/host-context-changed", begun.hostContext || {});
  post({ method: "ui/notifications/initialized", params: {} });
  let size = "";
  new ResizeObserver(() => {
    const { width, height } = document.documentElement.getBoundingClientRect();
    const now = { width: Math.ceil(width), height: Math.ceil(height) };
    if (size !== (size = now.width + " " + now.height)) post({ method: "ui/notifications/size-changed", params: now });
  }).observe(document.documentElement);
}
