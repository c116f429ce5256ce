"""`perdure mcp --http`: who may talk to it, both eras, streams, limits; docs/reference/mcp.md."""
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from mcp_client import P, modern_meta  # noqa: E402
from session import PERDURE, SessionTest, eventually  # noqa: E402

JSON = {'Content-Type': 'application/json', 'Accept': 'application/json, text/event-stream'}


class HttpTest(SessionTest):
    options = ['--no-auth']

    def setUp(self):
        super().setUp()
        self.server = subprocess.Popen([PERDURE, '--session', self.session, 'mcp', '--http', '127.0.0.1:0', *self.options],
                                       stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                       env={**os.environ, 'XDG_STATE_HOME': self.scratch})
        self.said = []
        while not (found := re.search(r'http://127.0.0.1:(\d+)/mcp', self.said[-1] if self.said else '')):
            self.said.append(self.server.stderr.readline())
        self.port = int(found.group(1))

    def tearDown(self):
        self.server.terminate()
        self.assertEqual(self.server.wait(timeout=30), 0)
        self.server.stderr.close()
        self.perdure('stop', '--all', '--grace', '0')
        super().tearDown()

    def send(self, method='POST', body=None, headers=None, path='/mcp'):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        self.addCleanup(connection.close)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, data, headers if headers is not None else JSON)
        return connection.getresponse()

    def modern(self, method, headers=None, meta=None, **params):
        names = {'tools/call': 'name', 'resources/read': 'uri', 'tasks/get': 'taskId'}
        named = {'Mcp-Name': params[names[method]]} if method in names else {}
        body = {'jsonrpc': '2.0', 'id': 1, 'method': method, 'params': {**params, '_meta': meta or modern_meta()}}
        return self.send(body=body, headers={**JSON, 'MCP-Protocol-Version': '2026-07-28', 'Mcp-Method': method, **named, **(headers or {})})

    def initialize(self, version='2025-11-25'):
        response = self.send(body={'jsonrpc': '2.0', 'id': 0, 'method': 'initialize', 'params': {
            'protocolVersion': version, 'capabilities': {}, 'clientInfo': {'name': 'http', 'version': '1'}}})
        self.assertEqual(response.status, 200)
        return {**JSON, 'Mcp-Session-Id': response.headers['Mcp-Session-Id'], 'MCP-Protocol-Version': version}


def answer(response):
    return json.loads(response.read())


def events(response):
    """(id, JSON or None) of each event until the stream ends."""
    found, number, data = [], None, None
    for line in response.read().decode().splitlines() + ['']:
        if line.startswith('id: '):
            number = line[4:]
        elif line.startswith('data: ') or line == 'data:':
            data = line[6:]
        elif not line and data is not None:
            found.append((number, json.loads(data) if data else None))
            number, data = None, None
    return found


class Access(HttpTest):
    options = []

    def token(self):
        with open(os.path.join(self.scratch, 'perdure', 'http-token'), encoding='ascii') as f:
            return f.read().strip()

    def test_the_token_is_made_once_kept_private_and_wanted(self):
        self.assertEqual(os.stat(os.path.join(self.scratch, 'perdure', 'http-token')).st_mode & 0o777, 0o600)
        self.assertIn(self.token(), ''.join(self.said))
        for authorization in ({}, {'Authorization': 'Bearer x'}, {'Authorization': f'Bearer {self.token()}x'}, {'Authorization': self.token()},
                              {'Authorization': 'Bearer ' + self.token()[:-1] + ('0' if self.token()[-1] != '0' else '1')},  # of the right length
                              {'Authorization': f'Basic {self.token()}'}):
            refused = self.modern('tools/list', authorization)
            self.assertEqual((refused.status, refused.headers['WWW-Authenticate']), (401, 'Bearer'))
        for scheme in ('Bearer', 'bearer', 'BEARER'):
            self.assertEqual(self.modern('tools/list', {'Authorization': f'{scheme} {self.token()}'}).status, 200)
        again = subprocess.run([PERDURE, '--session', self.session, 'mcp', '--http', f'127.0.0.1:{self.port}'], stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, check=False, timeout=60, env={**os.environ, 'XDG_STATE_HOME': self.scratch})
        self.assertEqual(again.returncode, 1)  # the port is taken
        self.assertNotIn(self.token(), again.stderr)

    def test_whoever_may_not_pass_is_answered_before_the_body_is_read(self):
        for head, status in (('Host: localhost\r\nContent-Type: application/json', b' 401 '), ('Host: evil.example', b' 403 '),
                             (f'Host: localhost\r\nAuthorization: Bearer {self.token()}\r\nContent-Type: text/plain', b' 415 '),
                             (f'Host: localhost\r\nHost: localhost\r\nAuthorization: Bearer {self.token()}', b' 400 ')):
            with socket.create_connection(('127.0.0.1', self.port)) as sock:
                sock.settimeout(10)
                sock.sendall(f'POST /mcp HTTP/1.1\r\n{head}\r\nContent-Length: 16000000\r\n\r\n'.encode())
                self.assertIn(status, sock.recv(4096), head)

    def test_a_token_that_others_can_read_is_refused(self):
        os.chmod(os.path.join(self.scratch, 'perdure', 'http-token'), 0o644)
        refused = subprocess.run([PERDURE, 'mcp', '--http', '127.0.0.1:0'], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                 check=False, timeout=60, env={**os.environ, 'XDG_STATE_HOME': self.scratch})
        self.assertEqual(refused.returncode, 2)
        self.assertIn('others can read it', refused.stderr)

    def test_without_a_token_on_loopback_only(self):
        self.perdure('mcp', '--http', '0.0.0.0:0', '--no-auth', check=2)
        self.perdure('mcp', '--http', 'example.com:80', '--no-auth', check=2)


