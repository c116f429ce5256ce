#!/usr/bin/env node
// tests/support/acp_agent.py once more, on the official SDK: the same words, the same environment.
import * as acp from '@agentclientprotocol/sdk/unstable';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { Readable, Writable } from 'node:stream';

const M = acp.methods;
const env = process.env;
const KINDS = { a: 'allow_once', A: 'allow_always', r: 'reject_once', R: 'reject_always' };
if (env.ACP_MARKER) fs.closeSync(fs.openSync(env.ACP_MARKER, 'a'));

class Cancelled extends Error {}
const refused = (code, message) => new acp.RequestError(code, message);
const stored = () => (env.ACP_STORE && fs.existsSync(env.ACP_STORE) ? JSON.parse(fs.readFileSync(env.ACP_STORE)) : {});
let session, cwd, servers, loggedIn = !env.ACP_AUTH, cancel = new AbortController(), options = 'a,A,r';
const keep = (change) => {
  const all = stored();
  all[session] = { history: [], ...all[session], ...change };
  if (!env.ACP_STORE) return;
  fs.writeFileSync(`${env.ACP_STORE}.${process.pid}`, JSON.stringify(all));
  fs.renameSync(`${env.ACP_STORE}.${process.pid}`, env.ACP_STORE);
};
const remember = (who, text) => keep({ history: [...(stored()[session]?.history ?? []), [who, text]] });
const hang = (name) => env.ACP_HANG === name && new Promise(() => {});
const about = () => ({
  configOptions: [{ id: 'model', name: 'Model', category: 'model', type: 'select', currentValue: 'small',
    options: [{ value: 'small', name: 'Small' }, { value: 'big', name: 'Big' }] }],
  modes: { currentModeId: 'ask', availableModes: [{ id: 'ask', name: 'Ask' }, { id: 'code', name: 'Code' }] } });
const update = (client, sessionUpdate, fields) => client.notify(M.client.session.update, { sessionId: session, update: { sessionUpdate, ...fields } });
const text = (client, kind, words, fields = {}) => update(client, kind, { content: { type: 'text', text: words }, ...fields });
const raw = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n');
const outcomeOf = async (promise) => promise.then((result) => ({ result }), (error) => ({ error }));

