// The Node SDK: what it does, and what it survives (V50).
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BINARY, Perdure, SOURCE, eventually, kill, session } from './support.mjs';

const code = (expected, more = {}) => (error) => {
  assert.deepEqual({ code: error.code, ...Object.fromEntries(Object.keys(more).map((key) => [key, error[key]])) }, { code: expected, ...more });
  return true;
};

async function bytesOf(output) {
  const parts = [];
  for await (const chunk of output) parts.push(chunk);
  return Buffer.concat(parts);
}

test('a task from its start to its removal', async (t) => {
  const { open, folder } = session(t);
  const perdure = await open({ owner: 'me' });
  assert.equal(perdure.session, folder);
  const task = await perdure.start({ command: 'echo out; exit 3', description: 'd', labels: { a: 'b' }, timeoutMs: 60_000 });
  assert.deepEqual([task.info.owner, task.info.labels, task.info.timeoutMs], ['me', { a: 'b' }, 60_000]);
  const ended = await task.wait();
  assert.deepEqual([ended.status, ended.info.exitCode, ended.id], ['failed', 3, task.id]);
  assert.equal(await task.output().text(), 'out\n');
  assert.equal((await perdure.list({ filter: { status: ['failed'] } }))[0].id, task.id);
  assert.deepEqual(await perdure.list({ active: true }), []);
  const news = await perdure.notifications();
  assert.deepEqual(news[0].tasks, [task.id]);
  await perdure.acknowledge(news[0].id, { via: 'told' });
  assert.deepEqual(await perdure.notifications(), []);
  await perdure.remove(task.id);
  await assert.rejects(perdure.get(task.id), code('task.not_found', { retryable: false }));
});

test('output is followed and exact', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const task = await perdure.start({ command: "printf 'a\\377'; sleep 0.2; printf '\\303\\274b'" });
  assert.deepEqual([...(await bytesOf(task.output({ follow: true })))], [0x61, 0xff, 0xc3, 0xbc, 0x62]);
  assert.equal(await task.output({ at: 2 }).text(), 'üb');
  const long = await perdure.start({ argv: ['seq', '1', '200000'] });
  const expected = Array.from({ length: 200_000 }, (_, n) => `${n + 1}\n`).join('');
  assert.equal(await long.output({ follow: true }).text(), expected);
  assert.equal(await perdure.text(long.id, { tailLines: 2 }), '199999\n200000\n');
});

test('input, signals, deadlines, stop', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const task = await perdure.start({ command: 'cat; exit 5', input: 'pipe', timeoutMs: 50_000 });
  await task.write('grüße\n');
  assert.equal((await task.extend(70_000)).info.timeoutMs, 70_000);
  await task.write(new Uint8Array([0xff]), { eof: true });
  assert.equal((await task.wait()).info.exitCode, 5);
  assert.deepEqual(await bytesOf(task.output()), Buffer.concat([Buffer.from('grüße\n'), Buffer.from([0xff])]));
  const other = await perdure.start({ command: 'echo up; exec sleep 60' });
  await other.wait({ match: 'up' });
  await perdure.signal(other.id, 'INT');
  assert.equal((await other.wait()).info.signal, 2);
  const last = await perdure.start({ command: 'sleep 60' });
  assert.equal((await last.stop({ reason: 'enough' })).info.stopReason, 'enough');
  assert.equal((await last.stop()).info.stopReason, 'enough');
});

test('waits', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const slow = await perdure.start({ command: 'echo ready; sleep 60' });
  const fast = await perdure.start({ command: 'exit 4' });
  assert.equal((await perdure.wait({ ids: [slow.id, fast.id], mode: 'any' })).decisive.id, fast.id);
  assert.equal((await perdure.wait({ ids: [slow.id], match: '^ready' })).met, true);
  const waited = await perdure.wait({ ids: [slow.id], timeoutMs: 20 });
  assert.deepEqual([waited.timedOut, waited.running[0].id], [true, slow.id]);
  await slow.stop();
});

test('questions', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const asked = await perdure.ask({ questions: [{ question: 'Which?', options: [{ label: 'a' }, { label: 'b' }] }], deadlineMs: 60_000 });
  assert.equal((await perdure.question(asked.id)).questions[0].question, 'Which?');
  assert.deepEqual((await perdure.answer(asked.id, { answers: { 'Which?': 'b' } })).answer, { answers: { 'Which?': 'b' } });
  const other = await perdure.ask({ questions: 'Why?' });
  assert.equal((await perdure.answer(other.id, { dismiss: true, note: 'no' })).answer.note, 'no');
});

