"""A client of `perdure mcp` over its pipes, in either era of the protocol."""
import json
import os
import queue
import subprocess
import threading

from session import PERDURE

P = 'io.modelcontextprotocol/'
TASKS = P + 'tasks'


def modern_meta(tasks=True, name='test-client', **more):
    capabilities = {'extensions': {TASKS: {}}} if tasks else {}
    return {P + 'protocolVersion': '2026-07-28', P + 'clientCapabilities': capabilities,
            P + 'clientInfo': {'name': name, 'version': '1'}, **more}


class McpClient:
    """Messages that do not answer a request of this client are collected in `notes`."""

    def __init__(self, session, *options, env=None, cwd=None):
        self.process = subprocess.Popen([PERDURE, '--session', session, 'mcp', *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(env or {})}, cwd=cwd)
        self.last = 0
        self.answers = {}
        self.notes = queue.Queue()
        self.asked = queue.Queue()  # requests of the server
        self.changed = threading.Condition()
        self.ended = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            with self.changed:
                if 'method' in message:
                    (self.asked if 'id' in message else self.notes).put(message)
                else:
                    self.answers.setdefault(json.dumps(message.get('id')), []).append(message)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def send_bytes(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message):
        self.send_bytes(json.dumps(message).encode() + b'\n')

    def notify(self, method, params=None):
        self.send({'jsonrpc': '2.0', 'method': method, 'params': params or {}})

    def begin(self, method, params=None):
        self.last += 1
        self.send({'jsonrpc': '2.0', 'id': self.last, 'method': method, 'params': params or {}})
        return self.last

    def answer(self, request_id, seconds=60):
        key = json.dumps(request_id)
        with self.changed:
            if not self.changed.wait_for(lambda: self.answers.get(key) or self.ended, seconds) or not self.answers.get(key):
                raise AssertionError(f'no answer to {request_id} (server ended: {self.ended})')
            return self.answers[key].pop(0)

    def ask(self, method, params=None, seconds=60):
        return self.answer(self.begin(method, params), seconds)

    def result(self, method, params=None):
        got = self.ask(method, params)
        if 'result' not in got:
            raise AssertionError(f'{method}: {got}')
        return got['result']

    def error(self, method, params=None):
        got = self.ask(method, params)
        if 'error' not in got:
            raise AssertionError(f'{method} was expected to fail: {got}')
        return got['error']

    def initialize(self, version='2025-11-25', name='test-client', **capabilities):
        result = self.result('initialize', {'protocolVersion': version, 'capabilities': capabilities,
                                            'clientInfo': {'name': name, 'version': '1'}})
        self.notify('notifications/initialized')
        return result

    def call(self, tool, _meta=None, **arguments):
        """tools/call; without _meta, in the conversation that initialize began."""
        return self.result('tools/call', {'name': tool, 'arguments': arguments, **({'_meta': _meta} if _meta else {})})

    def modern(self, method, _tasks=True, **params):
        return self.result(method, {**params, '_meta': modern_meta(_tasks)})

    def note(self, method, seconds=30):
        """The next notification of that method; others before it are dropped."""
        while True:
            message = self.notes.get(timeout=seconds)
            if message['method'] == method:
                return message['params']

    def end(self):
        """Ends the input; the exit status."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        status = self.process.wait(timeout=30)
        self.reader.join(timeout=30)
        self.process.stdout.close()
        self.process.stderr.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join(timeout=30)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except OSError:
                pass