const does = {
  async permission(client) {
    await update(client, 'tool_call', { toolCallId: 'call_1', title: 'Delete everything', kind: 'delete', status: 'pending', rawInput: { path: 'a.txt' } });
    const kinds = options.split(',');
    const { outcome } = await client.request(M.client.session.requestPermission, { sessionId: session, toolCall: { toolCallId: 'call_1' },
      options: kinds.map((k, n) => ({ optionId: `o${n}`, name: KINDS[k].replace('_', ' '), kind: KINDS[k] })) });
    const kind = outcome.outcome === 'selected' ? KINDS[kinds[+outcome.optionId.slice(1)]] : outcome.outcome;
    await text(client, 'agent_message_chunk', `permission ${kind}`, { messageId: 'permission' });
    if (kind === 'cancelled' && cancel.signal.aborted) throw new Cancelled();
  },
  async 'permission-content'(client) {
    const content = [{ type: 'content', content: { type: 'text', text: 'Requesting approval to Running: rm -rf /precious' } },
      { type: 'diff', path: '/etc/hosts', oldText: 'a\nb\n', newText: 'a\nc\n' }];
    const { outcome } = await client.request(M.client.session.requestPermission, { sessionId: session,
      toolCall: { toolCallId: 'call_2', title: 'Bash', kind: 'execute', locations: [{ path: '/etc/passwd', line: 7 }], content },
      options: ['allow_once', 'reject_once'].map((kind) => ({ optionId: kind, name: kind, kind })) });
    await text(client, 'agent_message_chunk', `permission ${outcome.optionId ?? outcome.outcome}`, { messageId: 'permission' });
  },
  async fs(client) {
    const file = (method, path, more) => outcomeOf(client.request(method, { sessionId: session, path, ...more }));
    const read = await file(M.client.fs.readTextFile, `${cwd}/a.txt`, { line: 2, limit: 1 });
    const wrote = await file(M.client.fs.writeTextFile, `${cwd}/deep/b.txt`, { content: 'new' });
    const outside = await file(M.client.fs.readTextFile, '/etc/passwd');
    const climbing = await file(M.client.fs.writeTextFile, `${cwd}/../c.txt`, { content: 'x' });
    await text(client, 'agent_message_chunk', JSON.stringify([read.result, 'result' in wrote, 'error' in outside, 'error' in climbing]), { messageId: 'fs' });
  },
  async terminal(client) {
    const terminal = await client.createTerminal({ sessionId: session, command: 'sh', args: ['-c', 'echo $X; exit 3'], cwd,
      env: [{ name: 'X', value: 'hi' }], outputByteLimit: 1000 });
    const ended = await terminal.waitForExit();
    const output = await terminal.currentOutput();
    await terminal.release();
    const gone = await outcomeOf(client.request(M.client.terminal.output, { sessionId: session, terminalId: terminal.id }));
    const endless = await client.createTerminal({ sessionId: session, command: 'sleep', args: ['1000'] });
    await endless.kill();
    const killed = await endless.waitForExit();
    await text(client, 'agent_message_chunk', JSON.stringify([ended, output, 'error' in gone, killed]), { messageId: 'terminal' });
  },
  async elicit(client) {
    const requestedSchema = { type: 'object', required: ['branch'], properties: { branch: { type: 'string', enum: ['main', 'dev'] } } };
    const answer = await client.request(M.client.elicitation.create, { sessionId: session, mode: 'form', message: 'Which branch?', requestedSchema });
    await text(client, 'agent_message_chunk', JSON.stringify(answer), { messageId: 'elicit' });
  },
  async updates(client) {
    await update(client, 'plan', { entries: [{ content: 'do it', priority: 'high', status: 'in_progress' }] });
    await text(client, 'agent_thought_chunk', 'hm');
    await text(client, 'user_message_chunk', 'echo');
    await update(client, 'tool_call', { toolCallId: 'call_9', title: 'Look', kind: 'read', status: 'in_progress', locations: [{ path: '/a', line: 1 }] });
    await update(client, 'tool_call_update', { toolCallId: 'call_9', status: 'completed', rawOutput: { x: 'y'.repeat(10_000) } });
    await update(client, 'available_commands_update', { availableCommands: [] });
    await update(client, 'current_mode_update', { currentModeId: 'code' });
    await update(client, 'config_option_update', { configOptions: about().configOptions });
    await update(client, 'session_info_update', { title: 'A title' });
    await update(client, 'usage_update', { used: 1, size: 2, cost: { amount: 0.01, currency: 'USD' } });
    await update(client, 'notice', { severity: 'info', title: 'Note' });
    await update(client, 'compaction_update', { compactionId: 'c', status: 'completed' });
  },
  async unknown(client) {
    raw({ method: 'session/update', params: { sessionId: session, update: { sessionUpdate: 'something_new', x: 1 } } });
    raw({ method: '_vendor/notify', params: {} });
    const { error } = await outcomeOf(client.request('_vendor/ask', {}));
    await text(client, 'agent_message_chunk', String(error.code), { messageId: 'unknown' });
  },
  async crash() {
    fs.writeSync(2, 'about to crash\n');
    process.exit(7);
  },
  async garbage() {
    process.stdout.write('Segmentation fault, maybe\n');
  },
  async holder() {
    spawn('sh', ['-c', 'trap "" HUP; while :; do sleep 0.1; done'], { detached: true, stdio: ['ignore', 'inherit', 'inherit'] }).unref();
  },
  async child() {
    spawn('sh', ['-c', 'trap "" TERM HUP; while :; do sleep 0.1; done'], { detached: true, stdio: 'ignore' }).unref();
  },
};

