// A whole log as a file, and searches whose hits appear while the logs are read (V22, V71).
import assert from 'node:assert/strict';
import {readFileSync, readdirSync} from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {eventually, rows, start, violations} from './support.mjs';

const has = async (it, id) => eventually(async () => (await it.api('GET', `/api/v1/sessions/${it.sid}/tasks/${id}`)).json.task.status === 'completed', 'it has ended');

test('V71 the button saves the whole log under the name of the task, again and again, and the page stays', async t => {
  const it = await start(t, {serve: ['--read-only']});
  const id = it.run('run', '--description', 'a <b>build</b> ../../x', '-c', 'printf "<script>alert(1)</script>\\033[31m\\000\\n"; seq 300000');
  await has(it, id);
  const page = await it.open(it.link);
  await rows(page).first().waitFor();
  await page.goto(`${it.base}/#/s/${it.sid}/t/${id}`);
  await page.locator('.line').first().waitFor();
  const log = readFileSync(path.join(it.session, 'tasks', id, 'output.log'));
  for (let i = 0; i < 2; ++i) {
    const [saved] = await Promise.all([page.waitForEvent('download'), page.click('button:text-is("Download")')]);
    assert.equal(saved.suggestedFilename(), `${id}.log`);
    assert.ok(readFileSync(await saved.path()).equals(log));
  }
  assert.ok(page.url().endsWith(`/t/${id}`));
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(it.complaints, []);
  assert.ok(!(await page.evaluate(() => performance.getEntriesByType('resource').map(e => e.name).join())).includes('Bearer'));
});

test('V22 hits show while a long log is read, with how far it has come; a new search ends the one before', async t => {
  const it = await start(t);
  const id = it.run('run', '--output-limit', '0', '-c', 'echo needle first; yes "$(printf %0200d 0)" | head -c 800000000; echo needle last');
  await has(it, id);
  const page = await it.open(it.link);
  await rows(page).first().waitFor();
  await page.goto(`${it.base}/#/s/${it.sid}/t/${id}`);
  await page.locator('.line').first().waitFor();
  const searches = () => readdirSync(`/proc/${it.server.pid}/task`).length;
  const idle = searches();
  const find = async pattern => { await page.fill('.log input[type=search]', pattern); await page.click('.log form button:text-is("Find")'); };
  await page.check('text=regular expression');
  await find('needle.*t$');
  // The first is shown, and its place, long before the end of the log is.
  await page.locator('.log form', {hasText: /Searching… \d+/}).waitFor();
  await page.locator('.count', {hasText: '1 of 1'}).waitFor();
  await page.locator('.line.is-hit', {hasText: 'needle first'}).waitFor();
  await page.locator('.count', {hasText: '1 of 2'}).waitFor({timeout: 120_000});
  await page.locator('.log form', {hasNotText: 'Searching'}).waitFor();
  for (let i = 0; i < 6; ++i) { await find(`nowhere.*${i}$`); await page.waitForTimeout(50); }
  await find('');
  await page.locator('.log form', {hasNotText: 'Searching'}).waitFor();
  await eventually(() => searches() <= idle + 2, 'the searches that nobody waits for have ended', 60_000);
  assert.deepEqual(it.complaints, []);
});

test('V22 a search over all logs shows hits of the newest first, and can be ended', async t => {
  const it = await start(t);
  const large = it.run('run', '--output-limit', '0', '-c', 'yes "$(printf %0200d 0)" | head -c 800000000; echo needle in the old one');
  await has(it, large);
  const id = it.run('run', '-c', 'echo needle in the new one');
  await has(it, id);
  const page = await it.open(it.link);
  await rows(page).first().waitFor();
  await page.goto(`${it.base}/#/s/${it.sid}/search`);
  await page.fill('input[type=search]', 'needle.*one$');
  await page.check('text=regular expression');
  await page.click('button:text-is("Find")');
  await page.locator('.hits li', {hasText: 'the new one'}).waitFor();
  assert.equal(await page.locator('[role=status]', {hasText: 'Searching'}).count(), 1);
  assert.deepEqual(await violations(page), []);
  await page.click('button:text-is("Enough")');
  await page.locator('[role=status]', {hasText: '1 found in 1 tasks'}).waitFor();
  await page.click('button:text-is("Find")');
  await page.locator('[role=status]', {hasText: '2 found in 2 tasks'}).waitFor({timeout: 120_000});
  assert.deepEqual(it.complaints, []);
});
