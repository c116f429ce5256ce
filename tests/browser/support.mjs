// A session with its server, and a browser that looks at it. What a test leaves behind is ended with it.
import {spawn, spawnSync} from 'node:child_process';
import {createRequire} from 'node:module';
import {existsSync, mkdtempSync, readFileSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';

const require = createRequire(path.join(process.env.PERDURE_MODULES, 'x.js'));
const {chromium} = require('playwright-core');
export const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
export const SOURCE = process.env.PERDURE_SOURCE_DIR;
const PERDURE = path.resolve(process.env.PERDURE_BIN, 'perdure');

export async function eventually(condition, what, ms = 30_000) {
  const until = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > until) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(20);
  }
}

export async function start(t, {serve = [], page = {}} = {}) {
  const scratch = mkdtempSync(path.join(tmpdir(), 'perdure-browser-'));
  const session = path.join(scratch, 'session');
  const env = {...process.env, XDG_STATE_HOME: path.join(scratch, 'state'), XDG_CONFIG_HOME: path.join(scratch, 'config')};
  const it = {scratch, session, env};
  it.run = (...args) => {
    const done = spawnSync(PERDURE, ['--session', session, ...args], {env, encoding: 'utf8'});
    if (done.status !== 0) throw new Error(`perdure ${args.join(' ')}: ${done.stderr}`);
    return done.stdout.trim();
  };
  it.serve = async (...options) => {
    const server = it.server = spawn(PERDURE, ['--session', session, 'web', ...options], {env, stdio: ['ignore', 'pipe', 'pipe']});
    const said = {out: '', err: ''};
    server.stdout.on('data', d => { said.out += d; });
    server.stderr.on('data', d => { said.err += d; });
    await eventually(() => said.out.includes('\n') && said.err.includes('\n'), 'the server says where it is');
    it.link = said.out.trim();
    it.base = it.link.slice(0, it.link.indexOf('/#'));
    it.port = Number(new URL(it.base).port);
    it.token = readFileSync(path.join(scratch, 'state', 'perdure', 'web-token'), 'utf8').trim();
    it.sid = /session ([0-9a-f]{12})/.exec(said.err)[1];
  };
  it.kill = async signal => {
    if (!it.server || it.server.exitCode !== null) return;
    const gone = new Promise(done => it.server.once('exit', done));
    it.server.kill(signal);
    await gone;
  };
  it.api = async (method, where, {body, token = it.token, headers = {}} = {}) => {
    const response = await fetch(it.base + where, {method, body: body && JSON.stringify(body), headers: {
      ...(token ? {Authorization: `Bearer ${token}`} : {}), ...(method === 'GET' ? {} : {'Content-Type': 'application/json', 'X-Perdure': '1'}), ...headers}});
    return {status: response.status, headers: response.headers, json: await response.json().catch(() => null)};
  };
  it.browser = await chromium.launch({executablePath: process.env.PERDURE_CHROMIUM, args: ['--no-sandbox', '--force-color-profile=srgb']});
  it.complaints = [];
  it.open = async (url, options = {}) => {
    const context = options.context ?? await it.browser.newContext({viewport: {width: 1440, height: 900}, ...page, ...options});
    const opened = await context.newPage();
    opened.on('console', m => { if (['error', 'warning'].includes(m.type())) it.complaints.push(m.text()); });
    opened.on('pageerror', e => it.complaints.push(String(e)));
    await opened.goto(url);
    return opened;
  };
  t.after(async () => {
    await it.browser.close();
    for (const id of (() => { try { return JSON.parse(it.run('list', '--json')); } catch { return []; } })()) {
      try { it.run(...(id.kind === 'question' ? ['answer', id.taskId, '--dismiss'] : ['stop', id.taskId])); } catch { /* it has ended */ }
    }
    await it.kill('SIGTERM');
    await eventually(() => !left(session), 'no process of the session is left', 10_000).finally(() => rmSync(scratch, {recursive: true, force: true}));
  });
  await it.serve(...serve);
  return it;
}

function left(session) {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).some(pid => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes('@' + session) && !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch { return false; }
  });
}

/** What axe finds wrong: WCAG 2.2 A and AA. */
export async function violations(page) {
  // By the debugger, so that the page's own policy stays as it is.
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}));
  return found.violations.map(v => `${v.id}: ${v.nodes.map(n => `${n.target} ${n.failureSummary}`).slice(0, 3).join(' | ')}`);
}

export const rows = page => page.locator('.rows .row');
export const exists = existsSync;