async function turn(client, words, late) {
  let stopReason = 'end_turn';
  while (words.length) {
    const word = words.shift();
    if (word === 'say') {
      const rest = words.splice(0).join(' ');
      for (const part of [rest.slice(0, 3), rest.slice(3)]) await text(client, 'agent_message_chunk', part, { messageId: 'final' });
      remember('agent', rest);
    } else if (word === 'sleep') {
      const ms = +words.shift() * 1000;
      await new Promise((done, failed) => {
        const timer = setTimeout(done, ms);
        const end = () => { clearTimeout(timer); failed(new Cancelled()); };
        if (late.includes('ignore-cancel')) return;
        if (cancel.signal.aborted) end();
        cancel.signal.addEventListener('abort', end);
      });
    } else if (word === 'refuse') stopReason = 'refusal';
    else if (word === 'max-tokens') stopReason = 'max_tokens';
    else if (word === 'fail') throw refused(-32603, 'the model is not there');
    else if (word === 'options') options = words.shift();
    else if (word === 'flood') {
      const chunk = 'x'.repeat(65_000);
      for (let n = 0, most = +words.shift() * 16; n < most; ++n) await text(client, n % 2 ? 'agent_message_chunk' : 'agent_thought_chunk', chunk, { messageId: 'flood' });
    } else await does[word]?.(client);
  }
  return { stopReason, usage: { totalTokens: 30, inputTokens: 20, outputTokens: 10 } };
}

const open = (params) => { session = params.sessionId ?? session; cwd = params.cwd; servers = params.mcpServers; };
const known = (id) => { if (!(id in stored())) throw refused(-32002, 'no such conversation'); };

acp.agent({ name: 'scripted' })
  .onRequest(M.agent.initialize, async () => (await hang('initialize')) || ({ protocolVersion: +(env.ACP_VERSION ?? 1), agentInfo: { name: 'scripted', version: '1.0' },
    authMethods: env.ACP_AUTH ? [{ id: env.ACP_AUTH, name: 'Log in' }] : [],
    agentCapabilities: { loadSession: env.ACP_CAPS !== 'none', sessionCapabilities: { close: {}, ...(env.ACP_CAPS ? {} : { resume: {} }) } } }))
  .onRequest(M.agent.authenticate, ({ params }) => { if (params.methodId !== env.ACP_AUTH) throw refused(-32602, 'no such method'); loggedIn = true; return {}; })
  .onRequest(M.agent.session.new, async ({ params }) => {
    await hang('new');
    if (!loggedIn) throw refused(-32000, 'Authentication required');
    session = env.ACP_SESSION_ID ?? `sess_${process.pid}_${Date.now()}`;
    open(params);
    keep({});
    return { sessionId: session, ...about() };
  })
  .onRequest(M.agent.session.resume, ({ params }) => { known(params.sessionId); open(params); return about(); })
  .onRequest(M.agent.session.load, async ({ params, client }) => {
    known(params.sessionId);
    open(params);
    for (const [who, words] of stored()[session].history) await text(client, who === 'user' ? 'user_message_chunk' : 'agent_message_chunk', words);
    return about();
  })
  .onRequest(M.agent.session.close, () => ({}))
  .onRequest(M.agent.session.setMode, async ({ params, client }) => { keep({ mode: params.modeId }); await update(client, 'current_mode_update', { currentModeId: params.modeId }); return {}; })
  .onRequest(M.agent.session.setConfigOption, ({ params }) => {
    keep({ [params.configId]: params.value });
    const { configOptions } = about();
    configOptions[0].currentValue = params.value;
    return { configOptions };
  })
  .onNotification(M.agent.session.cancel, () => cancel.abort())
  .onRequest(M.agent.session.prompt, async ({ params, client }) => {
    const all = params.prompt.map((block) => block.text ?? '').join(' ').split(/\s+/);
    remember('user', all.join(' '));
    cancel = new AbortController();
    const late = all.filter((word) => word.startsWith('late-') || word === 'ignore-cancel');
    try {
      return await turn(client, all.filter((word) => !late.includes(word)), late);
    } catch (error) {
      if (!(error instanceof Cancelled)) throw error;
      if (late[0] === 'late-error') throw refused(-32603, 'it broke');
      if (late.length && late[0] !== 'ignore-cancel') await text(client, 'agent_message_chunk', 'late words', { messageId: 'late' });
      return { stopReason: { 'late-end': 'end_turn', 'late-refusal': 'refusal' }[late[0]] ?? 'cancelled' };
    }
  })
  .connect(acp.ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin)));