test('events, from now on and since', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const events = perdure.events();
  await events.ready;
  const task = await perdure.start({ command: 'echo bye' });
  const told = [(await events.next()).value, (await events.next()).value];
  assert.deepEqual(told.map((e) => [e.type, e.task.taskId]), [['task.started', task.id], ['task.terminated', task.id]]);
  assert.equal(told[1].outputTail, 'bye\n');
  await events.return();
  assert.deepEqual(await events.next(), { value: undefined, done: true });
  for await (const event of perdure.events({ since: told[0].seq })) {
    assert.equal(event.seq, told[1].seq);
    break;
  }
});

test('an AbortSignal ends the call and no task', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const task = await perdure.start({ command: 'sleep 60' });
  const reason = new Error('enough');
  for (const wait of [(signal) => task.wait({ signal }), (signal) => bytesOf(task.output({ follow: true, signal })), (signal) => perdure.events({ signal }).next()]) {
    const controller = new AbortController();
    const waiting = wait(controller.signal);
    await sleep(30);
    controller.abort(reason);
    await assert.rejects(waiting, reason);
    await assert.rejects(wait(controller.signal), reason);
  }
  assert.equal((await task.refresh()).status, 'running');
  await task.stop();
});

test('errors', async (t) => {
  const { open, folder, scratch } = session(t);
  const perdure = await open();
  await assert.rejects(perdure.get(''), code('task.id_empty'));
  await assert.rejects(perdure.call('no.such'), code('rpc.-32601'));
  await assert.rejects(perdure.start({ argv: ['/no/such'] }), code('task.launch_failed', { details: { exit: '127' } }));
  await assert.rejects(Perdure.open({ session: folder, binary: '/no/such' }), code('connection.lost', { retryable: true }));
  await assert.rejects(Perdure.open({ session: folder, env: { PATH: scratch } }), (error) => {
    assert.equal(error.code, 'binary.not_found');
    assert.match(error.message, /--no-optional/);
    assert.match(error.message, new RegExp(`@perdure/linux-${process.arch}`));
    return true;
  });
});

test('a closed client says so and ends no task', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const task = await perdure.start({ command: 'sleep 60' });
  const told = (async () => {
    const all = [];
    for await (const event of perdure.events()) all.push(event);
    return all;
  })();
  const waiting = assert.rejects(task.wait(), code('connection.closed'));
  await sleep(50);
  await perdure.close();
  await waiting;
  assert.deepEqual(await told, []);
  await assert.rejects(perdure.get(task.id), code('connection.closed'));
  const again = await open();
  assert.equal((await again.get(task.id)).status, 'running');
  await again.stop(task.id);
});

test('over a socket', async (t) => {
  const { open, scratch, env } = session(t);
  const socket = path.join(scratch, 's');
  const server = spawn(BINARY, ['rpc', '--socket', socket], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  await once(server.stderr, 'data');
  const perdure = await open({ socket });
  assert.equal((await (await perdure.start({ command: 'exit 6' })).wait()).info.exitCode, 6);
  assert.equal(perdure.pid, undefined);
  await perdure.close();
  server.kill();
  await once(server, 'exit');
});

test('V50: what may be repeated goes on when rpc is killed', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const task = await perdure.start({ command: 'sleep 60' });
  await kill(perdure);
  assert.equal((await perdure.get(task.id)).status, 'running');
  const waiting = task.wait();
  await sleep(50);
  await kill(perdure);
  await task.stop();
  assert.equal((await waiting).status, 'killed');
  const counting = await perdure.start({ command: 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done' });
  let got = '';
  for await (const chunk of counting.output({ follow: true })) {
    got += Buffer.from(chunk).toString();
    if (got === '1\n' || got === '1\n2\n3\n') await kill(perdure);
  }
  assert.equal(got, '1\n2\n3\n4\n5\n6\n');
});

test('V50: no start is doubled and no event is missed under random kills', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const told = [];
  const events = perdure.events({ since: 0 });
  const listening = (async () => {
    for await (const event of events) if (event.type !== 'task.updated') told.push(`${event.task.taskId} ${event.type}`);
  })();
  await events.ready;
  let kills = 0;
  let starts = 0;
  let over = false;
  const killing = (async () => {
    while (!over) {
      // By starts, not by the clock: on a busy machine it would be killed before it could do anything.
      const until = starts + 1 + Math.floor(Math.random() * 12);
      while (!over && starts < until) await sleep(2);
      await sleep(Math.random() * 20);
      try {
        if (perdure.pid) process.kill(perdure.pid, 'SIGKILL');
        kills += 1;
      } catch {} // it had ended, and that was not noticed yet
    }
  })();
  const texts = Array.from({ length: 200 }, (_, n) => `n${n}`);
  const failures = [];
  const work = async (some) => {
    for (const text of some) {
      const task = await perdure.start({ command: `echo ${text}`, labels: { text } });
      starts += 1;
      assert.equal(await task.output({ follow: true }).text(), `${text}\n`);
    }
  };
  const quarters = [0, 1, 2, 3].map((n) => texts.filter((_, at) => at % 4 === n));
  await Promise.all(quarters.map((some) => work(some).catch((error) => failures.push(error))));
  over = true;
  await killing;
  assert.deepEqual(failures, []);
  const tasks = await perdure.list();
  assert.deepEqual(tasks.map((task) => task.info.labels.text).sort(), [...texts].sort());
  const expected = tasks.flatMap(({ id }) => [`${id} task.started`, `${id} task.terminated`]).sort();
  await eventually(() => told.length >= expected.length, 'all events');
  await sleep(100);
  assert.deepEqual([...told].sort(), expected);
  await events.return();
  await listening;
  assert.ok(kills > 5, `${kills} kills`);
  t.diagnostic(`${kills} kills, ${told.length} events`);
});

test('V50: others say what happened', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const stubborn = await perdure.start({ command: 'trap "" TERM; echo up; while :; do sleep 0.05; done', graceMs: 2000 });
  await stubborn.wait({ match: 'up' });
  const deaf = await perdure.start({ command: 'exec sleep 60', input: 'pipe' });
  for (const [call, retryable, uncertain] of [[() => stubborn.stop(), true, false], [() => deaf.write('x'.repeat(1_000_000)), false, true]]) {
    const failed = assert.rejects(call(), code('connection.lost', { retryable, uncertain }));
    await sleep(100);
    await kill(perdure);
    await failed;
  }
  await deaf.stop();
  assert.equal((await stubborn.wait()).status, 'killed');
});

