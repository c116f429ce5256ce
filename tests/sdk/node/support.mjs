// A session of a test's own. $PERDURE_BIN has the programs; nothing of a session outlives its test.
import { mkdtempSync, realpathSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const SOURCE = process.env.PERDURE_SOURCE_DIR ?? fileURLToPath(new URL('../../..', import.meta.url));
export const BINARY = path.join(path.resolve(process.env.PERDURE_BIN ?? path.join(SOURCE, 'build/dev/bin')), 'perdure');
export const { Perdure, PerdureError, Task } = await import(path.join(SOURCE, 'sdk/node/index.js'));

function processesWith(text) {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      if (/\) [ZX]/.test(readFileSync(`/proc/${name}/stat`, 'latin1'))) return false;
      return readFileSync(`/proc/${name}/environ`, 'latin1').includes(text);
    } catch {
      return false;
    }
  });
}

export async function eventually(condition, what, seconds = 30) {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > until) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(5);
  }
}

export function session(t) {
  const scratch = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'perdure-test-')));
  const folder = path.join(scratch, 'session');
  const env = { ...process.env, XDG_CONFIG_HOME: path.join(scratch, 'config'), XDG_STATE_HOME: scratch };
  const clients = [];
  t.after(async () => {
    await Promise.all(clients.map((one) => one.close()));
    try {
      await eventually(() => processesWith(`@${folder}`).length === 0, 'no process outlives the test', 3);
    } finally {
      for (const pid of processesWith(`@${folder}`)) process.kill(Number(pid), 'SIGKILL');
      rmSync(scratch, { recursive: true, force: true });
    }
  });
  const open = async (options = {}) => {
    const perdure = await Perdure.open({ session: folder, binary: BINARY, env, ...options });
    clients.push(perdure);
    return perdure;
  };
  return { scratch, folder, env, open, clients };
}

/** Kills rpc, and waits until it was started again. */
export async function kill(perdure) {
  const before = perdure.restarts;
  process.kill(await eventually(() => perdure.pid, 'a process'), 'SIGKILL');
  await eventually(() => perdure.restarts > before, 'started again');
}
