// What hostile output, other sites and wrong links can do to the page: nothing.
import assert from 'node:assert/strict';
import http from 'node:http';
import {writeFileSync} from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import {eventually, rows, start, violations} from './support.mjs';

const kBadName = '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>\u202egnp.exe\u001b]0;title\u0007 {{x}} &lt;b&gt;';

/** A request as no browser would send it: any header, on a socket of its own. */
function raw(port, {method = 'GET', target = '/', headers = {}, body = ''}) {
  return new Promise((done, fail) => {
    const request = http.request({host: '127.0.0.1', port, method, path: target, headers: {Connection: 'close', ...headers}}, response => {
      let text = '';
      response.on('data', d => { text += d; });
      response.on('end', () => done({status: response.statusCode, text, headers: response.headers}));
    });
    request.on('error', fail);
    request.end(body);
  });
}

test('V24 V42 hostile output and names stay text', async t => {
  const it = await start(t);
  const bad = path.join(it.scratch, 'bad');
  writeFileSync(bad, Buffer.concat([
    Buffer.from('<script>window.pwned=3</script><img src=x onerror=window.pwned=4>\n'), Buffer.from('\u001b]8;;javascript:window.pwned=5\u0007click\u001b]8;;\u0007 \u001b[2Jcleared \u001b[31mred\u001b[0m\n'),
    Buffer.from('one\u202eowt\u2066 \u0000nul \u0007bell\n'), Buffer.from([0xff, 0xfe, 0x0a]), Buffer.from('loading 1%\rloading 99%\n'), Buffer.alloc(1 << 20, 'x'), Buffer.from('\nthe end\n')]));
  const id = it.run('run', '--description', kBadName, '--label', 'a=<b>label</b>', '-c', `cat '${bad}'; exit 1`);
  const question = it.run('ask', '--choice', '<b>Yes</b>', '--choice', 'No\u202e', '<script>window.pwned=6</script> ok?');
  const page = await it.open(it.link);
  page.on('dialog', () => assert.fail('a dialog'));
  await page.evaluate(() => { window.broken = []; document.addEventListener('securitypolicyviolation', e => window.broken.push(e.violatedDirective)); });
  await page.locator(`[data-id=${id}] .is-failed`).waitFor();
  const name = await page.locator(`#row-${id}`).textContent();
  assert.ok(name.startsWith('<img src=x onerror='), name);
  assert.ok(name.includes('<U+202E>gnp.exe') && name.includes('\u241b]0;title\u2407'), name);
  await page.click(`#row-${id}`);
  await page.locator('.line', {hasText: 'the end'}).waitFor();
  await page.click('button:text-is("Start")');
  await page.locator('.line', {hasText: '<script>window.pwned=3</script>'}).waitFor();
  const lines = await page.locator('.line').allTextContents();
  assert.ok(lines.some(l => l === 'click cleared red'), JSON.stringify(lines.slice(0, 6)));
  assert.ok(lines.some(l => l.includes('one<U+202E>owt<U+2066> \u2400nul \u2407bell')), JSON.stringify(lines.slice(0, 6)));
  assert.ok(lines.includes('loading 99%') && lines.includes('\ufffd\ufffd'));
  assert.ok(lines.every(l => l.length < 20_000), 'a line of 1 MiB is folded');
  assert.equal(await page.locator('.line .f-1').first().textContent(), 'red');
  await page.click('#tab-details');
  await page.locator('dd', {hasText: '<b>label</b>'}).waitFor();
  await page.goto(`${it.base}/#/s/${it.sid}/t/${question}`);
  await page.locator('.options button', {hasText: '<b>Yes</b>'}).waitFor();
  await page.goto(`${it.base}/#/s/${it.sid}/news`);
  await page.locator('.cards li', {hasText: '<img src=x'}).first().waitFor();
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.deepEqual(await page.evaluate(() => window.broken ?? []), []);
  assert.equal(await page.locator('#page img, #page script, #page b b').count(), 0);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(it.complaints, []);
});

