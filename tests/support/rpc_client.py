"""A bare JSON-RPC client for tests: nothing in it is clever, so that it shows what the server really sends."""
import json
import os
import queue
import socket
import subprocess
import threading

from session import PERDURE


class Failed(Exception):
    def __init__(self, error):
        super().__init__(error['message'])
        self.error = error
        self.code = error['code']
        self.data = error.get('data') or {}


class Rpc:
    """One connection: over the pipes of a program of its own, or over a socket."""

    def __init__(self, session=None, initialize=True, owner=None, path=None, env=None):
        self.answers, self.told, self.last_id, self.lock = {}, queue.Queue(), 0, threading.Lock()
        self.process = self.socket = None
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(path)
            self.writer, self.reader = self.socket.makefile('wb'), self.socket.makefile('rb')
        else:
            self.process = subprocess.Popen([PERDURE, 'rpc'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            env={**os.environ, **({'PERDURE_SESSION': session} if session else {}), **(env or {})})
            self.writer, self.reader = self.process.stdin, self.process.stdout
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        if initialize:
            self.hello = self.call('initialize', protocol={'min': 1, 'max': 1}, client={'name': 'test'},
                                   **({'session': session} if session else {}), **({'owner': owner} if owner else {}))

    def read(self):
        for line in self.reader:
            message = json.loads(line)
            if 'method' in message:
                self.told.put(message)
            else:
                self.answer_of(message['id']).put(message)
        self.ended.set()
        with self.lock:
            for one in self.answers.values():
                one.put(None)

    def answer_of(self, request):
        with self.lock:
            return self.answers.setdefault(json.dumps(request), queue.Queue())

    def write(self, line):
        self.writer.write(line if isinstance(line, bytes) else line.encode())
        self.writer.flush()

    def send(self, method, **params):
        with self.lock:
            self.last_id += 1
            request = self.last_id
        self.answer_of(request)
        self.write(json.dumps({'jsonrpc': '2.0', 'id': request, 'method': method, 'params': params}) + '\n')
        return request

    def note(self, method, **params):
        self.write(json.dumps({'jsonrpc': '2.0', 'method': method, 'params': params}) + '\n')

    def result(self, request, timeout=60):
        message = self.answer_of(request).get(timeout=timeout)
        if message is None:
            raise ConnectionError('the server has gone')
        if 'error' in message:
            raise Failed(message['error'])
        return message['result']

    def call(self, method, **params):
        return self.result(self.send(method, **params))

    def next(self, timeout=30):
        """(name, params) of the next notification."""
        message = self.told.get(timeout=timeout)
        return message['method'], message['params']

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait(timeout=10)
            self.thread.join(10)
            self.process.stdout.close()
        else:
            self.socket.shutdown(socket.SHUT_RDWR)
            self.thread.join(10)
            for one in (self.reader, self.writer, self.socket):
                one.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is not None:
            self.process.stdin.close()
            self.thread.join(10)
            self.process.stdout.close()
        else:
            self.close()
