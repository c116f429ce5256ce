// How large logs and lists show (V72). PERDURE_FIGURES=1: the sizes of the targets, 1 GiB and 100,000 tasks; else small ones.
import assert from 'node:assert/strict';
import {closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync} from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {eventually, rows, start} from './support.mjs';

const whole = process.env.PERDURE_FIGURES === '1';
const at = (list, part) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * part))];

async function heap(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('HeapProfiler.collectGarbage');
  await cdp.send('Performance.enable');
  const {metrics} = await cdp.send('Performance.getMetrics');
  const of = name => metrics.find(m => m.name === name).value;
  return {mb: of('JSHeapUsedSize') / 1e6, nodes: await page.evaluate(() => document.querySelectorAll('*').length)};
}

test('V72 a large log: opens at its end, jumps anywhere, and little of it is in the browser', async t => {
  const it = await start(t);
  const megabytes = whole ? 1024 : 32;
  const id = it.run('run', '-c', 'echo begun');
  await eventually(async () => (await it.api('GET', `/api/v1/sessions/${it.sid}/tasks/${id}`)).json.task.status === 'completed', 'it has ended');
  const block = Buffer.from(Array.from({length: 12_000}, (_, i) => `${String(i).padStart(8, '0')} \u001b[3${i % 8}mthe quick brown fox\u001b[0m jumps over the lazy dog, 狐\n`).join(''));
  const log = openSync(path.join(it.session, 'tasks', id, 'output.log'), 'w');
  let bytes = 0;
  while (bytes < megabytes * 2 ** 20) bytes += writeSync(log, block);
  writeSync(log, 'the very end\n');
  closeSync(log);
  const record = path.join(it.session, 'tasks', `${id}.json`);
  writeFileSync(record, readFileSync(record, 'utf8').replace(/"outputBytes": ?\d+/, `"outputBytes":${bytes + 13}`));
  const page = await it.open(it.link);
  await rows(page).first().waitFor();
  const opened = [];
  for (let i = 0; i < 5; ++i) {
    await page.goto('about:blank');
    await page.goto(`${it.base}/#/s/${it.sid}/t/${id}`, {waitUntil: 'commit'});
    await page.waitForFunction(() => [...document.querySelectorAll('.line')].at(-1)?.textContent === 'the very end', null, {polling: 'raf'});
    opened.push(await page.evaluate(() => performance.now()));
  }
  // Places in turn, each seen on the screen.
  const jumps = await page.evaluate(async () => {
    const slider = document.querySelector('input[type=range]'), times = [];
    const setter = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
    for (let i = 0; i < 30; ++i) {
      const before = document.querySelector('.line').dataset.at, begun = performance.now();
      setter.call(slider, String((i * 377 + 100) % 1000));
      slider.dispatchEvent(new Event('change', {bubbles: true}));
      while (document.querySelector('.line').dataset.at === before && performance.now() - begun < 5000) await new Promise(requestAnimationFrame);
      times.push(performance.now() - begun);
    }
    return times;
  });
  const {mb, nodes} = await heap(page);
  t.diagnostic(`${megabytes} MiB: opened in ${at(opened, 0.5).toFixed(0)} ms (median of 5), jumps p50 ${at(jumps, 0.5).toFixed(0)} ms, p95 ${at(jumps, 0.95).toFixed(0)} ms, heap ${mb.toFixed(1)} MB, ${nodes} elements`);
  assert.ok(at(opened, 0.5) < 5000 && at(jumps, 0.95) < 2000);
  assert.ok(mb < 25 && nodes < 1000);
});

test('V72 many tasks: only the rows in sight are in the document', async t => {
  const count = whole ? 100_000 : 3000;
  const it = await start(t);
  const id = it.run('run', '-c', 'true');
  const tasks = path.join(it.session, 'tasks');
  await eventually(async () => (await it.api('GET', `/api/v1/sessions/${it.sid}/tasks/${id}`)).json.task.status === 'completed', 'it has ended');
  const model = readFileSync(path.join(tasks, `${id}.json`), 'utf8');
  mkdirSync(tasks, {recursive: true});
  for (let i = 1; i < count; ++i) {
    const other = `bash-${i.toString(36).padStart(8, '0')}`;
    writeFileSync(path.join(tasks, `${other}.json`), model.replaceAll(id, other));
  }
  await it.kill('SIGTERM');
  await it.serve();
  const page = await it.open(it.link);
  await page.locator('.counts', {hasText: `${count} shown`}).waitFor({timeout: 120_000});
  const first = [];
  for (let i = 0; i < 5; ++i) {
    await page.goto('about:blank');
    await page.goto(`${it.base}/`, {waitUntil: 'commit'});
    await page.waitForFunction(() => document.querySelectorAll('.rows .row').length > 5, null, {polling: 'raf'});
    first.push(await page.evaluate(() => performance.now()));
  }
  const long = await page.evaluate(async () => {
    const found = [], list = document.querySelector('.list');
    new PerformanceObserver(l => { for (const e of l.getEntries()) found.push(Math.round(e.duration)); }).observe({entryTypes: ['longtask']});
    for (let y = 0; y < 60_000; y += 600) { list.scrollTop = y; await new Promise(requestAnimationFrame); }
    await new Promise(done => setTimeout(done, 500));
    return found;
  });
  assert.ok(await rows(page).count() < 120);
  await page.evaluate(() => { const list = document.querySelector('.list'); list.scrollTop = list.scrollHeight; });
  await page.locator(`[aria-rowindex="${count + 1}"]`).waitFor({timeout: 120_000});
  const {mb, nodes} = await heap(page);
  t.diagnostic(`${count} tasks: first rows in ${at(first, 0.5).toFixed(0)} ms (median of 5), long tasks while scrolling: ${long.join(' ') || 'none'} ms, heap with all rows ${mb.toFixed(1)} MB, ${nodes} elements`);
  assert.ok(nodes < 1500);
});
