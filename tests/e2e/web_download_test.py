#!/usr/bin/env python3
"""perdure web: a whole log as a file, searches that stream their hits (V22, V45), and QR codes of links (V43)."""
import http.client
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import qr_reader  # noqa: E402
from session import PERDURE  # noqa: E402
from web_test import WebTest  # noqa: E402


class Download(WebTest):
    def ticket(self, task, **kw):
        answer = self.post(f'/tasks/{task}/download', **kw)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json['url']

    def save(self, url, **kw):
        return self.ask('GET', url, token=None, **kw)

    def test_a_url_saves_the_whole_log_once_and_without_a_token(self):
        self.serve('--read-only')
        task = self.sh('printf "<script>alert(1)</script>\\033[31m\\n"; seq 200000')
        self.finished(task)
        url = self.ticket(task)
        self.assertTrue(url.startswith(f'{self.base}/tasks/{task}/download?ticket='), url)
        saved = self.save(url)
        self.assertEqual(saved.status, 200)
        with open(os.path.join(self.tasks, task, 'output.log'), 'rb') as log:
            self.assertEqual(saved.body, log.read())
        self.assertEqual((saved.headers['Content-Type'], saved.headers['X-Content-Type-Options'], saved.headers['Content-Disposition'], saved.headers['Cache-Control'],
                          saved.headers['Transfer-Encoding']),
                         ('application/octet-stream', 'nosniff', f'attachment; filename="{task}.log"', 'no-store', 'chunked'))
        self.assertIn('sandbox', saved.headers['Content-Security-Policy'])
        again = self.save(url)
        self.assertEqual((again.status, again.json['code']), (401, 'unauthorized'))
        # A program has its token and needs no ticket.
        self.assertEqual(self.get(f'/tasks/{task}/download').body, saved.body)

    def test_a_ticket_is_for_one_log_and_for_nothing_else(self):
        """V41"""
        self.serve()
        one, other = self.sh('echo one'), self.sh('echo other')
        self.finished(one), self.finished(other)
        ticket = self.ticket(one).rpartition('=')[2]
        for path in (f'/tasks/{other}/download', f'/tasks/{one}/log', f'/tasks/{one}', '/tasks', f'/tasks/{one}/lines'):
            self.assertEqual(self.save(f'{self.base}{path}?ticket={ticket}').status, 401, path)
        expiry, nonce, mac = ticket.split('.')
        for wrong in ('', 'x', '..', f'{int(expiry) + 1}.{nonce}.{mac}', f'{expiry}.{nonce}.{"0" * len(mac)}', f'{expiry}.{nonce[:-1]}.{mac}', ticket + 'a'):
            self.assertEqual(self.save(f'{self.base}/tasks/{one}/download?ticket={wrong}').status, 401, wrong)
        self.assertEqual(self.ask('GET', f'{self.base}/tasks/{one}/log', token=ticket).status, 401, 'a ticket is no token')
        self.assertEqual(self.save(f'{self.base}/tasks/{one}/download?ticket={ticket}', Host='evil.example').status, 403)
        self.assertEqual(self.save(f'{self.base}/tasks/{one}/download?ticket={ticket}', Sec_Fetch_Site='cross-site').status, 403)
        self.assertEqual(self.post(f'/tasks/{one}/download', token=None).status, 401)
        self.assertEqual(self.post(f'/tasks/{one}/download', X_Perdure=None).status, 403)
        self.assertEqual(self.post('/tasks/bash-00000000/download').status, 404)
        self.assertEqual(self.post('/tasks/..%2fx/download').status, 400)
        self.assertEqual(self.save(f'{self.base}/tasks/{one}/download?ticket={ticket}').body, b'one\n', 'what was refused spent nothing')

    def test_a_ticket_is_too_old_after_30_seconds(self):
        self.serve()
        task = self.sh('echo one')
        self.finished(task)
        expiry = int(self.ticket(task).rpartition('=')[2].split('.')[0])
        self.assertTrue(25_000 < expiry - time.time() * 1000 <= 30_000, expiry)

    def test_two_who_spend_the_same_ticket_at_once(self):
        self.serve()
        task = self.sh('echo one')
        self.finished(task)
        for _ in range(5):
            url, statuses = self.ticket(task), []
            threads = [threading.Thread(target=lambda u=url, s=statuses: s.append(self.save(u).status)) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(statuses), [200] + [401] * 5)

    def test_a_gap_has_its_marker_and_a_log_that_grows_an_end(self):
        self.serve()
        ended = self.sh('head -c 1000000 /dev/zero | tr "\\0" a; echo end', '--output-limit', '100KiB')
        self.finished(ended)
        saved = self.save(self.ticket(ended)).body
        dropped = self.record(ended)['droppedBytes']
        self.assertIn(f'\n[perdure: {dropped} bytes dropped here]\n'.encode(), saved)
        self.assertTrue(saved.startswith(b'aaa') and saved.endswith(b'a' * 100 + b'end\n'))
        running = self.sh('while :; do echo line; done')
        saved = self.save(self.ticket(running)).body
        self.assertEqual(saved.strip(b'line\n'), b'')
        self.perdure('stop', running, check=0)

    def test_little_of_a_large_log_is_in_memory(self):
        self.serve()
        task = self.sh('head -c 300000000 /dev/zero', '--output-limit', '0')
        self.finished(task)
        url = self.ticket(task)
        before = self.rss()
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        connection.request('GET', url)
        response, size = connection.getresponse(), 0
        while piece := response.read(1 << 20):
            size += len(piece)
        connection.close()
        self.assertEqual(size, 300_000_000)
        self.assertLess(self.rss() - before, 4 << 20)

    def rss(self):
        with open(f'/proc/{self.server.pid}/status', encoding='utf-8') as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith('VmHWM'))


