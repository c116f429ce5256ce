// Each screen of the page, in both themes and at three widths.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {gzipSync} from 'node:zlib';
import {SOURCE, eventually, rows, start, violations} from './support.mjs';

// PERDURE_PICTURES=1 writes the pictures of the docs anew.
const pictures = process.env.PERDURE_PICTURES === '1' ? path.join(SOURCE, 'docs', 'images') : null;
if (pictures) mkdirSync(pictures, {recursive: true});

async function all(it) {
  const run = (description, command) => it.run('run', '--description', description, '-c', command);
  it.good = run('build the library', 'printf "\\033[1;32mok\\033[0m configured\\n"; for i in $(seq 400); do echo "[$i/400] compiling part $i"; done');
  it.bad = run('npm test', 'for i in $(seq 300); do echo "test $i passes"; done; printf "\\033[31merror:\\033[0m 1 of 301 tests failed\\n"; echo end; exit 2');
  it.runs = run('make -j4 && ctest', 'echo begun; exec sleep 300');
  it.question = it.run('ask', '--choice', 'Yes', '--choice', 'No', 'Delete 3 migrations?');
  await eventually(async () => (await it.api('GET', `/api/v1/sessions/${it.sid}/tasks?status=failed,completed`)).json.rows.length === 2, 'two have ended');
}