test('V42 the page runs under a policy that lets nothing else run', async t => {
  const it = await start(t);
  const {headers} = await raw(it.port, {headers: {Host: `127.0.0.1:${it.port}`}});
  const policy = headers['content-security-policy'];
  assert.ok(policy.includes("default-src 'none'") && policy.includes("require-trusted-types-for 'script'") && !policy.includes('unsafe'), policy);
  assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
  const page = await it.open(it.link);
  await page.locator('.head').waitFor();
  const ran = await page.evaluate(async () => {
    const tried = [];
    try { document.body.innerHTML = '<b>x</b>'; tried.push('innerHTML'); } catch { /* as it should be */ }
    const script = document.createElement('script');
    try { script.textContent = 'window.pwned = 1'; document.body.append(script); } catch { /* as it should be */ }
    const button = document.createElement('button');
    try { button.setAttribute('onclick', 'window.pwned = 2'); } catch { /* as it should be */ }
    document.body.append(button);
    button.click();
    await fetch('http://127.0.0.1:1/').then(() => tried.push('fetch'), () => {});
    return [...tried, window.pwned].filter(Boolean);
  });
  assert.deepEqual(ran, []);
});

test('V41 DNS rebinding and other sites: refused, with the right token, too', async t => {
  const it = await start(t);
  const id = it.run('run', '-c', 'exec sleep 300');
  const host = `127.0.0.1:${it.port}`, bearer = {Authorization: `Bearer ${it.token}`};
  const list = `/api/v1/sessions/${it.sid}/tasks`, stop = `${list}/${id}/stop`;
  const status = async (headers, more = {}) => (await raw(it.port, {target: list, headers: {...bearer, ...headers}, ...more})).status;
  assert.equal(await status({Host: host}), 200);
  for (const evil of ['evil.example', `evil.example:${it.port}`, `127.0.0.1.evil.example:${it.port}`, '0.0.0.0', `localhost@evil.example`]) {
    assert.equal(await status({Host: evil}), 403, evil);
    assert.equal((await raw(it.port, {headers: {Host: evil}})).status, 403, `the page itself, for ${evil}`);
    // What a rebound page would send: its Origin equals its Host.
    assert.equal(await status({Host: evil, Origin: `http://${evil}`}), 403, evil);
  }
  assert.equal(await status({Host: host, 'Sec-Fetch-Site': 'cross-site'}), 403);
  const good = {Host: host, 'Content-Type': 'application/json', 'X-Perdure': '1'};
  const write = (headers, body = '{}') => status(headers, {method: 'POST', target: stop, body});
  assert.equal(await write({...good, Origin: 'http://evil.example'}), 403);
  assert.equal(await write({...good, Origin: 'null'}), 403);
  assert.equal(await write({...good, Origin: `http://localhost:${it.port}`}), 403);
  assert.equal(await write({Host: host, 'X-Perdure': '1', 'Content-Type': 'text/plain'}), 415);
  assert.equal(await write({Host: host, 'Content-Type': 'application/json'}), 403);
  assert.equal((await raw(it.port, {method: 'POST', target: stop, headers: good, body: '{}'})).status, 401);
  assert.equal(JSON.parse(it.run('show', id, '--json')).status, 'running');
});

test('V41 a page of another site in the same browser reaches nothing', async t => {
  const it = await start(t);
  const id = it.run('run', '-c', 'exec sleep 300');
  const evil = http.createServer((_, response) => response.end('<!doctype html><title>x</title>'));
  await new Promise(done => evil.listen(0, '127.0.0.1', done));
  t.after(() => evil.close());
  const context = await it.browser.newContext();
  const ours = await it.open(it.link, {context});
  await rows(ours).first().waitFor();
  const page = await context.newPage();
  await page.goto(`http://localhost:${evil.address().port}/`);
  const got = await page.evaluate(async ({base, stop, token}) => {
    const answers = [];
    const attempt = async (url, options) => { try { const r = await fetch(url, options); answers.push(r.type === 'opaque' ? 'opaque' : r.status); } catch { answers.push('refused'); } };
    await attempt(base + '/api/v1/sessions', {headers: {Authorization: `Bearer ${token}`}});
    await attempt(base + stop, {method: 'POST', mode: 'no-cors', headers: {'Content-Type': 'text/plain'}, body: '{}'});
    await attempt(base + stop, {method: 'POST', headers: {'Content-Type': 'application/json', 'X-Perdure': '1', Authorization: `Bearer ${token}`}, body: '{}'});
    const frame = document.createElement('iframe');
    frame.src = base + '/';
    document.body.append(frame);
    await new Promise(done => setTimeout(done, 500));
    return answers;
  }, {base: it.base, stop: `/api/v1/sessions/${it.sid}/tasks/${id}/stop`, token: it.token});
  assert.deepEqual([got[0], got[2]], ['refused', 'refused']);
  assert.notEqual(got[1], 200);
  assert.equal(await page.frames().at(-1).locator('.head').count(), 0, 'not in a frame');
  assert.equal(JSON.parse(it.run('show', id, '--json')).status, 'running');
});