class Search(WebTest):
    def stream(self, path):
        """(content type, [(event, data)])"""
        answer = self.get(path, Accept='text/event-stream')
        events = [re.fullmatch('event: (.*)\ndata: (.*)', text) for text in answer.body.decode().split('\n\n') if text]
        return answer, [(event.group(1), json.loads(event.group(2))) for event in events] if answer.status == 200 else []

    def test_V22_hits_come_as_events_and_a_true_total_at_the_end(self):
        self.serve()
        task = self.sh('seq 3000')
        self.finished(task)
        answer, events = self.stream(f'/tasks/{task}/search?pattern=99&limit=5')
        self.assertEqual(answer.headers['Content-Type'], 'text/event-stream')
        self.assertEqual([name for name, _ in events], ['hit'] * 5 + ['end'])
        self.assertEqual(events[0][1], {'id': task, 'offset': 285, 'length': 2, 'text': '99', **({'line': 99} if 'line' in events[0][1] else {})})
        whole = self.get(f'/tasks/{task}/search?pattern=99&limit=5').json
        self.assertEqual((events[-1][1], [hit for _, hit in events[:-1]]), ({'total': whole['total'], 'tasks': 1}, whole['hits']))
        self.assertEqual(whole['total'], 57)  # in 999, the second 99 overlaps the first
        other = self.sh('echo 99')
        self.finished(other)
        _, events = self.stream('/search?pattern=^99$&mode=regex')
        self.assertEqual([(name, data.get('id')) for name, data in events], [('hit', other), ('hit', task), ('end', None)])
        _, none = self.stream('/search?pattern=nowhere')
        self.assertEqual(none, [('end', {'total': 0, 'tasks': 0})])

    def test_what_makes_no_sense_is_a_problem_and_no_stream(self):
        self.serve()
        task = self.sh('echo x')
        self.finished(task)
        for path, status in (('/search?pattern=(&mode=regex', 400), ('/search', 400), ('/search?pattern=x&limit=x', 400), ('/tasks/bash-00000000/search?pattern=x', 404)):
            answer, _ = self.stream(path)
            self.assertEqual((answer.status, answer.headers['Content-Type']), (status, 'application/problem+json'), path)
        self.assertEqual(self.get(f'/tasks/{task}/search?pattern=x', token=None, Accept='text/event-stream').status, 401)

    def test_hits_are_one_line_each_whatever_the_log_holds(self):
        self.serve()
        task = self.sh('printf "x\\r\\nevent: end\\rdata: {}\\n\\ndata: x\\n\\000x\\377\\n"')
        self.finished(task)
        _, events = self.stream(f'/tasks/{task}/search?pattern=x')
        self.assertEqual([name for name, _ in events], ['hit', 'hit', 'hit', 'end'])

    def test_V22_progress_is_told_and_V45_no_more_than_8_searches_run_at_once(self):
        self.serve()
        task = self.sh('yes $(printf %079d 0) | head -c 700000000', '--output-limit', '0')
        self.finished(task)
        path = f'{self.base}/tasks/{task}/search?pattern=z.*y.*x&mode=regex'
        connections = []
        for _ in range(8):
            connections.append(http.client.HTTPConnection('127.0.0.1', self.port, timeout=120))
            connections[-1].request('GET', path, headers={'Authorization': 'Bearer ' + self.token, 'Accept': 'text/event-stream'})
        firsts = [connection.getresponse() for connection in connections]  # each has told of 64 MiB at least
        refused = self.ask('GET', path)
        self.assertEqual((refused.status, refused.json['retryable'], refused.headers['Retry-After']), (429, True, '1'))
        self.assertEqual(firsts[0].readline(), b'event: progress\n')
        self.assertEqual(json.loads(firsts[0].readline().removeprefix(b'data: '))['bytes'], 64 << 20)
        # Who goes away is noticed: their places are free again long before eight logs of this size are read.
        for response, connection in zip(firsts, connections):
            response.close()
            connection.close()
        until = time.monotonic() + 60
        while self.ask('GET', f'{self.base}/tasks/{task}/search?pattern=x&limit=0').status == 429:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)