test('V70 V73 each screen, both themes, three widths: axe finds nothing, nothing is cut off', async t => {
  const it = await start(t, {serve: ['--allow-start']});
  await all(it);
  const page = await it.open(it.link);
  await rows(page).first().waitFor();
  const at = `${it.base}/#/s/${it.sid}`;
  const screens = {
    tasks: [at, '.rows .row'], log: [`${at}/t/${it.bad}`, '.line'], running: [`${at}/t/${it.runs}`, '.line'], question: [`${at}/t/${it.question}`, '.options button'],
    search: [`${at}/search`, 'form'], notifications: [`${at}/news`, '.cards li'], sessions: [`${at}/sessions`, '.cards li'], help: [`${at}/help`, 'kbd'],
  };
  for (const theme of ['light', 'dark']) {
    await page.selectOption('.theme select', theme);
    for (const width of [360, 768, 1440]) {
      await page.setViewportSize({width, height: 760});
      for (const [name, [url, sign]] of Object.entries(screens)) {
        await page.evaluate(hash => { location.hash = hash; }, url.slice(url.indexOf('#')));
        await page.locator(sign).first().waitFor();
        const where = `${name}, ${theme}, ${width}`;
        const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.equal(dark, theme === 'dark' ? 'rgb(16, 20, 24)' : 'rgb(255, 255, 255)', where);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${where}: wider than the screen`);
        assert.deepEqual(await violations(page), [], where);
      }
    }
  }
  assert.deepEqual(it.complaints, []);
  if (!pictures) return;
  for (const [file, name, theme, width, height] of [['web-tasks-desk', 'tasks', 'light', 1000, 380], ['web-log-desk', 'log', 'light', 1000, 520], ['web-question-phone', 'question', 'dark', 360, 560]]) {
    await page.selectOption('.theme select', theme);
    await page.setViewportSize({width, height});
    await page.evaluate(hash => { location.hash = hash; }, screens[name][0].slice(it.base.length + 1));
    await page.locator(screens[name][1]).first().waitFor();
    if (name === 'log') { await page.click('text=To the failure'); await page.waitForTimeout(500); }
    await page.screenshot({path: path.join(pictures, `${file}.png`)});
  }
});

test('V73 the theme follows the system until one is chosen', async t => {
  const it = await start(t);
  const page = await it.open(it.link, {colorScheme: 'dark'});
  await page.locator('.head').waitFor();
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(await ground(), 'rgb(16, 20, 24)');
  await page.emulateMedia({colorScheme: 'light'});
  assert.equal(await ground(), 'rgb(255, 255, 255)');
  await page.selectOption('.theme select', 'dark');
  assert.equal(await ground(), 'rgb(16, 20, 24)');
});

test('V71 V22 V23 a log opens at its end; search with a true count, filter, jump to the failure, places', async t => {
  const it = await start(t);
  const id = it.run('run', '-c', 'seq 20000; echo "error: the middle"; seq 20001 40000');
  const page = await it.open(it.link);
  await page.locator(`[data-id=${id}] .is-completed`).waitFor();
  await page.click(`#row-${id}`);
  const shown = text => page.locator('.line', {hasText: new RegExp(`^${text}$`)});
  const visible = text => eventually(() => shown(text).first().evaluate(e => { const r = e.getBoundingClientRect(), b = e.parentElement.getBoundingClientRect(); return r.bottom <= b.bottom + 1 && r.top >= b.top - 1; }).catch(() => false), `${text} is in sight`);
  await visible('40000');
  assert.ok(await page.locator('.line').count() <= 200, 'only a window is in the document');
  await page.fill('.log input[type=search]', '2000');
  await page.keyboard.press('Enter');
  // 2000, 12000, 20000..20009, 22000, 32000
  await page.locator('.count', {hasText: '1 of 14'}).waitFor();
  await visible('2000');
  assert.equal(await page.locator('.line.is-hit').textContent(), '2000');
  await page.locator('.text').focus();
  await page.keyboard.press('n');
  await visible('12000');
  await page.getByLabel('only lines found').check();
  assert.equal(await page.locator('.log .hits li').count(), 14);
  await page.locator('.log .hits button', {hasText: /32000$/}).click();
  await visible('32000');
  await page.click('text=To the failure');
  await visible('error: the middle');
  await page.click('button:text-is("Start")');
  await visible('1');
  await page.locator('.text').focus();
  await page.keyboard.press('G');
  await visible('40000');
  // Scrolling goes on where the window ends, and nothing is lost or doubled.
  for (let i = 0; i < 12; ++i) { await page.mouse.move(600, 500); await page.mouse.wheel(0, -900); await page.waitForTimeout(120); }
  const numbers = (await page.locator('.line').allTextContents()).map(Number);
  assert.ok(numbers[0] < 39850, `went up to ${numbers[0]}`);
  numbers.forEach((n, i) => assert.equal(n, numbers[0] + i));
  // A link to a place.
  const offset = (await it.api('GET', `/api/v1/sessions/${it.sid}/tasks/${id}/search?pattern=30000`)).json.hits[0].offset;
  await page.goto(`${it.base}/#/s/${it.sid}/t/${id}/o/${offset}`);
  await visible('30000');
  assert.deepEqual(it.complaints, []);
});

test('V71 follow shows what comes; scrolling up ends it', async t => {
  const it = await start(t);
  const id = it.run('run', '-c', 'for i in $(seq 2000); do echo "tick $i"; sleep 0.05; done');
  const page = await it.open(it.link);
  await page.click(`#row-${id}`);
  const last = async () => Number((await page.locator('.line').last().textContent().catch(() => 'tick 0')).slice(5));
  const one = await eventually(last, 'something is shown');
  await eventually(async () => await last() > one + 20, 'more is shown');
  await page.locator('.text').focus();
  await page.keyboard.press('PageUp');
  await page.locator('.foot', {hasText: 'not following'}).waitFor();
  await page.keyboard.press('F');
  const two = await last();
  await eventually(async () => await last() > two + 10, 'it follows again');
});

test('V44 stop, extend and remove from the page, each asked for again', async t => {
  const it = await start(t, {serve: ['--allow-start']});
  const id = it.run('run', '--stdin', 'pipe', '-c', 'read line; echo "got $line"; exec sleep 300');
  const page = await it.open(it.link);
  await page.click(`#row-${id}`);
  await page.getByLabel('Write to its input').fill('a word');
  await page.click('button:text-is("Write")');
  assert.equal(await page.locator('.line', {hasText: 'got a word'}).count(), 0);
  await page.click('button:text-is("Yes")');
  await page.locator('.line', {hasText: 'got a word'}).waitFor();
  await page.click('text=Ends in 10 min');
  await eventually(async () => (await it.api('GET', `/api/v1/sessions/${it.sid}/tasks/${id}`)).json.task.timeoutMs === 600_000, 'it has a deadline');
  await page.click('button:text-is("Stop")');
  await page.click('button:text-is("No")');
  assert.equal(JSON.parse(it.run('show', id, '--json')).status, 'running');
  await page.click('button:text-is("Stop")');
  await page.click('button:text-is("Yes")');
  await page.locator('.top .is-killed').waitFor();
  await page.click('button:text-is("Remove")');
  await page.click('button:text-is("Yes")');
  await page.locator('text=No task matches.').waitFor();
  assert.deepEqual(it.complaints, []);
});

test('V44 with --read-only nothing can be done, and the page offers nothing', async t => {
  const it = await start(t, {serve: ['--read-only']});
  const id = it.run('run', '-c', 'exec sleep 300');
  const page = await it.open(it.link);
  await page.click(`#row-${id}`);
  await page.locator('.tabs').waitFor();
  assert.equal(await page.locator('.acts button').count(), 0);
  assert.equal((await it.api('POST', `/api/v1/sessions/${it.sid}/tasks/${id}/stop`, {body: {}})).status, 403);
});

test('search over all tasks leads to the place in the log', async t => {
  const it = await start(t);
  it.run('run', '--wait', '-c', 'seq 5000; echo needle one; seq 5000');
  it.run('run', '--wait', '-c', 'echo needle two');
  const page = await it.open(it.link);
  await page.click('nav >> text=Search');
  await page.getByLabel('Find', {exact: true}).fill('needle');
  await page.keyboard.press('Enter');
  await page.locator('[role=status]', {hasText: '2 found in 2 tasks'}).waitFor();
  await page.locator('.hits a', {hasText: 'needle one'}).click();
  await page.locator('.line', {hasText: 'needle one'}).waitFor();
});

test('V73 keyboard only: find, open, answer, stop', async t => {
  const it = await start(t);
  const runs = it.run('run', '--description', 'the first', '-c', 'exec sleep 300');
  it.run('run', '--description', 'the second', '-c', 'exec sleep 300');
  const question = it.run('ask', '--choice', 'Yes', '--choice', 'No', 'Go on?');
  const page = await it.open(it.link);
  await eventually(async () => await rows(page).count() === 3 && await rows(page).nth(2).locator(`#row-${runs}`).count() === 1, 'the oldest is the last row');
  for (const key of ['j', 'j']) await page.keyboard.press(key);
  assert.equal(await page.evaluate(() => document.activeElement.id), `row-${runs}`);
  // Focus stays when rows move.
  it.run('run', '--description', 'a third', '-c', 'exec sleep 300');
  await rows(page).nth(3).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), `row-${runs}`);
  await page.keyboard.press('Enter');
  await page.locator('.tabs').waitFor();
  await page.keyboard.press('s');
  await page.locator('.sure').waitFor();
  await page.keyboard.press('Enter');
  await page.locator('.top .is-killed').waitFor();
  await page.keyboard.press('h');
  await rows(page).nth(3).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('Go on');
  await eventually(async () => await rows(page).count() === 1, 'one row is left');
  await page.keyboard.press('Escape');
  await page.keyboard.press('l');
  await page.locator('.options button').first().waitFor();
  for (let i = 0; i < 20 && await page.evaluate(() => document.activeElement.textContent) !== 'No'; ++i) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator('.question', {hasText: 'Answer: No'}).waitFor();
  assert.equal(JSON.parse(it.run('show', question, '--json')).status, 'completed');
});

test('V70 all files of the page take at most 60 KB gzipped, and the libraries are what the packages hold', async t => {
  const it = await start(t);
  const page = await it.open(it.link);
  await page.locator('.head').waitFor();
  const urls = new Set();
  page.on('response', r => urls.add(r.url()));
  await page.reload();
  await page.locator('.head').waitFor();
  for (const url of urls) assert.ok(url.startsWith(it.base + '/'), `${url} is another server's`);
  let bytes = 0;
  for (const url of [...urls].filter(u => !u.includes('/api/') && !u.includes('/login')))
    bytes += gzipSync(Buffer.from(await (await fetch(url)).arrayBuffer()), {level: 9}).length;
  t.diagnostic(`${urls.size} requests, ${bytes} bytes of page`);
  assert.ok(bytes > 10_000 && bytes <= 60_000, `${bytes} bytes`);
  const check = spawnSync('python3', [path.join(SOURCE, 'tools', 'vendor_page.py'), process.env.PERDURE_MODULES, '--check'], {encoding: 'utf8'});
  assert.equal(check.status, 0, check.stderr);
});