class Guard(HttpTest):
    def test_no_web_page_gets_in(self):
        for headers, status in (({'Host': 'evil.example.com'}, 403), ({'Host': f'localhost:{self.port}'}, 200),
                                ({'Host': '[::1]:1'}, 200), ({'Origin': 'http://evil.example.com'}, 403), ({'Origin': 'null'}, 403),
                                ({'Origin': 'http://localhost.evil.com'}, 403), ({'Origin': 'http://localhost:80@evil.example'}, 403),
                                ({'Host': 'localhost:80@evil.example'}, 403), ({'Host': ''}, 403), ({'Origin': 'http://127.0.0.1:3000'}, 200),
                                ({'Content-Type': 'text/plain'}, 415), ({'Content-Type': 'application/json; charset=utf-8'}, 200)):
            self.assertEqual(self.modern('tools/list', headers).status, status, headers)

    def test_other_paths_and_methods(self):
        self.assertEqual(self.send('GET', path='/').status, 404)
        for method in ('GET', 'DELETE', 'PUT', 'OPTIONS'):
            self.assertEqual(self.send(method).status, 405)


class Modern(HttpTest):
    def test_status_and_code_of_errors(self):
        self.assertEqual(self.modern('server/discover').status, 200)
        meta = modern_meta()
        del meta[P + 'clientCapabilities']
        for response, status, code in (
                (self.modern('no/such'), 404, -32601), (self.modern('ping'), 404, -32601), (self.modern('server/discover', meta=meta), 400, -32602),
                (self.modern('tools/list', {'Mcp-Method': 'tools/call'}), 400, -32020), (self.modern('tools/list', {'MCP-Protocol-Version': '2025-11-25'}), 400, -32020),
                (self.modern('tools/call', {'Mcp-Name': 'Bash2'}, name='Bash', arguments={}), 400, -32020),
                (self.modern('tools/call', {'Mcp-Name': '=?base64?QmFza=?='}, name='Bash', arguments={}), 400, -32020),
                (self.modern('tools/list', {'MCP-Protocol-Version': 'v9'}, meta=modern_meta() | {P + 'protocolVersion': 'v9'}), 400, -32022),
                (self.modern('tasks/get', meta=modern_meta(tasks=False), taskId='x'), 400, -32021), (self.modern('tasks/get', taskId='x'), 200, -32602),
                (self.send(body=b'{'), 400, -32700), (self.send(body=b'[]'), 400, -32600)):
            self.assertEqual((response.status, answer(response)['error']['code']), (status, code))
        encoded = self.modern('tools/call', {'Mcp-Name': '=?base64?QmFzaA==?='}, name='Bash', arguments={'command': 'true'})
        self.assertEqual(encoded.status, 200)

    def test_progress_makes_the_answer_a_stream(self):
        response = self.modern('tools/call', meta=modern_meta(progressToken=7), name='Bash', arguments={'command': 'sleep 1.2; echo x'})
        self.assertEqual(response.headers['Content-Type'], 'text/event-stream')
        told = [message for _, message in events(response)]
        self.assertEqual(told[0]['method'], 'notifications/progress')
        self.assertEqual(told[-1]['result']['structuredContent']['output'], 'x\n')

    def test_closing_the_response_is_the_cancel(self):
        body = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'tools/call', 'params': {
            'name': 'Bash', 'arguments': {'command': 'trap "touch ended" EXIT; touch begun; sleep 300 & wait', 'timeout': 300, 'cwd': self.scratch},
            '_meta': modern_meta()}}).encode()
        with socket.create_connection(('127.0.0.1', self.port)) as sock:
            sock.sendall(b'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n'
                         b'Mcp-Method: tools/call\r\nMcp-Name: Bash\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
            eventually(lambda: os.path.exists(os.path.join(self.scratch, 'begun')), 'it runs')
        eventually(lambda: os.path.exists(os.path.join(self.scratch, 'ended')), 'it was stopped')

    def test_a_listener_hears_of_the_end(self):
        task = answer(self.modern('tools/call', name='Bash', arguments={
            'command': 'until test -e go; do sleep 0.01; done', 'cwd': self.scratch, 'run_in_background': True, 'description': 'x'}))['result']['taskId']
        response = self.modern('subscriptions/listen', notifications={'taskIds': [task]})
        lines = (json.loads(line[6:]) for line in response if line.startswith(b'data: {'))
        self.assertEqual(next(lines)['method'], 'notifications/subscriptions/acknowledged')
        open(os.path.join(self.scratch, 'go'), 'w').close()
        while (told := next(lines))['params']['status'] == 'working':
            pass
        self.assertEqual((told['method'], told['params']['taskId'], told['params']['status']), ('notifications/tasks', task, 'completed'))
        self.assertEqual(answer(self.modern('tasks/get', taskId=task))['result']['status'], 'completed')


class Legacy(HttpTest):
    def request(self, session, method, params=None, number=1):
        return self.send(body={'jsonrpc': '2.0', 'id': number, 'method': method, 'params': params or {}}, headers=session)

    def test_a_conversation_and_its_end(self):
        session = self.initialize()
        self.assertEqual(self.send(body={'jsonrpc': '2.0', 'method': 'notifications/initialized'}, headers=session).status, 202)
        self.assertEqual(answer(self.request(session, 'ping'))['result'], {})
        self.assertEqual(self.request({**session, 'Mcp-Session-Id': 'x'}, 'ping').status, 404)
        self.assertEqual(self.request(JSON, 'ping').status, 400)
        self.assertEqual(self.request({**session, 'MCP-Protocol-Version': '1999-01-01'}, 'ping').status, 400)
        self.assertEqual(self.send('DELETE', headers=session).status, 204)
        self.assertEqual(self.request(session, 'ping').status, 404)
        self.assertEqual(self.send('GET', headers=session).status, 404)

    def test_what_belongs_to_no_request_comes_on_the_stream_of_a_get(self):
        session = self.initialize()
        started = answer(self.request(session, 'tools/call', {'name': 'Bash', 'task': {}, 'arguments': {'command': 'true'}}))['result']['task']
        stream = self.send('GET', headers=session)
        self.assertEqual(stream.headers['Content-Type'], 'text/event-stream')
        lines = (json.loads(line[6:]) for line in stream if line.startswith(b'data: {'))
        while (told := next(lines))['params']['status'] == 'working':
            pass
        self.assertEqual((told['method'], told['params']['taskId']), ('notifications/tasks/status', started['taskId']))

    def test_a_broken_stream_is_resumed(self):
        session = self.initialize()
        body = json.dumps({'jsonrpc': '2.0', 'id': 5, 'method': 'tools/call', 'params': {
            'name': 'Bash', '_meta': {'progressToken': 1},
            'arguments': {'command': 'until test -e go; do sleep 0.01; done; echo done', 'cwd': self.scratch, 'timeout': 60}}}).encode()
        with socket.create_connection(('127.0.0.1', self.port)) as sock:
            head = ''.join(f'{name}: {value}\r\n' for name, value in session.items())
            sock.sendall(f'POST /mcp HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {len(body)}\r\n\r\n'.encode() + body)
            got = b''
            while b'data: {' not in got:
                got += sock.recv(4096)
        first = re.search(rb'id: (\d+-0)', got).group(1).decode()
        open(os.path.join(self.scratch, 'go'), 'w').close()
        resumed = self.send('GET', headers={**session, 'Last-Event-ID': first})
        told = [message for _, message in events(resumed)]
        self.assertEqual(told[0]['method'], 'notifications/progress')
        self.assertEqual((told[-1]['id'], told[-1]['result']['structuredContent']['output']), (5, 'done\n'))
        self.assertEqual(self.send('GET', headers={**session, 'Last-Event-ID': '99-1'}).status, 404)


class Limits(HttpTest):
    def test_what_is_too_large_is_refused(self):
        sock = socket.create_connection(('127.0.0.1', self.port))
        self.addCleanup(sock.close)
        sock.sendall(b'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n')
        self.assertIn(b' 413 ', sock.recv(4096))
        self.assertEqual(self.send(headers={**JSON, 'X': 'x' * 40_000}, body={}).status, 431)

    def test_slow_and_silent_clients_do_not_hold_it(self):
        # Each holds a connection, and says nothing or half a request: the others are served.
        slow = [socket.create_connection(('127.0.0.1', self.port)) for _ in range(60)]
        for number, sock in enumerate(slow):
            self.addCleanup(sock.close)
            if number % 2:
                sock.sendall(b'POST /mcp HTTP/1.1\r\nHost: loc')
        self.assertEqual(self.modern('server/discover').status, 200)

    def test_too_many_connections_are_told_so(self):
        # Each has had a request admitted, so none of them is a stranger.
        body = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'server/discover', 'params': {'_meta': modern_meta()}})
        many = [http.client.HTTPConnection('127.0.0.1', self.port, timeout=60) for _ in range(128)]
        for connection in many:
            self.addCleanup(connection.close)
            connection.request('POST', '/mcp', body, {**JSON, 'MCP-Protocol-Version': '2026-07-28', 'Mcp-Method': 'server/discover'})
            self.assertEqual(connection.getresponse().read()[:1], b'{')
        eventually(lambda: self.send('GET', path='/').status == 503, 'a refusal')
        for sock in many:
            sock.close()
        eventually(lambda: self.modern('server/discover').status == 200, 'there is room again')

    def test_silent_strangers_keep_nobody_out(self):
        strangers = []
        for number in range(400):
            sock = socket.create_connection(('127.0.0.1', self.port))
            self.addCleanup(sock.close)
            if number % 2:
                sock.sendall(b'P')
            strangers.append(sock)
        for _ in range(5):
            self.assertEqual(self.modern('server/discover').status, 200)
        # Of those that showed nothing only a few are left.
        self.assertLess(len(os.listdir(f'/proc/{self.server.pid}/task')), 40)

    def test_a_header_must_come_within_five_seconds(self):
        sock = socket.create_connection(('127.0.0.1', self.port))
        self.addCleanup(sock.close)
        sock.sendall(b'POST /mcp HTTP/1.1\r\nHost: loc')
        sock.settimeout(15)
        self.assertIn(b' 408 ', sock.recv(4096))

    def test_a_key_given_twice_is_refused(self):
        for body in (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}',
                     b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"Bash","arguments":{"command":"true","comm\\u0061nd":"id"}}}'):
            refused = self.send(body=body)
            self.assertEqual(refused.status, 400)
            fault = answer(refused)
            self.assertEqual(fault['id'], 1)
            self.assertIn('given twice', fault['error']['message'])

    def test_nonsense_is_400_and_many_clients_are_served_at_once(self):
        with socket.create_connection(('127.0.0.1', self.port)) as sock:
            sock.sendall(b'\x16\x03\x01 nonsense\r\n\r\n')
            self.assertIn(b' 400 ', sock.recv(4096))
        done = []

        def client():
            connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
            for number in range(50):
                connection.request('POST', '/mcp', json.dumps({'jsonrpc': '2.0', 'id': number, 'method': 'tools/list', 'params': {'_meta': modern_meta()}}),
                                   {**JSON, 'MCP-Protocol-Version': '2026-07-28', 'Mcp-Method': 'tools/list'})
                if answer(connection.getresponse())['id'] == number:
                    done.append(number)
            connection.close()

        threads = [threading.Thread(target=client) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(done), 400)


if __name__ == '__main__':
    unittest.main()