class Qr(WebTest):
    def web(self, *options, check=0, **kw):
        done = subprocess.run([PERDURE, '--session', self.session, 'web', *options], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **kw)
        self.assertEqual(done.returncode, check, done.stderr)
        return done

    def test_V43_a_qr_code_holds_the_link(self):
        self.serve()
        question = self.perdure('ask', '--choice', 'a', '--choice', 'b', 'Which?', check=0).stdout.strip()
        plain = self.web('--question', question).stdout
        self.assertEqual(plain.count('\n'), 1, 'a program reads the link alone')
        for options in (('--question', question), ('--link',), ('--question', question, '--origin', 'https://box.example')):
            link, *lines = self.web(*options, '--qr').stdout.splitlines()
            self.assertEqual(qr_reader.read(qr_reader.modules_of(lines)), link)
        self.assertTrue(link.startswith('https://box.example/#a='), link)
        self.assertIn('--qr: only with', self.web('--qr', check=2).stderr)
        self.perdure('answer', question, 'a')

    def test_V43_a_person_at_a_terminal_sees_it_dark_on_light(self):
        self.serve()
        question = self.perdure('ask', 'What?', check=0).stdout.strip()
        parent, child = pty.openpty()
        subprocess.run([PERDURE, '--session', self.session, 'web', '--question', question], env=self.env, stdout=child, stdin=child, stderr=child, check=True)
        os.close(child)
        text = b''
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(parent)
        link, *lines = text.decode().replace('\r', '').splitlines()
        self.assertTrue(all(line.startswith('\x1b[97;40m') and line.endswith('\x1b[0m') for line in lines))
        self.assertEqual(qr_reader.read(qr_reader.modules_of([line[8:-4] for line in lines])), link)
        self.perdure('answer', question, 'x')


if __name__ == '__main__':
    unittest.main()
