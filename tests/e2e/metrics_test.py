#!/usr/bin/env python3
"""perdure metrics, and /metrics of perdure web: Prometheus text; counters that gc does not lower (V80)."""
import json
import os
import re
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from web_test import WebTest  # noqa: E402


def parsed(text):
    """{name{labels}: value}, and that each line is one of the format's."""
    values = {}
    for line in text.splitlines():
        if line.startswith('#'):
            assert re.fullmatch(r'# (HELP|TYPE) perdure_\w+ .+|# EOF', line), line
            continue
        match = re.fullmatch(r'(perdure_\w+\{(?:\w+="[^"\\]*",?)*\}) (\d+(?:\.\d+)?)', line)
        assert match, line
        assert match[1] not in values, f'{match[1]} twice'
        values[match[1]] = float(match[2])
    return values


class Metrics(WebTest):
    def metrics(self, *args):
        return parsed(self.perdure('metrics', *args, check=0).stdout)

    def age_file(self):
        """As if a minute had passed since the file was written, and all its events were settled."""
        path = os.path.join(self.session, 'metrics')
        with open(path, encoding='utf-8') as f:
            kept = json.load(f)
        kept['writtenAt'] -= 61_000
        with open(path, 'w', encoding='utf-8') as f:
            json.dump(kept, f)

    def test_what_was_done_is_counted(self):
        """V80"""
        for line, option in (('echo 123', ()), ('exit 3', ()), ('sleep 60', ('--timeout', '1'))):
            self.finished(self.sh(line, *option))
        running = self.sh('exec sleep 300')
        question = self.perdure('ask', '--choice', 'a', '--choice', 'b', 'Which?', check=0).stdout.strip()
        values = self.metrics()
        sid = next(iter(values)).split('session="')[1].split('"')[0]
        expected = {
            'perdure_tasks{kind="process",status="running"': 1, 'perdure_tasks{kind="question",status="running"': 1,
            'perdure_tasks_started_total{kind="process"': 4, 'perdure_tasks_started_total{kind="question"': 1,
            'perdure_tasks_ended_total{kind="process",status="completed"': 1, 'perdure_tasks_ended_total{kind="process",status="failed"': 1,
            'perdure_tasks_ended_total{kind="process",status="timed_out"': 1, 'perdure_output_bytes_total{': 4,
            'perdure_task_duration_seconds_bucket{le="+Inf"': 3, 'perdure_task_duration_seconds_count{': 3, 'perdure_questions_open{': 1, 'perdure_notifications_pending{': 3}
        for key, value in expected.items():
            self.assertEqual(values[f'{key}{"" if key.endswith("{") else ","}session="{sid}"}}'], value, key)
        self.assertGreaterEqual(values[f'perdure_task_duration_seconds_sum{{session="{sid}"}}'], 1)
        self.assertGreater(values[f'perdure_session_bytes{{session="{sid}"}}'], 1000)
        self.assertEqual([v for k, v in values.items() if k.startswith('perdure_build_info{version=')], [1])
        text = self.perdure('metrics', check=0).stdout
        for secret in (running, question, self.session, 'echo 123'):
            self.assertNotIn(secret, text, 'no label holds an id, a command or a path')
        buckets = [int(n) if n != '+Inf' else 10**9 for n in re.findall(r'duration_seconds_bucket\{le="([^"]+)"', text)]
        self.assertEqual(buckets, [1, 5, 30, 60, 300, 1800, 7200, 10**9])
        self.perdure('stop', running)
        self.perdure('answer', question, 'a')

    def test_gc_lowers_no_counter(self):
        """V80"""
        for _ in range(3):
            self.finished(self.sh('echo x'))
        first = self.metrics()
        path = os.path.join(self.session, 'metrics')
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        written = os.stat(path).st_mtime_ns
        self.metrics()
        self.assertEqual(os.stat(path).st_mtime_ns, written, 'at most once a minute')
        time.sleep(11)  # until what happened counts as settled
        self.age_file()
        self.metrics()
        self.assertNotEqual(os.stat(path).st_mtime_ns, written)
        self.perdure('gc', '--keep', '0', '--undelivered', check=0)
        self.assertEqual(self.json('list', '--all'), [])
        ended = next(k for k in first if k.startswith('perdure_tasks_ended_total'))
        self.assertEqual((first[ended], self.metrics()[ended]), (3, 3))
        self.finished(self.sh('echo x'))
        self.assertEqual(self.metrics()[ended], 4)
        # Its loss is harmless, and so is nonsense in it.
        with open(path, 'w', encoding='utf-8') as f:
            f.write('{"version":1,"seq":"x"')
        self.assertEqual(self.metrics()[ended], 1)

    def test_over_http(self):
        """V80"""
        self.serve()
        self.finished(self.sh('exit 3'))
        self.assertEqual(self.ask('GET', '/metrics', token=None).status, 401)
        told = self.ask('GET', '/metrics')
        self.assertEqual((told.status, told.headers['Content-Type']), (200, 'text/plain; version=0.0.4; charset=utf-8'))
        values = parsed(told.body.decode())
        self.assertEqual(values[f'perdure_tasks_ended_total{{kind="process",status="failed",session="{self.sid}"}}'], 1)
        told = self.ask('GET', '/metrics', Accept='application/openmetrics-text; version=1.0.0')
        self.assertTrue(told.headers['Content-Type'].startswith('application/openmetrics-text'))
        self.assertTrue(told.body.decode().endswith('# EOF\n'))
        self.assertIn(b'# TYPE perdure_tasks_ended counter\n', told.body)
        self.serve('--metrics-open')
        self.assertEqual(self.ask('GET', '/metrics', token=None).status, 200)
        self.assertEqual(self.get('/tasks', token=None).status, 401)
        self.assertEqual(self.ask('GET', '/metrics', token=None, Host='evil.example').status, 403)


del WebTest

if __name__ == '__main__':
    unittest.main()
