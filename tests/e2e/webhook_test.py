"""The shipped hook commands: `perdure hook webhook` against a server of the test's own, and `perdure hook notify`."""
import hashlib
import hmac
import http.server
import json
import os
import shlex
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, processes_with  # noqa: E402

SECRET = 'correct horse ☃'


class Server:
    """Answers with each of `statuses` in turn, the last one for ever; keeps what it was sent. None: no answer at all."""

    def __init__(self, *statuses, context=None):
        requests = self.requests = []
        left = list(statuses)
        stuck = self.stuck = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                requests.append((self.path, dict(self.headers), body))
                status = left.pop(0) if len(left) > 1 else left[0]
                if status is None:
                    stuck.wait(60)
                    return
                self.send_response(status)
                self.end_headers()

            def log_message(self, format, *args):  # pylint: disable=redefined-builtin
                pass

        self.http = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.http.daemon_threads = True
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={'poll_interval': 0.02})
        self.thread.start()

    def url(self, path='/', scheme='http', host='127.0.0.1'):
        return f'{scheme}://{host}:{self.port}{path}'

    def close(self):
        self.stuck.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


class HookCommand(SessionTest):
    def setUp(self):
        super().setUp()
        self.servers = []

    def tearDown(self):
        for server in self.servers:
            server.close()
        super().tearDown()

    def server(self, *statuses, **kw):
        self.servers.append(Server(*statuses, **kw))
        return self.servers[-1]

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.scratch, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def hook(self, *args, news='{"event":"x"}\n', env=None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith('PERDURE_WEBHOOK')}
        return subprocess.run([PERDURE, 'hook', *args], input=news, capture_output=True, text=True, timeout=60, check=False,
                              env={**clean, **(env or {})})


def signed(headers, body, secret=SECRET):
    text = headers['X-Perdure-Timestamp'].encode() + b'.' + body
    return 'sha256=' + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


