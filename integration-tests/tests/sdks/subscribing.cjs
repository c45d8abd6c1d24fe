// The TypeScript SDK completes an argument, subscribes to the failures, and is told when one is recorded.
//
// Usage: subscribing.cjs URL-OF-A-SERVER sdk|client legacy|auto http URL | ... stdio COMMAND ARGUMENTS...

'use strict';
const assert = require('node:assert/strict');
const [url, which, era, how, target, ...rest] = process.argv.slice(2);
const isNew = which === 'client';
const { Client } = require(isNew ? '@modelcontextprotocol/client' : '@modelcontextprotocol/sdk/client/index.js');
const { StdioClientTransport } = require(isNew ? '@modelcontextprotocol/client/stdio' : '@modelcontextprotocol/sdk/client/stdio.js');
const { StreamableHTTPClientTransport } = require(isNew ? '@modelcontextprotocol/client' : '@modelcontextprotocol/sdk/client/streamableHttp.js');

const FAILURES = 'headwater://failures';
const transport = how === 'http' ? new StreamableHTTPClientTransport(new URL(target)) : new StdioClientTransport({ command: target, args: rest });
const client = new Client({ name: 'test', version: '1' }, isNew ? { versionNegotiation: { mode: era } } : {});

async function main() {
  await client.connect(transport);
  const offered = await client.complete({ ref: { type: 'ref/prompt', name: 'investigate_error' }, argument: { name: 'service', value: 'nginx' } });
  assert.match(offered.completion.values[0], /^nginx/);

  let heard;
  const next = () => new Promise((resolve) => (heard = resolve));
  const kind = isNew ? 'notifications/resources/updated' : require('@modelcontextprotocol/sdk/types.js').ResourceUpdatedNotificationSchema;
  client.setNotificationHandler(kind, (update) => heard(update.params.uri));
  let update = next();
  if (era === 'auto') {
    await client.listen({ resourceSubscriptions: [FAILURES] });
    // Something has failed before.
    assert.equal(await update, FAILURES);
    update = next();
  } else {
    await client.subscribeResource({ uri: FAILURES });
  }
  assert.equal((await fetch(`${url}/missing/${which}-${era}-${how}`)).status, 404);
  assert.equal(await update, FAILURES);
  const read = await client.readResource({ uri: FAILURES });
  assert.match(read.contents[0].text, /status 404/);
  // With the subscription still open.
  await client.close();
  console.log('completed and told');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
