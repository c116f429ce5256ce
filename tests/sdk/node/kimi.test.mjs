// V51: the methods of kimi-code's SDK, by the table of behaviour of its SDK (names, arguments, what is not an error).
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, SOURCE, eventually, session } from './support.mjs';

const { Session } = await import(path.join(SOURCE, 'sdk/node/kimi.js'));

async function open(t) {
  const { folder, env, clients, ...rest } = session(t);
  const kimi = await Session.open({ session: folder, binary: BINARY, env });
  clients.push(kimi);
  return { kimi, folder, env, ...rest };
}

const BLANK = { code: 'background.task_id_empty' };

test('listBackgroundTasks: an array of info, activeOnly, limit', async (t) => {
  const { kimi } = await open(t);
  assert.deepEqual(await kimi.listBackgroundTasks(), []);
  const ended = await kimi.perdure.start({ command: 'exit 3', description: 'first' });
  await ended.wait();
  const running = await kimi.perdure.start({ command: 'sleep 60' });
  const all = await kimi.listBackgroundTasks({ activeOnly: false });
  assert.deepEqual(all.map((info) => info.taskId), [running.id, ended.id]);
  assert.deepEqual((await kimi.listBackgroundTasks({ activeOnly: true })).map((info) => info.taskId), [running.id]);
  assert.equal((await kimi.listBackgroundTasks({ limit: 1 })).length, 1);
  assert.deepEqual(await kimi.listBackgroundTasks({ limit: 0 }), []);
  const info = all[1];
  assert.deepEqual(
    [info.kind, info.description, info.status, info.detached, info.command, info.exitCode, typeof info.pid, typeof info.startedAt, typeof info.endedAt],
    ['process', 'first', 'failed', true, 'exit 3', 3, 'number', 'number', 'number'],
  );
  await running.stop();
});

test('getBackgroundTaskOutput: tail counts characters, unknown ids give an empty string', async (t) => {
  const { kimi } = await open(t);
  const task = await kimi.perdure.start({ command: "printf 'abc😀üüü'" });
  await task.wait();
  assert.equal(await kimi.getBackgroundTaskOutput(task.id), 'abc😀üüü');
  assert.equal(await kimi.getBackgroundTaskOutput(task.id, { tail: 2 }), 'üü');
  assert.equal(await kimi.getBackgroundTaskOutput(task.id, { tail: 5 }), '😀üüü');
  assert.equal(await kimi.getBackgroundTaskOutput(task.id, { tail: 4 }), 'üüü', 'a character is never cut');
  assert.equal(await kimi.getBackgroundTaskOutput(task.id, { tail: 999 }), 'abc😀üüü');
  assert.equal(await kimi.getBackgroundTaskOutput(task.id, { tail: 0 }), '');
  assert.equal(await kimi.getBackgroundTaskOutput(`  ${task.id} `), 'abc😀üüü', 'ids are trimmed');
  assert.equal(await kimi.getBackgroundTaskOutput('bash-00000000'), '');
  assert.equal(await kimi.getBackgroundTaskOutput('no such thing'), '');
  for (const id of ['', '  ', undefined]) await assert.rejects(kimi.getBackgroundTaskOutput(id), BLANK);
  const long = await kimi.perdure.start({ command: 'seq 1 100000' });
  await long.wait();
  assert.equal(await kimi.getBackgroundTaskOutput(long.id, { tail: 13 }), '99999\n100000\n');
});

test('getBackgroundTaskOutputPath: a string or undefined (kept, where the seed removed it)', async (t) => {
  const { kimi, folder } = await open(t);
  const task = await kimi.perdure.start({ command: 'echo x' });
  await task.wait();
  assert.equal(await kimi.getBackgroundTaskOutputPath(task.id), path.join(folder, 'tasks', task.id, 'output.log'));
  const silent = await kimi.perdure.start({ command: 'true' });
  await silent.wait();
  assert.equal(typeof (await kimi.getBackgroundTaskOutputPath(silent.id) ?? ''), 'string');
  assert.equal(await kimi.getBackgroundTaskOutputPath('bash-00000000'), undefined);
  await assert.rejects(kimi.getBackgroundTaskOutputPath(' '), BLANK);
});

test('stopBackgroundTask: never fails for unknown or ended tasks, keeps the reason', async (t) => {
  const { kimi } = await open(t);
  const task = await kimi.perdure.start({ command: 'sleep 60' });
  assert.equal(await kimi.stopBackgroundTask(task.id, { reason: 'no more' }), undefined);
  const info = (await kimi.listBackgroundTasks())[0];
  assert.deepEqual([info.status, info.stopReason], ['killed', 'no more']);
  await kimi.stopBackgroundTask(task.id, { reason: 'again' });
  assert.equal((await kimi.listBackgroundTasks())[0].stopReason, 'no more');
  await kimi.stopBackgroundTask('bash-00000000');
  await assert.rejects(kimi.stopBackgroundTask('\t'), BLANK);
});

test('detachBackgroundTask: info or undefined', async (t) => {
  const { kimi } = await open(t);
  const task = await kimi.perdure.start({ command: 'sleep 60' });
  assert.equal((await kimi.detachBackgroundTask(task.id)).taskId, task.id);
  assert.equal(await kimi.detachBackgroundTask('bash-00000000'), undefined);
  await assert.rejects(kimi.detachBackgroundTask(''), BLANK);
  await task.stop();
});

test('onEvent: started, updated, terminated, each with info', async (t) => {
  const { kimi } = await open(t);
  const told = [];
  const ends = ['started', 'updated', 'terminated'].map((what) =>
    kimi.onEvent(`background.task.${what}`, ({ type, info }) => told.push([type, info.taskId, info.status])));
  await Promise.all(ends.map((end) => end.ready));
  const task = await kimi.perdure.start({ command: 'sleep 60', timeoutMs: 100_000 });
  await eventually(() => told.length === 1, 'started');
  await task.extend(200_000);
  await eventually(() => told.length === 2, 'updated');
  await task.stop();
  await eventually(() => told.length === 3, 'terminated');
  assert.deepEqual(told, [
    ['background.task.started', task.id, 'running'],
    ['background.task.updated', task.id, 'running'],
    ['background.task.terminated', task.id, 'killed'],
  ]);
  ends.forEach((end) => end());
  await (await kimi.perdure.start({ command: 'true' })).wait();
  assert.equal(told.length, 3);
  assert.throws(() => kimi.onEvent('background.task.frobbed', () => {}), TypeError);
});

test('it can be required', async (t) => {
  const { folder, env } = session(t);
  const required = createRequire(import.meta.url)(path.join(SOURCE, 'sdk/node/kimi.cjs'));
  const kimi = await required.Session.open({ session: folder, binary: BINARY, env });
  assert.deepEqual(await kimi.listBackgroundTasks(), []);
  assert.ok(kimi instanceof required.Session);
  await kimi.close();
});
