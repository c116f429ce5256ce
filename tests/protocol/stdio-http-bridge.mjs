#!/usr/bin/env node
// Exposes a *stdio* MCP server as Streamable HTTP so that `conformance server --url` can test it.
//   stdio-http-bridge.mjs PORT -- cmd args...
// modern (2026-07-28) POSTs share one child; each legacy `initialize` spawns its own child (= session).
// Header checks (Mcp-Method/Mcp-Name/Origin) are NOT done here: they belong to a real HTTP transport.
import http from 'node:http'; import { spawn } from 'node:child_process'; import readline from 'node:readline'; import { randomUUID } from 'node:crypto';
const port = +process.argv[2], cmd = process.argv.slice(process.argv.indexOf('--') + 1); const P = 'io.modelcontextprotocol/';
class Child { constructor() { this.p = spawn(cmd[0], cmd.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] }); this.n = 0; this.byId = new Map(); this.byTok = new Map(); this.get = null; this.q = []; this.last = null;
    readline.createInterface({ input: this.p.stdout }).on('line', l => l.trim() && this.onmsg(JSON.parse(l))); }
  write(m) { this.p.stdin.write(JSON.stringify(m) + '\n'); }
  onmsg(m) { if ('id' in m && !m.method) { const e = this.byId.get(m.id); if (!e) return; this.byId.delete(m.id); if (e.tok !== undefined) this.byTok.delete(e.tok); if (this.last === e) this.last = null; e.done({ ...m, id: e.id }); return; }
    const sub = m.params?._meta?.[P + 'subscriptionId'], tok = m.params?.progressToken; let e = sub !== undefined ? this.byId.get(sub) : tok !== undefined ? this.byTok.get(tok) : this.last ?? [...this.byId.values()].at(-1);
    if (sub !== undefined && e) m.params._meta[P + 'subscriptionId'] = e.id; if (e) e.sse(m); else if (this.get) this.get(m); else this.q.push(m); } }
let shared; const sess = new Map();
http.createServer((req, res) => { const h = req.headers; let b = '';
  if (!/^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(h.host ?? '') || (h.origin && !/^https?:\/\/(localhost|127\.0\.0\.1)(:\d+)?$/.test(h.origin))) { res.writeHead(403).end(); return; }
  req.on('data', d => b += d).on('end', () => { const s = h['mcp-session-id'] && sess.get(h['mcp-session-id']);
    if (h['mcp-session-id'] && !s) { res.writeHead(404).end(); return; }
    if (req.method === 'DELETE') { s?.p.stdin.end(); sess.delete(h['mcp-session-id']); res.writeHead(s ? 200 : 405).end(); return; }
    if (req.method === 'GET') { if (!s) { res.writeHead(405).end(); return; } res.writeHead(200, { 'content-type': 'text/event-stream' }); res.flushHeaders(); s.get = (m) => res.write(`event: message\ndata: ${JSON.stringify(m)}\n\n`); for (const m of s.q.splice(0)) s.get(m); res.on('close', () => s.get = null); return; }
    let m; try { m = JSON.parse(b); } catch { res.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'Parse error' } })); return; }
    const modern = m.params?._meta?.[P + 'protocolVersion'] !== undefined || h['mcp-protocol-version'] >= '2026'; let c = modern ? (shared ??= new Child()) : s, hdr = {};
    if (!c) { if (m.method !== 'initialize') { res.writeHead(400).end(); return; } const id = randomUUID(); sess.set(id, c = new Child()); hdr = { 'mcp-session-id': id }; }
    if (!('id' in m) || !m.method) { c.write(m); res.writeHead(202).end(); return; }
    const id = `b${++c.n}`; let sse = false; const tok = m.params?._meta?.progressToken;
    const e = { id: m.id, tok, sse: (x) => { if (!sse) { sse = true; res.writeHead(200, { ...hdr, 'content-type': 'text/event-stream' }); } res.write(`event: message\ndata: ${JSON.stringify(x)}\n\n`); },
      done: (x) => { if (sse) { e.sse(x); res.end(); } else { const st = !modern ? 200 : x.error?.code === -32601 ? 404 : [-32020, -32021, -32022].includes(x.error?.code) || (x.error?.code === -32602 && /_meta/.test(x.error.message)) ? 400 : 200; res.writeHead(st, { ...hdr, 'content-type': 'application/json' }).end(JSON.stringify(x)); } } };
    c.byId.set(id, e); c.last = e; if (tok !== undefined) c.byTok.set(tok, e); res.on('close', () => { if (!res.writableEnded && c.byId.delete(id)) c.write({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } }); });
    c.write({ ...m, id }); }); }).listen(port, "127.0.0.1", function () { console.error("bridge on " + this.address().port); });
