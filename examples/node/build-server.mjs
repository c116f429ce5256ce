#!/usr/bin/env node
// A server that starts builds and streams their logs: `build-server.mjs SESSION`. With express the two handlers below are
// `app.post` and `app.get`; Node's own server keeps the example without a dependency. It may be killed at any instant: the
// builds go on, and the next server knows them.
import http from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Perdure, PerdureError } from '../../sdk/node/index.js'; // from 'perdure' in a program of your own

const BUILD = process.env.BUILD ?? 'for i in 1 2 3; do echo "step $i"; sleep 0.1; done';
const perdure = await Perdure.open({ session: process.argv[2] });

const routes = [
  { method: 'POST', pattern: /^\/builds$/, handle: async (_, response) => {
    const task = await perdure.start({ command: BUILD, description: 'build', timeoutMs: 600_000 });
    response.writeHead(201, { 'Content-Type': 'application/json' }).end(JSON.stringify({ id: task.id }));
  } },
  { method: 'GET', pattern: /^\/builds\/([^/]+)$/, handle: async ([id], response) => {
    const task = await perdure.get(id);
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ id, status: task.status }));
  } },
  // The log from its beginning, then as it grows, until the build has ended or the reader has gone.
  { method: 'GET', pattern: /^\/builds\/([^/]+)\/log$/, handle: async ([id], response) => {
    const task = await perdure.get(id);
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' });
    await pipeline(task.output({ follow: true, signal: gone.signal }), response);
  } },
];

const server = http.createServer(async (request, response) => {
  try {
    for (const { method, pattern, handle } of routes) {
      const match = request.method === method && pattern.exec(request.url ?? '');
      if (match) return await handle(match.slice(1), response);
    }
    return response.writeHead(404).end();
  } catch (error) {
    if (response.headersSent) return response.destroy();
    const status = error instanceof PerdureError && error.code.startsWith('task.') ? 404 : 500;
    return response.writeHead(status, { 'Content-Type': 'text/plain' }).end(error.message);
  }
});
server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(`serving http://127.0.0.1:${address.port}`);
});
