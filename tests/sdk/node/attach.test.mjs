// The Node SDK: attachments, writes with an id, and lists of sessions and executors (I06, V50).
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, kill, session } from './support.mjs';

const text = (bytes) => Buffer.from(bytes).toString();

async function until(attachment, wanted) {
  let got = '';
  while (!got.includes(wanted)) {
    const { value, done } = await attachment.next();
    assert.ok(!done, `ended before ${JSON.stringify(wanted)}: ${JSON.stringify(got)}`);
    got += text(value);
  }
  return got;
}

test('I06: output, input in order, size, and the end', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const task = await perdure.start({ command: 'stty -echo; echo ready; while read l; do echo "<$l>"; stty size; done', terminal: { rows: 20, columns: 70 } });
  const attachment = await task.attach({ at: 0 });
  assert.deepEqual([attachment.input, attachment.terminal], ['terminal', { rows: 20, columns: 70 }]);
  await until(attachment, 'ready');
  await attachment.resize(5, 9);
  for (let i = 0; i < 50; ++i) attachment.type(`${i} `);
  await attachment.type('end\n');
  const numbers = Array.from({ length: 50 }, (_, i) => `${i} `).join('');
  assert.ok((await until(attachment, '5 9\r\n')).includes(`<${numbers}end>`));
  await attachment.type('', { eof: true });
  assert.equal((await attachment.next()).done, true);
  assert.equal(attachment.task.status, 'completed');
});

test('I06: one types, others watch; leaving frees the input', async (t) => {
  const { open } = session(t);
  const [one, other] = [await open(), await open()];
  const task = await one.start({ command: 'exec cat', input: 'pipe' });
  const typing = await task.attach();
  await assert.rejects(other.attach(task.id), (e) => e.code === 'task.input_held');
  const watching = await other.attach(task.id, { readOnly: true });
  assert.deepEqual([typing.input, watching.input], ['pipe', 'none']);
  await typing.type('hello\n');
  assert.equal(await until(watching, '\n'), 'hello\n');
  await typing.leave();
  await assert.rejects(typing.type('x'), (e) => e.code === 'usage');
  const next = await other.attach(task.id);
  await next.type('', { eof: true });
  for await (const _ of watching);
  assert.equal(watching.task.taskId, task.id);
});

test('V50: an attachment goes on where it was when rpc is killed', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const task = await perdure.start({ command: 'n=0; while read l; do n=$((n+1)); echo "$n $l"; done', input: 'pipe' });
  const attachment = await task.attach({ at: 0 });
  let got = '';
  for (let i = 1; i <= 6; ++i) {
    await attachment.type(`line ${i}\n`);
    got += await until(attachment, `${i} line ${i}\n`);
    if (i % 2 === 0) await kill(perdure);
    await eventually(async () => attachment.name !== undefined, 'it is attached again');
  }
  assert.equal(got, Array.from({ length: 6 }, (_, i) => `${i + 1} line ${i + 1}\n`).join(''));
  await attachment.type('', { eof: true });
  assert.equal((await attachment.next()).done, true);
});

test('I06: a loop that is slow gets every byte, and little of it waits here', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const task = await perdure.start({ command: 'read x; seq 4000000', input: 'pipe' });
  const attachment = await task.attach({ readOnly: true });
  await task.write('\n', { eof: true });
  await task.wait();
  await sleep(500);
  let size = 0, last = '';
  for await (const bytes of attachment) {
    size += bytes.length;
    last = (last + text(bytes)).slice(-20);
  }
  assert.equal(size, (await perdure.call('task.get', { id: task.id })).output.outputSizeBytes);
  assert.ok(last.endsWith('3999999\n4000000\n'), last);
});

test('I06: break, and a signal, end an attachment and no task', async (t) => {
  const { open } = session(t);
  const perdure = await open();
  const task = await perdure.start({ command: 'while :; do echo tick; sleep 0.01; done', terminal: {} });
  for await (const _ of await task.attach()) break;
  const stop = new AbortController();
  const attachment = await task.attach({ signal: stop.signal });
  setTimeout(() => stop.abort(new Error('enough')), 50);
  await assert.rejects(async () => { for await (const _ of attachment); }, /enough/);
  await eventually(() => task.attach().then((one) => one.leave().then(() => true), () => false), 'its input is free');
  assert.equal((await task.stop()).status, 'killed');
});

test('V50: a write with an id is repeated when rpc is killed, and typed once', async (t) => {
  const { open, scratch } = session(t);
  const perdure = await open();
  const task = await perdure.start({ command: 'until test -e go; do sleep 0.01; done; cat', input: 'pipe', cwd: scratch });
  const data = `${'x'.repeat(300_000)}\n`;
  const written = task.write(data, { writeId: 'w', eof: true });
  await sleep(50);
  await kill(perdure); // a part of it was written
  writeFileSync(path.join(scratch, 'go'), '');
  await written;
  await task.wait();
  assert.equal(await task.output().text(), data);
  const other = await perdure.start({ command: 'exec cat', input: 'pipe' });
  for (let i = 0; i < 3; ++i) await other.write('once\n', { writeId: 'one' });
  await other.write('', { eof: true });
  await other.wait();
  assert.equal(await other.output().text(), 'once\n');
});

test('sessions and executors', async (t) => {
  const { open, folder } = session(t);
  const perdure = await open();
  await (await perdure.start({ command: 'true' })).wait();
  const listed = (await perdure.sessions()).find((one) => one.path === folder);
  assert.deepEqual([listed.program, listed.counts.completed], ['perdure', 1]);
  assert.deepEqual(await perdure.executors(), []);
});
