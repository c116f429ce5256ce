#!/usr/bin/env python3
"""perdure web: who may ask (V40-V42, V44), REST, the log in ranges, server-sent events, and that the server may be killed."""
import gzip
import hashlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually  # noqa: E402

WRITE = {'Content-Type': 'application/json', 'X-Perdure': '1'}


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)


class WebTest(SessionTest):
    def setUp(self):
        super().setUp()
        self.state = os.path.join(self.scratch, 'state', 'perdure')
        self.env = {**os.environ, 'XDG_CONFIG_HOME': self.config_home, 'XDG_STATE_HOME': os.path.join(self.scratch, 'state')}
        self.server = None

    def tearDown(self):
        self.stop()
        super().tearDown()

    def serve(self, *options):
        self.stop()
        self.server = subprocess.Popen([PERDURE, '--session', self.session, 'web', *options], env=self.env, text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.link = self.server.stdout.readline().strip()
        said = self.server.stderr.readline()
        self.port = int(re.search(r':(\d+)[/;]', said).group(1))
        with open(os.path.join(self.state, 'web-token'), encoding='utf-8') as f:
            self.token = f.read().strip()
        self.sid = hashlib.sha256(self.session.encode()).hexdigest()[:12]
        self.base = f'/api/v1/sessions/{self.sid}'

    def stop(self, kill=False):
        if self.server:
            (self.server.kill if kill else self.server.terminate)()
            self.server.wait(timeout=10)
            self.server.stdout.close()
            self.server.stderr.close()
            self.server = None

    def ask(self, method, path, body=None, token='program', **headers):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
        headers = {name.replace('_', '-'): value for name, value in headers.items()}
        if token:
            headers['Authorization'] = 'Bearer ' + (self.token if token == 'program' else token)
        if method in ('POST', 'DELETE'):
            headers = {**WRITE, **headers}
        connection.request(method, path, body=None if body is None else json.dumps(body), headers={k: v for k, v in headers.items() if v is not None})
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def get(self, path, **kw):
        return self.ask('GET', self.base + path, **kw)

    def post(self, path, body=None, **kw):
        return self.ask('POST', self.base + path, {} if body is None else body, **kw)


class Access(WebTest):
    def login(self, link):
        return self.ask('POST', '/login', {'token': link.split('#t=')[1]}, token=None, Origin=f'http://127.0.0.1:{self.port}')

    def test_an_answer_link_opens_one_question(self):
        """V43"""
        self.serve()
        ids = [self.perdure('ask', '--choice', 'a', '--choice', 'b', f'Question {n}?', check=0).stdout.strip() for n in (1, 2)]
        web = [PERDURE, '--session', self.session, 'web', '--question']
        link = subprocess.run([*web, ids[0]], env=self.env, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        head, session, task, token = link.rsplit('/', 3)
        self.assertEqual((head + '/' + session, task), (f'http://127.0.0.1:{self.port}/#a={self.sid}', ids[0]))
        for _ in range(2):
            self.assertEqual(self.get(f'/tasks/{ids[0]}/question', token=token).status, 200, 'looking spends nothing')
        for path in ('/tasks', f'/tasks/{ids[0]}', f'/tasks/{ids[0]}/log', f'/tasks/{ids[1]}/question'):
            self.assertEqual(self.get(path, token=token).status, 401, path)
        self.assertEqual(self.post(f'/tasks/{ids[0]}/stop', token=token).status, 401)
        body = {'answers': {'Question 1?': 'a'}}
        self.assertEqual(self.post(f'/tasks/{ids[1]}/answer', {'answers': {'Question 2?': 'a'}}, token=token).status, 401)
        self.assertEqual(self.post(f'/tasks/{ids[0]}/answer', {'answers': {'Question 1?': 1}}, token=token).status, 400, 'what is refused spends nothing')
        self.assertEqual(self.post(f'/tasks/{ids[0]}/answer', body, token=token).status, 200)
        self.assertEqual(self.post(f'/tasks/{ids[0]}/answer', body, token=token).status, 401, 'a link that was used')
        self.assertEqual(self.get(f'/tasks/{ids[0]}/question', token=token).status, 401)
        closed = subprocess.run([*web, ids[0]], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertNotEqual(closed.returncode, 0)
        self.assertIn('no longer open', closed.stderr)
        self.perdure('answer', ids[1], 'a')

    def test_the_page_needs_no_token_and_holds_nothing(self):
        """V42 V70: its files come gzipped, whoever asks, under the policy."""
        self.serve()
        page = self.ask('GET', '/', token=None)
        self.assertEqual((page.status, page.headers['Content-Encoding'], page.headers['Content-Type']), (200, 'gzip', 'text/html; charset=utf-8'))
        self.assertIn("default-src 'none'", page.headers['Content-Security-Policy'])
        names = re.findall(r'(?:href|src)="/([^"]+)"', gzip.decompress(page.body).decode())
        size = len(page.body)
        for name in names:
            file = self.ask('GET', '/' + name, token=None)
            self.assertEqual(file.status, 200, name)
            text = gzip.decompress(file.body).decode()
            if not name.startswith('vendor/'):
                self.assertNotIn('innerHTML', text, name)
            size += len(file.body)
        self.assertGreater(len(names), 10)
        self.assertLess(size, 60_000)
        for path in ('/index', '/../page.h', '/vendor', '/vendor/', '//index.html'):
            self.assertEqual(self.ask('GET', path, token=None).status, 401, path)
        self.assertEqual(self.ask('GET', '/', token=None, Host='evil.example').status, 403)

    def test_lines_are_harmless_runs(self):
        """V20 V24"""
        self.serve()
        task = self.sh('printf "\\033[1;31mred\\033[0m <b>\\n"; seq 1000')
        self.finished(task)
        end = self.get(f'/tasks/{task}/lines?count=3').json
        self.assertEqual([line['runs'] for line in end['lines']], [['998'], ['999'], ['1000']])
        self.assertTrue(end['eof'])
        first = self.get(f'/tasks/{task}/lines?at=4&count=2').json['lines']
        self.assertEqual(first[0]['runs'], [{'t': 'red', 'a': 1, 'f': 1}, ' <b>'])
        self.assertEqual((first[0]['at'], first[1]['at']), (0, first[0]['next']), 'from the start of the line')
        back = self.get(f'/tasks/{task}/lines?at={end["lines"][0]["at"]}&back=true&count=2').json['lines']
        self.assertEqual([line['runs'] for line in back], [['996'], ['997']])
        for wrong in ('at=x', 'count=0', 'count=501', 'at=-1'):
            self.assertEqual(self.get(f'/tasks/{task}/lines?{wrong}').status, 400, wrong)

    def test_a_link_logs_in_once(self):
        """V40"""
        self.serve()
        self.assertTrue(self.link.startswith(f'http://127.0.0.1:{self.port}/#t='))
        first = self.login(self.link)
        self.assertEqual(first.status, 200)
        session = first.json['token']
        self.assertEqual(self.get('/tasks', token=session).status, 200)
        self.assertEqual(self.login(self.link).status, 401, 'a link that was used')
        other = subprocess.run([PERDURE, '--session', self.session, 'web', '--link'], env=self.env, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        wrong = other[:-1] + ('0' if other[-1] != '0' else '1')
        self.assertEqual(self.login(wrong).status, 401)
        expiry, nonce, mac = other.split('#t=')[1].split('.')
        self.assertEqual(self.login(f'#t={int(expiry) + 1}.{nonce}.{mac}').status, 401)
        self.assertEqual(self.login(f'#t={session}').status, 401, 'a session is no link')
        self.assertEqual(self.get('/tasks', token=other.split('#t=')[1]).status, 401, 'a link is no session')
        done = []
        threads = [threading.Thread(target=lambda: done.append(self.login(other).status)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(done), [200] + [401] * 7, 'once, whoever asks at the same time')
        port = self.port
        self.stop(kill=True)
        self.serve()
        self.assertEqual(self.port, port, 'the port is remembered')
        self.assertEqual(self.get('/tasks', token=session).status, 200, 'a page goes on after the server was killed')
        for name in ('web-key', 'web-token'):
            self.assertEqual(os.stat(os.path.join(self.state, name)).st_mode & 0o777, 0o600)

    def test_no_token_no_answer(self):
        self.serve()
        for token in (None, 'x', self.token[:-1], ''):
            for path in ('/api/v1/sessions', f'{self.base}/tasks', '/api/v1/events', '/api/v1/openapi.json', '/nothing'):
                answer = self.ask('GET', path, token=token)
                self.assertEqual(answer.status, 401, (token, path))
                self.assertEqual(answer.headers['WWW-Authenticate'], 'Bearer')
        self.assertEqual(self.ask('GET', '/healthz', token=None).status, 200)

    def test_other_sites_are_refused(self):
        """V41: DNS rebinding, requests across sites."""
        self.serve()
        own = f'http://127.0.0.1:{self.port}'
        for host in ('evil.example', f'evil.example:{self.port}', '127.0.0.1.evil.example', '10.0.0.1'):
            self.assertEqual(self.get('/tasks', Host=host).status, 403, host)
        for host in (f'localhost:{self.port}', '127.0.0.1', f'[::1]:{self.port}'):
            self.assertEqual(self.get('/tasks', Host=host).status, 200, host)
        task = self.sh('sleep 60')
        path = f'/tasks/{task}/extend'
        for headers in ({'Origin': 'http://evil.example'}, {'Origin': 'null'}, {'Origin': f'https://127.0.0.1:{self.port}'},
                        {'Origin': 'http://127.0.0.1:1'}, {'X_Perdure': None}, {'X_Perdure': '0'}, {'Sec_Fetch_Site': 'same-origin'},
                        {'Sec_Fetch_Site': 'cross-site', 'Origin': own}):
            self.assertEqual(self.post(path, {'timeoutMs': 1000000}, **headers).status, 403, headers)
        for kind in ('text/plain', 'application/x-www-form-urlencoded', None):
            self.assertEqual(self.post(path, {'timeoutMs': 1000000}, Content_Type=kind).status, 415, kind)
        self.assertEqual(self.get('/tasks', Sec_Fetch_Site='cross-site').status, 403)
        self.assertEqual(self.get('/tasks', Sec_Fetch_Site='none').status, 200)
        self.assertNotIn('timeoutFrom', self.record(task))
        self.assertEqual(self.post(path, {'timeoutMs': 1000000}, Origin=own, Sec_Fetch_Site='same-origin').status, 200)
        self.assertEqual(self.post(f'/tasks/{task}/stop').status, 200)

    def test_headers(self):
        """V42"""
        self.serve()
        for path in (f'{self.base}/tasks', f'{self.base}/tasks/bash-00000000', '/healthz', '/nothing'):
            headers = self.ask('GET', path).headers
            self.assertIn("default-src 'none'", headers['Content-Security-Policy'])
            self.assertIn("require-trusted-types-for 'script'", headers['Content-Security-Policy'])
            self.assertEqual([headers[n] for n in ('X-Content-Type-Options', 'Referrer-Policy', 'Cross-Origin-Opener-Policy', 'Cross-Origin-Resource-Policy')],
                             ['nosniff', 'no-referrer', 'same-origin', 'same-origin'])

    def test_rights(self):
        """V44"""
        self.serve('--read-only')
        task = self.sh('sleep 60')
        self.assertEqual(self.get(f'/tasks/{task}').status, 200)
        for path in ('stop', 'extend', 'detach', 'answer', 'write', 'signal'):
            self.assertEqual(self.post(f'/tasks/{task}/{path}').status, 403, path)
        self.assertEqual(self.ask('DELETE', f'{self.base}/tasks/{task}').status, 403)
        self.serve()
        self.assertEqual(self.post('/tasks', {'command': 'true'}).status, 403)
        self.assertEqual(self.post(f'/tasks/{task}/signal', {'signal': 'HUP'}).status, 403)
        self.assertEqual(self.post(f'/tasks/{task}/stop', {'reason': 'seen'}).json['task']['stopReason'], 'seen')
        self.serve('--allow-start')
        self.assertEqual(self.post('/tasks', {'command': 'true'}).status, 200)

    def test_other_addresses_only_when_asked(self):
        for options, why in ((['--listen', '0.0.0.0:0'], 'TLS'), (['--origin', 'http://x'], 'https'), (['--read-only', '--allow-start'], 'exclude')):
            done = subprocess.run([PERDURE, '--session', self.session, 'web', *options], env=self.env, stderr=subprocess.PIPE, text=True, check=False, timeout=10)
            self.assertEqual(done.returncode, 2)
            self.assertIn(why, done.stderr)
        self.serve('--origin', 'https://box.example')
        self.assertTrue(self.link.startswith('https://box.example/#t='))
        self.assertEqual(self.get('/tasks', Host='box.example').status, 200)
        task = self.sh('true')
        self.assertEqual(self.post(f'/tasks/{task}/stop', Host='box.example', Origin='http://box.example').status, 403)
        self.assertEqual(self.post(f'/tasks/{task}/stop', Host='box.example', Origin='https://box.example').status, 200)


class Rest(WebTest):
    def test_from_start_to_removal(self):
        self.serve('--allow-start')
        started = self.post('/tasks', {'command': 'echo hi; exit 3', 'labels': {'a': 'b'}}, Idempotency_Key='k').json['task']
        self.assertEqual(started['labels'], {'a': 'b'})
        task = started['taskId']
        self.finished(task)
        self.assertEqual(self.post('/tasks', {'command': 'echo hi; exit 3'}, Idempotency_Key='k').json['task']['taskId'], task)
        self.assertEqual(self.get(f'/tasks/{task}').json['output']['preview'], 'hi\n')
        self.assertEqual(self.get(f'/tasks/{task}?previewBytes=0').json['task']['exitCode'], 3)
        self.assertEqual(self.get(f'/tasks/{task}/window?at=1&limit=1').json['data'], 'i')
        self.assertEqual(self.get(f'/tasks/{task}/processes').json, {'processes': []})
        self.assertEqual(self.get(f'/tasks/{task}/search?pattern=h').json['hits'][0]['text'], 'hi')
        self.assertEqual(self.get('/search?pattern=h.&mode=regex&status=failed').json['total'], 1)
        self.assertEqual(self.get(f'/tasks/{task}/failure').json, {'offset': 3, 'found': False})
        sessions = self.ask('GET', '/api/v1/sessions').json['sessions']
        self.assertEqual([(s['id'], s['path'], s['counts']['failed']) for s in sessions], [(self.sid, self.session, 1)])
        for query, expected in (('status=failed,killed', [task]), ('status=running', []), ('q=hi', [task]), ('q=%68%69+%3B', []),
                                ('kind=agent', []), ('label=a%3Db&sort=ended&order=ascending&limit=5', [task])):
            self.assertEqual([row['id'] for row in self.get('/tasks?' + query).json['rows']], expected, query)
        self.assertEqual(self.ask('DELETE', f'{self.base}/tasks/{task}').status, 200)
        self.assertEqual(self.get(f'/tasks/{task}').status, 404)

    def test_questions(self):
        self.serve()
        task = self.perdure('ask', '--choice', 'a', '--choice', 'b', 'Q?', check=0).stdout.strip()
        self.assertEqual(self.get(f'/tasks/{task}/question').json['questions'][0]['question'], 'Q?')
        self.assertEqual(self.post(f'/tasks/{task}/answer', {'answers': {'Q?': 'b'}}).json['answer'], {'answers': {'Q?': 'b'}})
        again = self.post(f'/tasks/{task}/answer', {'answers': {'Q?': 'a'}})
        self.assertEqual((again.status, again.json['code']), (409, 'question.closed'))

    def test_problems(self):
        """RFC 9457, with the codes of the command line."""
        self.serve('--allow-start')
        ended = self.sh('true')
        self.finished(ended)
        for status, code, answer in (
                (404, 'task.not_found', self.get('/tasks/bash-00000000')),
                (400, 'task.id_invalid', self.get('/tasks/x!')),
                (404, 'task.not_found', self.ask('GET', '/api/v1/sessions/000000000000/tasks')),
                (400, 'usage', self.get('/tasks?limit=0')),
                (400, 'usage', self.get('/tasks?limit=x')),
                (400, 'usage', self.get('/tasks?after=x')),
                (400, 'usage', self.post('/tasks', {})),
                (400, 'usage', self.post('/tasks', {'command': 3})),
                (422, 'task.launch_failed', self.post('/tasks', {'argv': ['/no/such']})),
                (409, 'task.not_running', self.post(f'/tasks/{ended}/extend', {'timeoutMs': 1})),
                (405, 'usage', self.ask('POST', '/api/v1/sessions', {})),
                (404, 'usage', self.ask('GET', '/api/v1/nothing'))):
            self.assertEqual((answer.status, answer.json['code'], answer.headers['Content-Type']), (status, code, 'application/problem+json'), answer.body)
            self.assertEqual(answer.json['status'], status)
            self.assertIn('detail', answer.json)

    def test_the_log_in_ranges(self):
        self.serve()
        task = self.sh("printf '0123456789'; printf '\\377\\0<script>'; sleep 60")
        eventually(lambda: len(self.log(task)) == 20, 'the output')
        path = f'/tasks/{task}/log'
        whole = b'0123456789\xff\0<script>'
        answer = self.get(path)
        self.assertEqual((answer.status, answer.body, answer.headers['Cache-Control']), (200, whole, 'no-store'))
        self.assertEqual((answer.headers['Content-Type'], answer.headers['X-Content-Type-Options']), ('text/plain; charset=utf-8', 'nosniff'))
        self.assertIn('sandbox', answer.headers['Content-Security-Policy'])
        for asked, body, where in (('bytes=2-4', b'234', 'bytes 2-4/*'), ('bytes=15-', b'ript>', 'bytes 15-19/*'), ('bytes=-3', b'pt>', 'bytes 17-19/*'),
                                   ('bytes=18-999', b't>', 'bytes 18-19/*')):
            answer = self.get(path, Range=asked)
            self.assertEqual((answer.status, answer.body, answer.headers['Content-Range']), (206, body, where), asked)
        answer = self.get(path, Range='bytes=20-')
        self.assertEqual((answer.status, answer.headers['Content-Range']), (416, 'bytes */20'))
        self.assertEqual(self.get(path, Range='lines=1-2').status, 200)
        self.post(f'/tasks/{task}/stop')
        answer = self.get(path, Range='bytes=0-0')
        self.assertEqual((answer.status, answer.headers['Content-Range']), (206, 'bytes 0-0/20'))
        self.assertEqual(self.get(path, If_None_Match=answer.headers['ETag']).status, 304)

    def test_a_log_with_a_gap(self):
        self.serve()
        task = self.run_task('--output-limit', '4096', '-c', 'seq 1 100000')
        record = self.finished(task)
        at, dropped = record['droppedAt'], record['droppedBytes']
        path = f'/tasks/{task}/log'
        answer = self.get(path, Range=f'bytes={at - 10}-{at + 10}')
        self.assertEqual((answer.status, len(answer.body)), (206, 10), 'cut at the gap')
        answer = self.get(path, Range=f'bytes={at}-')
        self.assertEqual((answer.status, answer.json['code'], answer.json['details']['nextOffset']), (416, 'output.expired', str(at + dropped)))
        self.assertEqual(self.get(path, Range=f'bytes={at + dropped}-').status, 206)

    def test_the_document_names_every_route(self):
        self.serve('--allow-start')
        document = self.ask('GET', '/api/v1/openapi.json').json
        self.assertEqual(document['openapi'], '3.1.0')
        ids = [operation['operationId'] for path in document['paths'].values() for operation in path.values()]
        self.assertEqual(len(ids), len(set(ids)))
        refs = set(re.findall(r'#/components/schemas/(\w+)', json.dumps(document)))
        self.assertLessEqual(refs, set(document['components']['schemas']))
        for path, operations in document['paths'].items():
            for method, operation in operations.items():
                self.assertEqual({p['name'] for p in operation.get('parameters', ()) if p['in'] == 'path'}, set(re.findall(r'{(\w+)}', path)))
                if path.endswith('/events'):
                    continue
                real = path.replace('{s}', self.sid).replace('{id}', 'bash-00000000')
                answer = self.ask(method.upper(), real, {} if method == 'post' else None)
                self.assertIn(str(answer.status), operation['responses'], (method, path, answer.body))


class Stream:
    """Server-sent events, as a client reads them."""

    def __init__(self, test, query='', **headers):
        self.connection = http.client.HTTPConnection('127.0.0.1', test.port, timeout=30)
        self.connection.request('GET', f'/api/v1/events?session={test.sid}{query}', headers={'Authorization': f'Bearer {test.token}', **headers})
        self.response = self.connection.getresponse()

    def next(self):
        event = {}
        while True:
            line = self.response.readline()
            if not line:
                raise EOFError
            line = line.decode().rstrip('\n')
            if not line and event:
                return event
            name, _, value = line.partition(': ')
            if name:
                event[name] = value

    def close(self):
        self.response.close()
        self.connection.close()


class Events(WebTest):
    def test_since_and_after_the_server_was_killed(self):
        self.serve()
        stream = Stream(self)
        self.assertEqual(stream.response.headers['Content-Type'], 'text/event-stream')
        self.assertEqual(stream.next()['event'], 'begun')
        first = self.sh('true')
        started, ended = stream.next(), stream.next()
        self.assertEqual([started['event'], ended['event']], ['task.started', 'task.terminated'])
        self.assertEqual((json.loads(ended['data'])['row']['id'], int(ended['id'])), (first, self.finished(first)['endedSeq']))
        self.stop(kill=True)
        with self.assertRaises((EOFError, OSError, http.client.HTTPException)):
            stream.next()
        stream.close()
        second = self.sh('true')
        self.finished(second)
        self.serve()
        stream = Stream(self, **{'Last-Event-ID': ended['id']})
        stream.next()
        told = [stream.next(), stream.next()]
        self.assertEqual([(e['event'], json.loads(e['data'])['row']['id']) for e in told], [('task.started', second), ('task.terminated', second)])
        stream.close()
        stream = Stream(self, '&since=0')
        stream.next()
        self.assertEqual([stream.next()['event'] for _ in range(4)], ['task.started', 'task.terminated'] * 2)
        stream.close()

    def test_many_streams_end_with_their_clients(self):
        self.serve()
        streams = [Stream(self) for _ in range(20)]
        for stream in streams:
            stream.next()
        self.sh('true')
        for stream in streams:
            self.assertEqual(stream.next()['event'], 'task.started')
            stream.close()

        def threads():
            return len(os.listdir(f'/proc/{self.server.pid}/task'))
        eventually(lambda: threads() < 8, 'the threads of the streams ended')
        began = time.monotonic()
        self.stop()
        self.assertLess(time.monotonic() - began, 5)


if __name__ == '__main__':
    unittest.main()