test('V50: node ends although a client is open, unless something is awaited', async (t) => {
  const { scratch, folder, env } = session(t);
  const script = path.join(scratch, 'x.mjs');
  writeFileSync(script, `
    import { Perdure } from ${JSON.stringify(path.join(SOURCE, 'sdk/node/index.js'))};
    const perdure = await Perdure.open({ session: ${JSON.stringify(folder)}, binary: ${JSON.stringify(BINARY)} });
    const events = perdure.events();
    await events.ready;
    const task = await perdure.start({ command: 'sleep 0.3' });
    if (process.argv[2] === 'wait') console.log((await task.wait()).status);
    if (process.argv[2] === 'events') for await (const event of events) { console.log(event.type); if (event.type === 'task.terminated') break; }
  `);
  for (const [how, expected] of [['none', ''], ['wait', 'completed\n'], ['events', 'task.started\ntask.terminated\n']]) {
    const done = spawnSync(process.execPath, [script, how], { env, encoding: 'utf8', timeout: 20_000 });
    assert.deepEqual([done.status, done.stdout], [0, expected], done.stderr);
  }
});

test('await using', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  await perdure[Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]();
  await assert.rejects(perdure.list(), code('connection.closed'));
});

test('the agent loop of the examples', async (t) => {
  const { folder, env } = session(t);
  const done = spawnSync(process.execPath, [path.join(SOURCE, 'examples/node/agent-loop.mjs'), folder], {
    env: { ...env, PERDURE_BINARY: BINARY }, encoding: 'utf8', timeout: 30_000,
  });
  assert.equal(done.status, 0, done.stdout + done.stderr);
  assert.match(done.stdout, /it printed: "building\\ndone\\n"/);
});

test('the server of the examples streams a log', async (t) => {
  const { folder, env, open } = session(t);
  const server = spawn(process.execPath, [path.join(SOURCE, 'examples/node/build-server.mjs'), folder], {
    env: { ...env, PERDURE_BINARY: BINARY, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = await once(server.stdout, 'data');
    const base = String(line).trim().split(' ').at(-1);
    const started = await (await fetch(`${base}/builds`, { method: 'POST' })).json();
    const log = await fetch(`${base}/builds/${started.id}/log`);
    assert.equal(await log.text(), 'step 1\nstep 2\nstep 3\n');
    assert.equal((await (await fetch(`${base}/builds/${started.id}`)).json()).status, 'completed');
    assert.equal((await fetch(`${base}/builds/bash-00000000`)).status, 404);
    const perdure = await open();
    assert.equal((await perdure.list()).length, 1);
  } finally {
    server.kill();
    await once(server, 'exit');
  }
});
