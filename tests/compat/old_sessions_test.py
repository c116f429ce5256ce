#!/usr/bin/env python3
"""Every session that real builds of kimi-code wrote, and one that mixes all generations: opened, listed, reconciled by
several processes at once, told of once, and left alone from then on (L19 L21 L22 L38 L39).

PERDURE_BIN=build/dev/bin python3 tests/compat/old_sessions_test.py
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import FIXTURES, PERDURE, SessionTest, eventually  # noqa: E402

UNKNOWN = '"futureKey":[1,{"x":1.50,"\\u00e9":null}]'
CURRENT_NAME = {'task_id': 'taskId', 'description': 'description', 'started_at': 'startedAt', 'stop_reason': 'stopReason',
                'timeout_ms': 'timeoutMs'}
OF_PROCESSES = {'command': 'command', 'pid': 'pid'}
OF_AGENTS = {'agent_id': 'agentId', 'subagent_type': 'subagentType'}


def is_legacy(raw):
    return 'task_id' in raw


def id_of(raw):
    return raw.get('taskId') or raw['task_id']


def status_of(raw):
    """As spec/records.md maps it."""
    if not is_legacy(raw):
        return raw['status']
    if raw['status'] == 'failed' and raw.get('timed_out'):
        return 'timed_out'
    return 'running' if raw['status'] == 'awaiting_approval' else raw['status']


def is_agent(raw):
    return id_of(raw).startswith('agent-')


class OldSessions(SessionTest):
    def setUp(self):
        super().setUp()
        self.telemetry = os.path.join(self.scratch, 'telemetry')

    def add_unknown_keys(self, session):
        """To every record, as a newer build might have written it. The raw records, by path."""
        before = {}
        for where, _, names in os.walk(session):
            for name in names:
                path = os.path.join(where, name)
                if name.endswith('.json') and os.path.basename(where) == 'tasks':
                    with open(path, encoding='utf-8') as f:
                        text = f.read().rstrip()
                    with open(path, 'w', encoding='utf-8') as f:
                        f.write(text[:-1].rstrip() + ',' + UNKNOWN + '}')
                    before[path] = json.loads(text)
        return before

    @staticmethod
    def snapshot(session):
        found = {}
        for where, _, names in os.walk(session):
            for name in names:
                if name == '.index':  # a cache, which any command may write (D48)
                    continue
                path = os.path.join(where, name)
                with open(path, 'rb') as f:
                    found[path] = (f.read(), os.stat(path).st_mtime_ns)
        return found

    def watch(self, session):
        """A process that prints every event from now on."""
        watcher = subprocess.Popen([PERDURE, '--session', session, 'events', '--follow'], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, text=True)

        self.addCleanup(watcher.kill)  # else it would keep the output of this test open

        def watches():
            found = 0
            for fd in os.listdir(f'/proc/{watcher.pid}/fdinfo'):
                with contextlib.suppress(FileNotFoundError):  # closed since
                    with open(f'/proc/{watcher.pid}/fdinfo/{fd}', encoding='utf-8') as f:
                        found += f.read().count('inotify wd')
            return found
        eventually(watches, 'the watcher watches')
        return watcher

    def reconcile_at_once(self, session, processes=4):
        started = [subprocess.Popen([PERDURE, '--session', session, '--json', 'reconcile'], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                    env={**os.environ, 'PERDURE_TELEMETRY_FILE': self.telemetry})
                   for _ in range(processes)]
        verdicts = []
        for process in started:
            out, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, err)
            verdicts += json.loads(out)
        return verdicts

    def terminated_until(self, watcher, sentinel):
        """Ids of the tasks whose end the watcher printed, up to that of the sentinel."""
        ids = []
        for line in watcher.stdout:
            event = json.loads(line)
            if event['type'] != 'task.terminated':
                continue
            if event['info']['taskId'] == sentinel:
                break
            ids.append(event['info']['taskId'])
        watcher.terminate()
        watcher.communicate(timeout=30)
        return ids

    def expect_kept(self, path, raw):
        """A record that was settled: current, everything else as it was."""
        with open(path, encoding='utf-8') as f:
            text = f.read()
        record = json.loads(text)
        self.assertIn(UNKNOWN, text, path)
        self.assertEqual((record['taskId'], record['status']), (id_of(raw), 'lost'))
        self.assertEqual(record['lostEvidence'], 'rebooted', 'these machines were started since, and nothing else is proven')
        self.assertGreaterEqual(record['endedAt'], record['startedAt'])
        if not is_agent(raw):
            self.assertIsNone(record['exitCode'], 'unknown is null, never 0')
        names = {}
        if is_legacy(raw):
            names = {**CURRENT_NAME, **(OF_AGENTS if is_agent(raw) else OF_PROCESSES)}
        rewritten = {'status', 'ended_at', 'endedAt', 'exitCode'} | (set() if is_agent(raw) else {'exit_code'})
        for key, value in raw.items():
            if key in rewritten or (is_legacy(raw) and key in ('agent_id', 'subagent_type', 'stop_reason') and not value):
                continue
            self.assertEqual(record[names.get(key, key)], value, f'{path}: {key}')

    def settle(self, session):
        """Everything that is promised of one session; how many records it has and how many tasks were lost in it."""
        before = self.add_unknown_keys(session)
        lost = sorted(id_of(r) for r in before.values() if status_of(r) == 'running')
        untouched = self.snapshot(session)

        listed = {t['taskId']: t['status'] for t in self.json('list', '--all', session=session)}
        self.assertEqual(listed, {id_of(r): 'lost' if id_of(r) in lost else status_of(r) for r in before.values()})
        self.assertEqual(self.json('notifications', session=session), [], 'opening an old session floods nobody')
        self.assertEqual(self.snapshot(session), untouched, 'looking writes nothing')

        watcher = self.watch(session)
        waiter = subprocess.Popen([PERDURE, '--session', session, 'notifications', '--wait', '--timeout', '600' if lost else '0'],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        verdicts = self.reconcile_at_once(session)
        self.assertEqual(sorted(v['taskId'] for v in verdicts if v['changed']), lost, 'each by one of them')
        for path, raw in before.items():
            if id_of(raw) in lost:
                self.expect_kept(path, raw)
            else:
                self.assertEqual(self.snapshot(session)[path], untouched[path], 'an ended record is not rewritten')
        self.assertEqual(waiter.wait(timeout=90), 0 if lost else 75, 'whoever waits for news hears of it')
        waiter.stdout.close()
        sentinel = self.run_task('--', 'true', session=session)
        self.assertEqual(sorted(self.terminated_until(watcher, sentinel)), lost, 'one event each')
        self.assertEqual(sorted(self.told_by_telemetry()), lost, 'one line of telemetry each')

        self.perdure('wait', sentinel, session=session, check=0)
        self.perdure('notifications', 'ack', sentinel, session=session, check=0)
        news = self.json('notifications', '--ack', session=session)
        self.assertEqual(len(news), 1 if lost else 0, 'one summary, not a flood')
        self.assertEqual(sorted(t for n in news for t in n['tasks']), lost)
        self.assertEqual(self.json('notifications', session=session), [])

        settled = self.snapshot(session)
        self.assertEqual(self.json('reconcile', session=session), [])
        self.assertEqual(self.snapshot(session), settled, 'a second reconcile changes nothing')
        return len(before), len(lost)

    def told_by_telemetry(self):
        if not os.path.exists(self.telemetry):
            return []
        with open(self.telemetry, encoding='utf-8') as f:
            events = [json.loads(line) for line in f]
        os.unlink(self.telemetry)
        self.assertEqual({e['status'] for e in events} - {'lost'}, set())
        return [e['task_id'] for e in events]

    def test_L22_L38_L39_every_session_is_settled_once_and_left_alone(self):
        sessions = records = lost = 0
        for version in sorted(os.listdir(FIXTURES)):
            for scenario in sorted(os.listdir(os.path.join(FIXTURES, version))):
                with self.subTest(session=f'{version}/{scenario}'):
                    copy = os.path.join(self.session, version + '-' + scenario)
                    shutil.copytree(os.path.join(FIXTURES, version, scenario), copy)
                    of_this, lost_of_this = self.settle(copy)
                    sessions += 1
                    records += of_this
                    lost += lost_of_this
        self.assertGreaterEqual(sessions, 14)
        self.assertGreater(lost, 5)
        print(f'{sessions} sessions, {records} records, {lost} tasks called lost, each told of once')

    def put_oldest(self, session, task, status):
        folder = os.path.join(session, 'tasks', task)
        os.makedirs(folder)
        with open(os.path.join(folder, 'spec.json'), 'w', encoding='utf-8') as f:
            json.dump({'version': 1, 'id': task, 'kind': 'bash', 'session_id': 's', 'description': 'oldest', 'tool_call_id': 't',
                       'owner_role': 'root', 'created_at': 1.7e9 + 0.5, 'command': 'sleep 1', 'theirs': {'a': 1.5}}, f)
        with open(os.path.join(folder, 'runtime.json'), 'w', encoding='utf-8') as f:
            json.dump({'status': status, 'child_pid': 999999, 'started_at': 1.7e9 + 1.25, 'updated_at': 1.7e9 + 2,
                       'finished_at': None if status == 'running' else 1.7e9 + 2, 'exit_code': None if status == 'running' else 0,
                       'interrupted': False, 'timed_out': False}, f)
        with open(os.path.join(folder, 'output.log'), 'w', encoding='utf-8') as f:
            f.write('of the oldest shape\n')

    def test_L21_L22_a_session_of_all_generations_in_all_places(self):
        session = self.session
        shutil.copytree(os.path.join(FIXTURES, '2.1.0', 'kill'), session)
        # The legacy records beside it, in the session's own folder and in one of an agent.
        old = os.path.join(FIXTURES, '0.7.0', 'kill', 'agents', 'main', 'tasks')
        shutil.copytree(old, os.path.join(session, 'tasks'))
        shutil.copytree(os.path.join(FIXTURES, '0.10.0', 'x-from-0.7.0-kill', 'agents', 'main', 'tasks'),
                        os.path.join(session, 'agents', 'other', 'tasks'), dirs_exist_ok=True)
        before = self.add_unknown_keys(session)
        self.put_oldest(session, 'bash-01d51111', 'running')
        self.put_oldest(session, 'bash-01d52222', 'completed')
        self.put_oldest(session, 'b0123456', 'running')
        # The same id in two folders: the agent's own counts, and the other is not touched.
        winners = {}
        for path, raw in sorted(before.items(), key=lambda item: (item[0].startswith(os.path.join(session, 'tasks')), item[0])):
            winners.setdefault(id_of(raw), (path, raw))
        oldest = {'bash-01d51111': 'lost', 'bash-01d52222': 'completed', 'b0123456': 'lost'}
        expected = {task: 'lost' if status_of(raw) == 'running' else status_of(raw) for task, (_, raw) in winners.items()}
        self.assertEqual({t['taskId']: t['status'] for t in self.json('list', '--all')}, {**expected, **oldest})
        self.assertEqual(self.perdure('output', 'bash-01d52222', check=0).stdout, 'of the oldest shape\n')

        lost = sorted([t for t, (_, raw) in winners.items() if status_of(raw) == 'running'] + ['bash-01d51111'])
        verdicts = self.reconcile_at_once(session)
        self.assertEqual(sorted(v['taskId'] for v in verdicts if v['changed']), lost)
        self.assertEqual(sorted(self.told_by_telemetry()), lost)
        for path, raw in before.items():
            if winners[id_of(raw)][0] != path or status_of(raw) != 'running':
                with open(path, encoding='utf-8') as f:
                    self.assertEqual({k: v for k, v in json.load(f).items() if k != 'futureKey'}, raw)
            else:
                self.expect_kept(path, raw)
        self.assertEqual(self.record('bash-01d51111')['lostEvidence'], 'rebooted')
        self.assertEqual(self.perdure('output', 'bash-01d51111', check=0).stdout, 'of the oldest shape\n')
        with open(os.path.join(self.tasks, 'bash-01d51111', 'spec.json'), encoding='utf-8') as f:
            self.assertEqual(json.load(f)['theirs'], {'a': 1.5})
        self.assertFalse(os.path.exists(self.path('b0123456')), 'no record of the current shape can have that id')

        news = self.json('notifications', '--ack')
        self.assertEqual(len(news), 1)
        self.assertEqual(sorted(news[0]['tasks']), lost)
        settled = self.snapshot(session)
        self.assertEqual([v for v in self.json('reconcile') if v['changed']], [])
        self.assertEqual(self.snapshot(session), settled)
        # And it is a session like any other.
        task = self.run_task('--', 'true')
        self.perdure('wait', task, check=0)
        self.assertEqual(self.record(task)['status'], 'completed')


if __name__ == '__main__':
    unittest.main()