class Webhook(HookCommand):
    def test_what_happened_is_posted_and_signed(self):
        server = self.server(200)
        secret = self.file('secret', SECRET + '\n')
        done = self.hook('webhook', server.url('/a/b?c=d'), '--secret-file', secret, env={'PERDURE_EVENT': 'task.failed'})
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        (path, headers, body), = server.requests
        self.assertEqual((path, body), ('/a/b?c=d', b'{"event":"x"}\n'))
        self.assertEqual((headers['Content-Type'], headers['X-Perdure-Event'], headers['Host']),
                         ('application/json', 'task.failed', f'127.0.0.1:{server.port}'))
        self.assertLess(abs(time.time() - int(headers['X-Perdure-Timestamp'])), 60)
        self.assertEqual(headers['X-Perdure-Signature'], signed(headers, body))
        self.assertNotEqual(headers['X-Perdure-Signature'], signed(headers, body, 'another'))

    def test_the_secret_may_be_in_the_environment_and_without_one_nothing_is_signed(self):
        server = self.server(204)
        self.assertEqual(self.hook('webhook', server.url(), env={'PERDURE_WEBHOOK_SECRET': SECRET}).returncode, 0)
        self.assertEqual(self.hook('webhook', server.url()).returncode, 0)
        (_, first, body), (_, second, _) = server.requests
        self.assertEqual(first['X-Perdure-Signature'], signed(first, body))
        self.assertNotIn('X-Perdure-Signature', second)

    def test_a_secret_that_cannot_be_read_posts_nothing(self):
        server = self.server(200)
        for path in (os.path.join(self.scratch, 'none'), self.file('empty', '\n')):
            done = self.hook('webhook', server.url(), '--secret-file', path)
            self.assertEqual(done.returncode, 1)
            self.assertIn(path, done.stderr)
        self.assertEqual(server.requests, [])

    def test_server_errors_are_tried_again_with_a_new_signature(self):
        server = self.server(500, 503, 200)
        done = self.hook('webhook', server.url(), env={'PERDURE_WEBHOOK_SECRET': SECRET})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(server.requests), 3)
        for _, headers, body in server.requests:
            self.assertEqual(body, server.requests[0][2])
            self.assertEqual(headers['X-Perdure-Signature'], signed(headers, body))
        self.assertEqual(done.stderr.count('tried again in'), 2)

    def test_it_gives_up_after_so_many_retries(self):
        server = self.server(500)
        done = self.hook('webhook', server.url(), '--retries', '1')
        self.assertEqual((done.returncode, len(server.requests)), (1, 2))
        self.assertIn('answered 500 (given up after 2 attempts)', done.stderr)

    def test_a_refusal_is_not_tried_again(self):
        for status in (301, 400, 401, 404, 410):
            server = self.server(status)
            done = self.hook('webhook', server.url())
            self.assertEqual((done.returncode, len(server.requests)), (1, 1), status)
            self.assertIn(f'answered {status}', done.stderr)

    def test_nobody_there_is_a_failure_in_words(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            done = self.hook('webhook', f'http://127.0.0.1:{s.getsockname()[1]}/', '--retries', '0')
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r'^perdure: webhook: connecting to 127\.0\.0\.1:\d+: Connection refused\n$')

    def test_a_server_that_never_answers_is_given_up(self):
        server = self.server(None)
        done = self.hook('webhook', server.url(), '--retries', '0', '--timeout', '200ms')
        self.assertEqual(done.returncode, 1)
        self.assertIn('no answer in time', done.stderr)

    def test_a_url_that_is_none_is_refused(self):
        for url in ('', 'ftp://x/', 'http://', 'http://:80/', 'http://a:0/', 'http://a:70000/', 'http://a:b/', 'http://u:p@a/',
                    'http://a b/', 'http://[::1/', 'http://a/\nX: y', 'HTTP//a', 'http://a%2f/'):
            done = self.hook('webhook', url)
            self.assertEqual(done.returncode, 1, url)
            self.assertIn('the URL ', done.stderr, url)
        self.assertEqual(self.hook('webhook').returncode, 2)
        self.assertEqual(self.hook('webhook', 'http://a/', 'http://b/').returncode, 2)
        self.assertEqual(self.hook('webhook', 'http://a/', '--retries', '-1').returncode, 2)

    def test_L34_as_the_hook_of_a_task_it_is_retried_and_changes_nothing(self):
        server = self.server(500, 200)
        secret = self.file('secret', SECRET)
        line = shlex.join([PERDURE, 'hook', 'webhook', server.url('/ended'), '--secret-file', secret])
        task = self.sh('exit 4', '--on-end', line)
        self.assertEqual(self.perdure('wait', task).returncode, 4)
        eventually(lambda: len(server.requests) == 2, 'it was posted twice')
        path, headers, body = server.requests[1]
        self.assertEqual((path, headers['X-Perdure-Event']), ('/ended', 'task.failed'))
        self.assertEqual(headers['X-Perdure-Signature'], signed(headers, body))
        news = json.loads(body)
        self.assertEqual((news['event'], news['task']), ('task.failed', self.record(task)))
        eventually(lambda: not processes_with('PERDURE_EVENT_TASK=' + task), 'the hook has ended')

    def test_L34_unreachable_is_harmless_and_noted(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            line = shlex.join([PERDURE, 'hook', 'webhook', f'http://127.0.0.1:{s.getsockname()[1]}/', '--retries', '0'])
            task = self.sh('true', '--on-end', line)
            self.perdure('wait', task, check=0)
            log = os.path.join(self.tasks, task, 'hooks.log')

            def noted():
                if not os.path.exists(log):
                    return False
                with open(log, encoding='utf-8') as f:
                    text = f.read()
                return 'task.completed: exit 1 after' in text and 'Connection refused' in text
            eventually(noted, 'the failure is noted')
        self.assertEqual(self.record(task)['status'], 'completed')


@unittest.skipUnless(shutil.which('openssl'), 'there is no openssl to make a certificate with')
class Tls(HookCommand):
    def setUp(self):
        super().setUp()
        self.cert, key = os.path.join(self.scratch, 'cert'), os.path.join(self.scratch, 'key')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                        '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', self.cert],
                       check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.cert, key)

    def test_a_certificate_that_is_trusted_is_posted_to(self):
        server = self.server(200, context=self.context)
        done = self.hook('webhook', server.url(scheme='https', host='localhost'), '--retries', '0', env={'SSL_CERT_FILE': self.cert})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(server.requests[0][2], b'{"event":"x"}\n')

    def test_one_that_nobody_vouches_for_or_of_another_name_is_not(self):
        server = self.server(200, context=self.context)
        for host, env in (('localhost', {}), ('127.0.0.1', {'SSL_CERT_FILE': self.cert})):
            done = self.hook('webhook', server.url(scheme='https', host=host), '--retries', '0', env=env)
            self.assertEqual(done.returncode, 1)
            self.assertIn('certificate verify failed', done.stderr)
        self.assertEqual(server.requests, [])


class Notify(HookCommand):
    NEWS = json.dumps({'event': 'task.failed', 'notification': {'title': 'make\u001b[31m: failed', 'body': '<b>&</b> \u2603',
                                                                'severity': 'error'}})

    def with_notify_send(self, line):
        folder = os.path.join(self.scratch, 'bin')
        os.mkdir(folder)
        self.file('bin/notify-send', '#!/bin/sh\n' + line, stat.S_IRWXU)
        return {'PATH': folder + ':' + os.environ['PATH']}

    def test_it_is_shown_without_markup_and_escapes(self):
        out = os.path.join(self.scratch, 'shown')
        done = self.hook('notify', news=self.NEWS, env=self.with_notify_send(f'printf "%s\\n" "$@" > {out}'))
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        with open(out, encoding='utf-8') as f:
            words = f.read().splitlines()
        self.assertEqual(words[:3], ['--app-name=perdure', '--urgency=critical', '--'])
        self.assertNotIn('\x1b', words[3])
        self.assertIn('make', words[3])
        self.assertEqual(words[4], '&lt;b&gt;&amp;&lt;/b&gt; ☃')

    def test_without_a_desktop_it_is_quiet(self):
        folder = os.path.join(self.scratch, 'empty')
        os.mkdir(folder)
        done = self.hook('notify', news=self.NEWS, env={'PATH': folder})
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, '', ''))

    def test_what_is_no_news_is_bad_usage(self):
        for news in ('', '[]', '{"notification":3}', 'x'):
            self.assertEqual(self.hook('notify', news=news).returncode, 2, news)
        self.assertEqual(self.hook('notify', 'more', news=self.NEWS).returncode, 2)
        self.assertEqual(self.hook('nothing').returncode, 2)
        self.assertEqual(self.hook().returncode, 2)


if __name__ == '__main__':
    unittest.main()
