// What happens while a page looks: events, a server that is killed, a runner that is killed, much output.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';
import {eventually, rows, start} from './support.mjs';

const longTasks = page => page.evaluate(() => { window.long = []; new PerformanceObserver(list => { for (const e of list.getEntries()) window.long.push(Math.round(e.duration)); }).observe({entryTypes: ['longtask']}); });

test('V30 rows change as tasks do, and the end is told to a screen reader', async t => {
  const it = await start(t);
  const page = await it.open(it.link);
  await page.locator('text=No task matches.').waitFor();
  const id = it.run('run', '--description', 'a short one', '-c', 'sleep 4; exit 3');
  await page.locator(`[data-id=${id}] .is-running`).waitFor();
  await page.locator(`[data-id=${id}] .is-failed`).waitFor();
  await page.locator('[aria-live]', {hasText: 'failed: a short one'}).waitFor({state: 'attached'});
  it.run('ask', '--choice', 'Yes', '--choice', 'No', 'Now?');
  await page.click('.quick button:text-is("Yes")');
  await page.locator('.row .is-completed').waitFor();
});

test('V74 the server is killed and started again: the page goes on by itself', async t => {
  const it = await start(t);
  const first = it.run('run', '--description', 'before', '-c', 'exec sleep 300');
  const page = await it.open(it.link);
  await page.locator(`[data-id=${first}]`).waitFor();
  await page.locator('.live', {hasText: 'live'}).waitFor();
  await sleep(500);
  await it.kill('SIGKILL');
  await page.locator('.banner').waitFor();
  it.run('stop', first);
  const second = it.run('run', '--description', 'meanwhile', '-c', 'exec sleep 300');
  const port = it.port;
  await it.serve();
  assert.equal(it.port, port);
  await page.locator('.banner').waitFor({state: 'detached'});
  await page.locator(`[data-id=${second}] .is-running`).waitFor();
  await page.locator(`[data-id=${first}] .is-killed`).waitFor();
  const third = it.run('run', '--description', 'after', '-c', 'exec sleep 300');
  await page.locator(`[data-id=${third}]`).waitFor();
});

test('V74 a log that is followed goes on when the server comes back', async t => {
  const it = await start(t);
  const id = it.run('run', '-c', 'for i in $(seq 4000); do echo "tick $i"; sleep 0.05; done');
  const page = await it.open(it.link);
  await page.click(`#row-${id}`);
  const last = async () => Number((await page.locator('.line').last().textContent().catch(() => 'tick 0')).slice(5));
  await eventually(async () => await last() > 0, 'something is shown');
  await it.kill('SIGKILL');
  const shown = await last();
  await sleep(1000);
  await it.serve();
  await eventually(async () => await last() > shown + 20, 'it goes on');
});

test('the runner is killed: the row says what is known', async t => {
  const it = await start(t);
  const id = it.run('run', '--description', 'orphan', '-c', 'exec sleep 300');
  const page = await it.open(it.link);
  await page.locator(`[data-id=${id}] .is-running`).waitFor();
  const {runner} = JSON.parse(readFileSync(path.join(it.session, 'tasks', `${id}.json`), 'utf8'));
  process.kill(runner.pid, 'SIGKILL');
  it.run('reconcile');
  await page.locator(`[data-id=${id}] .is-lost`).waitFor();
  await page.click(`#row-${id}`);
  await page.click('#tab-details');
  await page.locator('dt', {hasText: 'Evidence'}).waitFor();
});

test('V45 tabs of one browser share one stream, and a hidden page ends it', async t => {
  const it = await start(t);
  const context = await it.browser.newContext();
  let streams = 0;
  context.on('request', r => { if (r.url().includes('/events')) ++streams; });
  const one = await it.open(it.link, {context});
  await one.locator('.live').waitFor();
  await eventually(() => streams === 1, 'the first asks for events');
  const two = await it.open(it.run('web', '--link'), {context});
  await two.locator('.live').waitFor();
  await sleep(500);
  assert.equal(streams, 1);
  const id = it.run('run', '--description', 'seen by both', '-c', 'exec sleep 300');
  await one.locator(`[data-id=${id}]`).waitFor();
  await two.locator(`[data-id=${id}]`).waitFor();
  await one.close();
  await eventually(() => streams === 2, 'the second takes over');
  const next = it.run('run', '--description', 'seen by the second', '-c', 'exec sleep 300');
  await two.locator(`[data-id=${next}]`).waitFor();
});

test('V72 a log that grows by 50 MB/s: the page stays quick and near the end', async t => {
  const it = await start(t);
  // 5 MB ten times a second, for 8 s, whatever it takes to write them.
  const id = it.run('run', '-c', `python3 -c "
import os, time
block = b''.join(b'%07d the quick brown fox jumps over the lazy dog and back\\\\n' % i for i in range(80000))[:5000000]
until = time.monotonic() + 8
at = time.monotonic()
while time.monotonic() < until:
    view = memoryview(block)
    while view: view = view[os.write(1, view):]
    at += 0.1
    time.sleep(max(0, at - time.monotonic()))
"`);
  const page = await it.open(it.link);
  await page.click(`#row-${id}`);
  await page.locator('.line').first().waitFor();
  await longTasks(page);
  const behind = [];
  const begun = Date.now();
  let size = 0;
  while (Date.now() - begun < 6000) {
    await sleep(500);
    const shown = await page.locator('[data-last]').getAttribute('data-last');
    size = (await it.api('GET', `/api/v1/sessions/${it.sid}/tasks/${id}/lines?count=1`)).json.size;
    behind.push((size - Number(shown)) / 1e6);
  }
  const long = await page.evaluate(() => window.long);
  t.diagnostic(`${Math.round(size / 1e6)} MB; behind the end, MB: ${behind.map(b => b.toFixed(1)).join(' ')}; long tasks: ${long.join(' ') || 'none'} ms`);
  const middle = [...behind].sort((a, b) => a - b)[behind.length >> 1];
  assert.ok(size > 50e6, `it printed ${size} bytes only`);
  // The target is one second, 50 MB; other programs run beside the tests.
  assert.ok(middle < 100, `the page is ${middle} MB behind`);
  assert.ok(await page.locator('.line').count() <= 200);
});