test('V40 a link logs in once; a wrong and a used one do not', async t => {
  const it = await start(t);
  const page = await it.open(it.link);
  await page.locator('.head').waitFor();
  assert.ok(!page.url().includes('t='), page.url());
  assert.equal(await page.evaluate(() => document.cookie + Object.keys(localStorage).filter(k => /token/.test(k))), '');
  const again = await it.open(it.link);
  await again.locator('[role=alert]', {hasText: 'the link is wrong, too old, or was used'}).waitFor();
  const wrong = await it.open(`${it.base}/#t=${it.link.split('#t=')[1].slice(0, -1)}x`);
  await wrong.locator('[role=alert]').waitFor();
  const none = await it.open(it.base + '/');
  await none.locator('pre', {hasText: 'perdure web --link'}).waitFor();
  assert.deepEqual(await violations(none), []);
  const fresh = await it.open(it.run('web', '--link'));
  await fresh.locator('.head').waitFor();
});

test('V43 an answer link shows and answers one question, once, and nothing else', async t => {
  const it = await start(t);
  const other = it.run('ask', '--choice', 'a', '--choice', 'b', 'Another?');
  const id = it.run('ask', '--choice', 'Yes', '--choice', 'No', 'Delete 3 migrations?');
  const link = it.run('web', '--question', id);
  const token = link.split('/').at(-1);
  const base = `/api/v1/sessions/${it.sid}/tasks`;
  // Looking spends nothing.
  for (let i = 0; i < 3; ++i) assert.equal((await it.api('GET', `${base}/${id}/question`, {token})).status, 200);
  for (const [method, where] of [['GET', base], ['GET', `${base}/${id}`], ['GET', `${base}/${id}/log`], ['POST', `${base}/${id}/stop`], ['DELETE', `${base}/${id}`], ['GET', '/api/v1/sessions'], ['GET', '/api/v1/events'], ['GET', `${base}/${other}/question`], ['POST', `${base}/${other}/answer`]])
    assert.equal((await it.api(method, where, {token, body: method === 'GET' ? undefined : {answers: {'Another?': 'a'}}})).status, 401, `${method} ${where}`);
  const phone = await it.open(link, {viewport: {width: 360, height: 640}, isMobile: true, hasTouch: true});
  await phone.locator('.options button').first().waitFor();
  assert.ok(!phone.url().includes(token), phone.url());
  assert.deepEqual(await violations(phone), []);
  assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await phone.tap('.options button:text-is("No")');
  await phone.locator('.question', {hasText: 'Answer: No'}).waitFor();
  assert.equal(JSON.parse(it.run('show', id, '--json')).status, 'completed');
  const second = await it.open(link);
  await second.locator('[role=alert]', {hasText: 'the link was used, or its question is no longer open'}).waitFor();
  assert.equal((await it.api('POST', `${base}/${id}/answer`, {token, body: {answers: {'Delete 3 migrations?': 'Yes'}}})).status, 401);
  assert.throws(() => it.run('web', '--question', id), /no longer open/);
  // Wrong ones: five a minute, then none is looked at; who has the right one is not locked out.
  const last = it.run('web', '--question', other).split('/').at(-1);
  const statuses = [];
  for (let i = 0; i < 8; ++i) statuses.push((await it.api('POST', `${base}/${other}/answer`, {token: `${last.slice(0, -4)}000${i}`, body: {answers: {'Another?': 'a'}}})).status);
  assert.ok(statuses[0] === 401 || statuses[0] === 429);
  assert.deepEqual(statuses.slice(5), [429, 429, 429]);
  assert.equal((await it.api('GET', `${base}/${other}/question`, {token: last})).status, 200);
});
