// The TypeScript SDK does what an agent does: lists, calls, errs, reads, asks for a prompt, aborts.
//
// Usage: with_typescript.cjs sdk|client legacy|auto http|sse URL TOKEN | ... stdio COMMAND ARGUMENTS...
// `sdk` is the one package that was first, `client` the newer one, which knows both eras of the protocol.

'use strict';
const assert = require('node:assert/strict');
const [which, era, how, target, ...rest] = process.argv.slice(2);
const isNew = which === 'client';
const { Client } = require(isNew ? '@modelcontextprotocol/client' : '@modelcontextprotocol/sdk/client/index.js');
const { StdioClientTransport } = require(isNew ? '@modelcontextprotocol/client/stdio' : '@modelcontextprotocol/sdk/client/stdio.js');
const { StreamableHTTPClientTransport } = require(isNew ? '@modelcontextprotocol/client' : '@modelcontextprotocol/sdk/client/streamableHttp.js');
const { SSEClientTransport } = require(isNew ? '@modelcontextprotocol/client' : '@modelcontextprotocol/sdk/client/sse.js');

const Remote = { http: StreamableHTTPClientTransport, sse: SSEClientTransport }[how];
const transport = Remote
  ? new Remote(new URL(target), { requestInit: { headers: { Authorization: `Bearer ${rest[0]}` } } })
  : new StdioClientTransport({ command: target, args: rest });
const client = new Client({ name: 'test', version: '1' }, isNew ? { versionNegotiation: { mode: era } } : {});
// The first one takes a schema of the result before its options.
const call = (name, given, options) =>
  isNew ? client.callTool({ name, arguments: given }, options) : client.callTool({ name, arguments: given }, undefined, options);

async function main() {
  await client.connect(transport);
  if (isNew) assert.equal(client.getNegotiatedProtocolVersion(), era === 'auto' ? '2026-07-28' : '2025-11-25');
  const names = (await client.listTools()).tools.map((tool) => tool.name);
  for (const name of ['status', 'find_errors', 'search_exchanges']) assert.ok(names.includes(name), `${names}`);
  const status = await call('status', {});
  assert.ok(status.structuredContent.coverage.as_of, JSON.stringify(status));
  const found = await call('find_errors', {});
  assert.match(found.content[0].text, /\/missing\//);
  const wrong = await call('find_errors', { sinc: '-1h' });
  assert.ok(wrong.isError, JSON.stringify(wrong));
  assert.match(wrong.content[0].text, /did you mean since/);
  const resources = (await client.listResources()).resources.map((resource) => resource.uri);
  assert.ok(resources.includes('headwater://coverage'), `${resources}`);
  const read = await client.readResource({ uri: 'headwater://coverage' });
  assert.match(read.contents[0].text, /recorder/);
  const prompt = await client.getPrompt({ name: 'investigate_error', arguments: { symptom: 'GET /missing/one 404' } });
  assert.match(prompt.messages[0].content.text, /GET \/missing\/one 404/);
  // What waits for a request that nobody sends is aborted once it is under way.
  const abort = new AbortController();
  const waiting = call('search_exchanges', { path: '=/never', wait_s: 25 }, { signal: abort.signal, onprogress: () => abort.abort('enough') });
  await assert.rejects(waiting, /enough/);
  assert.ok(abort.signal.aborted);
  // And the session goes on.
  assert.ok((await call('status', {})).structuredContent.now);
  await client.close();
  console.log(`${which}: all was answered`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
