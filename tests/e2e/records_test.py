"""Records of other programs, bad records and hostile ones, end to end."""
import json
import os
import shutil
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import FIXTURES, SessionTest, processes_with  # noqa: E402

GOOD = {
    'process': {'taskId': 'bash-1a2b3c4d', 'description': 'd', 'kind': 'process', 'status': 'running', 'detached': True,
                'startedAt': 1795347630493, 'endedAt': None, 'timeoutMs': 1000, 'command': 'make', 'pid': 11781, 'exitCode': None,
                'stopReason': 'r', 'terminalNotificationSuppressed': True, 'parentToolCallId': 'c', 'resumeReminded': True},
    'agent': {'taskId': 'agent-1a2b3c4d', 'description': 'd', 'kind': 'agent', 'status': 'running', 'startedAt': 1795347630493,
              'endedAt': None, 'agentId': 'agent-0', 'subagentType': 'coder', 'model': 'm', 'thinkingEffort': 'off', 'stopCode': 'x'},
    'question': {'taskId': 'question-1a2b3c4d', 'description': 'd', 'kind': 'question', 'status': 'running', 'startedAt': 1795347630493,
                 'endedAt': None, 'questionCount': 1, 'toolCallId': 't'},
    'legacy process': {'task_id': 'bash-1a2b3c4d', 'command': 'make', 'description': 'd', 'pid': 11781, 'started_at': 1795347630493,
                       'ended_at': None, 'exit_code': None, 'status': 'running', 'stop_reason': 'r', 'timeout_ms': 5, 'timed_out': False,
                       'shell_info': {'name': 'bash'}, 'approval_reason': 'a'},
    'legacy agent': {'task_id': 'agent-1a2b3c4d', 'command': '[agent] d', 'description': 'd', 'pid': 0, 'started_at': 1795347630493,
                     'ended_at': None, 'exit_code': None, 'status': 'running', 'agent_id': 'agent-0', 'subagent_type': 'coder'},
}
OPTIONAL = {'detached', 'timeoutMs', 'stopReason', 'terminalNotificationSuppressed', 'parentToolCallId', 'resumeReminded', 'agentId',
            'subagentType', 'model', 'thinkingEffort', 'stopCode', 'toolCallId', 'stop_reason', 'timeout_ms', 'timed_out', 'shell_info',
            'approval_reason', 'agent_id', 'subagent_type'}
MAY_BE_NULL = {'endedAt', 'ended_at', 'exitCode', 'exit_code'}
VALUES = (None, True, 7, 1.5, 'text', [], {})


def json_type(value):
    return 'bool' if isinstance(value, bool) else type(value).__name__


def broken_versions():
    """(name, the key that is wrong, record) of every way that rule L20 names."""
    for shape, good in GOOD.items():
        for key, value in good.items():
            if key not in OPTIONAL:
                yield f'{shape} without {key}', key, {k: v for k, v in good.items() if k != key}
            for wrong in VALUES:
                if json_type(wrong) == json_type(value) or (key in MAY_BE_NULL and wrong is None):
                    continue
                yield f'{shape}, {key} = {wrong!r}', key, {**good, key: wrong}
        yield f'{shape}, status', 'status', {**good, 'status': 'exploded'}
        id_key = 'taskId' if 'taskId' in good else 'task_id'
        yield f'{shape}, id alone', '', {id_key: good[id_key]}


class BadRecords(SessionTest):
    def setUp(self):
        super().setUp()
        os.makedirs(self.tasks, 0o700)

    def put(self, name, text, folder=None):
        path = os.path.join(folder or self.tasks, name)
        with open(path, 'wb') as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.utime(path, ns=(10**18, 10**18))
        return path

    def test_L20_a_malformed_record_is_never_listed_waited_for_reconciled_or_rewritten(self):
        # All at once, each in the folder of an agent of its own: the same ids come again and again.
        wrong = {}
        for n, (name, key, record) in enumerate(broken_versions()):
            folder = os.path.join(self.session, 'agents', f'a{n}', 'tasks')
            os.makedirs(folder)
            record_id = record.get('taskId') or record.get('task_id')
            stem = record_id if isinstance(record_id, str) and '-' in record_id else 'bash-1a2b3c4d'
            path = self.put(stem + '.json', json.dumps(record), folder)
            wrong[path] = (name, key, os.stat(path).st_mtime_ns, json.dumps(record).encode())
        self.assertGreater(len(wrong), 250)
        good = {'taskId': 'bash-00000000', 'description': 'good', 'kind': 'process', 'status': 'completed', 'startedAt': 1, 'endedAt': 2,
                'command': 'c', 'pid': 1, 'exitCode': 0}
        self.put('bash-00000000.json', json.dumps(good))

        self.assertEqual([r['taskId'] for r in self.json('list', '--all')], ['bash-00000000'])
        self.assertEqual(self.json('reconcile'), [])
        self.assertEqual(self.json('wait'), {'timedOut': False, 'ended': [], 'running': [], 'unverified': []})
        for task in ('bash-1a2b3c4d', 'agent-1a2b3c4d', 'question-1a2b3c4d'):
            for verb in ('show', 'wait', 'stop', 'output', 'remove'):
                error = json.loads(self.perdure('--json', verb, task, check=1).stdout)['error']
                self.assertEqual(error['code'], 'record.invalid', f'{verb} {task}')
        self.perdure('gc', '--keep', '1', check=0)
        doctor = self.perdure('--json', 'doctor', check=1)
        told = {f['what']: f['text'] for f in json.loads(doctor.stdout) if f['level'] == 'problem'}
        for path, (name, key, mtime, text) in wrong.items():
            found = [t for what, t in told.items() if path in what or path in t]
            self.assertTrue(found, f'doctor does not name {path}: {name}')
            self.assertTrue(any(key in t for t in found), f'doctor does not name the key of {name}: {found}')
            self.assertEqual(os.stat(path).st_mtime_ns, mtime, name)
            with open(path, 'rb') as f:
                self.assertEqual(f.read(), text, name)
        print(f'{len(wrong)} malformed records left alone, each named by doctor')

    def test_hostile_files_are_refused_and_a_good_record_beside_them_is_not_affected(self):
        secret = os.path.join(self.scratch, 'secret')
        with open(secret, 'w', encoding='utf-8') as f:
            json.dump(dict(GOOD['process'], taskId='bash-link0000'), f)
        os.symlink(secret, os.path.join(self.tasks, 'bash-link0000.json'))
        os.mkfifo(os.path.join(self.tasks, 'bash-fifo0000.json'))
        with open(os.path.join(self.tasks, 'bash-sparse00.json'), 'wb') as f:
            f.truncate(2 << 30)
        self.put('bash-deep0000.json', b'{"taskId":"bash-deep0000","x":' + b'[' * 100_000)
        self.put('bash-utf80000.json', b'{"taskId":"bash-utf80000","description":"\xff"}')
        self.put('bash-nan00000.json', '{"taskId":"bash-nan00000","startedAt":NaN}')
        self.put('bash-dup00000.json', '{"taskId":"bash-dup00000","taskId":"bash-dup00000"}')
        self.put('bash-empty000.json', '')
        self.put('bash-other000.json', json.dumps(GOOD['process']))
        os.mkdir(os.path.join(self.tasks, 'bash-folder00.json'))
        os.symlink('/etc', os.path.join(self.tasks, 'bash-etc00000'))
        task = self.sh('echo fine')
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertEqual([r['taskId'] for r in self.json('list', '--all')], [task])
        doctor = self.perdure('doctor', check=1).stdout
        for name, reason in (('link', 'symbolic link'), ('fifo', 'FIFO'), ('sparse', 'bytes long'), ('deep', '32 levels'), ('utf8', 'UTF-8'),
                             ('nan', 'not JSON'), ('dup', 'twice'), ('empty', 'not JSON'), ('other', 'taskId')):
            lines = [line for line in doctor.splitlines() if 'bash-' + name in line]
            self.assertTrue(any(reason in line for line in lines), f'{name}: {lines}')

    def test_ids_cannot_leave_the_session(self):
        with open(os.path.join(self.scratch, 'x.json'), 'w', encoding='utf-8') as f:
            json.dump(GOOD['process'], f)
        for bad in ('../../x', '../x', '/etc/passwd', 'a/b', '.', '..', 'bash-1A2B3C4D', 'x' * 100, '\x1b[2J'):
            for verb in ('show', 'output', 'stop', 'wait', 'remove'):
                error = json.loads(self.perdure('--json', verb, '--', bad, check=2).stdout)['error']
                self.assertEqual(error['code'], 'task.id_invalid', bad)
        self.assertEqual(json.loads(self.perdure('--json', 'show', '', check=2).stdout)['error']['code'], 'task.id_empty')

    def test_a_log_that_is_a_link_is_not_read(self):
        task = self.sh('true')
        self.finished(task)
        os.makedirs(os.path.join(self.tasks, task), exist_ok=True)
        os.symlink('/etc/hostname', os.path.join(self.tasks, task, 'output.log'))
        self.assertEqual(self.perdure('output', task).stdout, '')


class LookingUp(SessionTest):
    def test_L47_looking_up_an_unknown_id_creates_nothing(self):
        for verb in ('show', 'output', 'stop', 'wait', 'remove'):
            error = json.loads(self.perdure('--json', verb, 'bash-00000000', check=1).stdout)['error']
            self.assertEqual(error['code'], 'task.not_found')
        self.json('list', '--all')
        self.json('reconcile')
        self.perdure('events', check=0)
        self.perdure('doctor')
        self.assertFalse(os.path.exists(self.session))
        from session import eventually
        task = self.sh('true')
        self.perdure('wait')
        # A runner clears away after its commit, which is what a wait waits for.
        eventually(lambda: os.listdir(os.path.join(self.tasks, task)) == ['start'], 'the runner has cleared away')
        before = sorted(self.task_names())
        for verb in ('show', 'output', 'stop', 'wait', 'remove'):
            self.perdure(verb, 'bash-00000000', check=1)
        self.assertEqual(sorted(self.task_names()), before)


class OtherPrograms(SessionTest):
    """Sessions that real builds of kimi-code wrote; copies, since reconcile may write."""

    def copies(self):
        for version in sorted(os.listdir(FIXTURES)):
            for scenario in sorted(os.listdir(os.path.join(FIXTURES, version))):
                copy = os.path.join(self.scratch, version, scenario)
                shutil.copytree(os.path.join(FIXTURES, version, scenario), copy)
                yield copy

    @staticmethod
    def snapshot(folder):
        found = {}
        for where, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(where, name)
                if not os.path.isfile(path):
                    continue  # the socket of a runner that is about to go
                with open(path, 'rb') as f:
                    found[os.path.relpath(path, folder)] = (f.read(), os.stat(path).st_mtime_ns)
        return found

    def test_L38_reading_and_listing_write_nothing(self):
        sessions = 0
        for session in self.copies():
            before = self.snapshot(session)
            records = [n for n in before if n.endswith('.json')]
            listed = self.json('list', '--all', session=session)
            self.assertEqual(len(listed), len(records), session)
            for task in listed:
                self.perdure('show', task['taskId'], session=session, check=0)
                self.perdure('output', task['taskId'], session=session, check=0)
            self.perdure('events', session=session, check=0)
            self.perdure('doctor', session=session)
            self.perdure('gc', '--keep', '0', session=session, check=0)
            self.assertEqual(self.snapshot(session), before, session)
            sessions += 1
        self.assertGreaterEqual(sessions, 12)

    def test_L38_starting_a_task_beside_them_writes_none_of_theirs(self):
        session = next(s for s in self.copies() if s.endswith('2.1.0/kill'))
        before = self.snapshot(session)
        task = self.run_task('--', 'true', session=session)
        self.perdure('wait', task, session=session, check=0)
        after = self.snapshot(session)
        for name, content in before.items():
            self.assertEqual(after[name], content)
        shutil.rmtree(os.path.join(session, 'tasks'))

    def test_L22_L39_reconcile_settles_every_folder_with_evidence_and_a_second_time_nothing(self):
        settled = 0
        for session in self.copies():
            before = {}
            for name, (text, _) in self.snapshot(session).items():
                if name.endswith('.json'):
                    before[name] = json.loads(text)
            running = {n for n, r in before.items() if r['status'] in ('running', 'awaiting_approval')}
            verdicts = self.json('reconcile', session=session)
            self.assertEqual({v['taskId'] for v in verdicts}, {os.path.basename(n)[:-5] for n in running}, session)
            after = {n: json.loads(t) for n, (t, _) in self.snapshot(session).items() if n.endswith('.json')}
            for name, record in after.items():
                if name not in running:
                    self.assertEqual(record, before[name])
                    continue
                settled += 1
                # These machines have been started since the builds ran; nothing else could be proven here.
                self.assertEqual((record['status'], record['lostEvidence']), ('lost', 'rebooted'))
                self.assertIn('taskId', record)
                for key, value in before[name].items():
                    if key in record and key not in ('status', 'endedAt'):
                        self.assertEqual(record[key], value, f'{name} {key}')
            again = self.snapshot(session)
            self.assertEqual(self.json('reconcile', session=session), [])
            self.assertEqual(self.snapshot(session), again)
        self.assertGreater(settled, 5)

    def foreign(self, **changes):
        os.makedirs(self.tasks, 0o700, exist_ok=True)
        record = dict(GOOD['process'], startedAt=int(time.time() * 1000), **changes)
        for key in ('stopReason', 'terminalNotificationSuppressed'):
            record.pop(key, None)
        with open(os.path.join(self.tasks, 'bash-1a2b3c4d.json'), 'w', encoding='utf-8') as f:
            json.dump(dict(record, futureKey=[1, {'x': 1.50}]), f)
        return 'bash-1a2b3c4d'

    def age(self, task):
        old = time.time() - 60
        os.utime(self.path(task), (old, old))

    def test_L39_a_live_process_of_another_program_is_running_and_can_be_stopped(self):
        import subprocess
        with subprocess.Popen(['sh', '-c', 'sleep 300 & sleep 301; wait']) as process:
            task = self.foreign(pid=process.pid)
            self.age(task)
            self.assertEqual(self.json('list')[0]['status'], 'running')
            self.assertEqual(self.json('reconcile')[0]['changed'], False)
            self.perdure('stop', task, '--reason', 'enough', check=0)
            process.wait(timeout=10)
        record = self.record(task)
        self.assertEqual((record['status'], record['stopReason'], record['futureKey']), ('killed', 'enough', [1, {'x': 1.5}]))

    def wait_for_foreign(self, end):
        """`wait` for a live process of another program, until `end` has ended the task; its exit status, what it printed."""
        import subprocess
        from session import PERDURE, eventually
        with subprocess.Popen(['sleep', '300']) as process:
            task = self.foreign(pid=process.pid)
            self.age(task)
            waiter = subprocess.Popen([PERDURE, '--session', self.session, '--json', 'wait', task], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, text=True)

            def watches():
                with subprocess.Popen(['ls', '-l', f'/proc/{waiter.pid}/fd'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ls:
                    return b'[pidfd]' in ls.stdout.read()
            eventually(watches, 'the process is watched')
            end(task, process)
            out, _ = waiter.communicate(timeout=60)
            process.kill()
        return task, waiter.returncode, json.loads(out)

    def test_L39_the_end_of_a_watched_process_of_another_program_is_noticed(self):
        task, status, told = self.wait_for_foreign(lambda task, process: process.kill())
        self.assertEqual((status, [t['taskId'] for t in told['ended']]), (125, [task]))
        self.assertEqual(told['ended'][0]['lostEvidence'], 'process_gone')
        self.assertEqual(self.record(task)['status'], 'running', 'waiting writes no record of another program')

    def test_L39_what_its_owner_writes_is_what_counts(self):
        def owner_writes(task, _):
            record = self.record(task)
            record.update(status='failed', endedAt=record['startedAt'] + 1, exitCode=7)
            new = self.path(task) + '.new'
            with open(new, 'w', encoding='utf-8') as f:
                json.dump(record, f)
            os.rename(new, self.path(task))
        task, status, _ = self.wait_for_foreign(owner_writes)
        self.assertEqual(status, 7)
        self.assertEqual(self.json('reconcile'), [])
        self.assertEqual((self.record(task)['status'], self.record(task)['exitCode']), ('failed', 7))

    def test_L39_a_process_with_the_same_pid_that_is_another_one_is_never_touched(self):
        import subprocess
        with subprocess.Popen(['sleep', '300']) as stranger:
            # Started when the record does not say, and with another command line: the pid was given away.
            task = self.foreign(pid=stranger.pid)
            record = self.record(task)
            record['startedAt'] -= 20_000
            with open(self.path(task), 'w', encoding='utf-8') as f:
                json.dump(record, f)
            self.age(task)
            self.perdure('stop', task)
            self.assertIsNone(stranger.poll())
            stranger.kill()
        self.assertEqual(self.record(task)['lostEvidence'], 'process_gone')

    def test_L39_gone_a_moment_ago_is_not_lost_yet(self):
        task = self.foreign(pid=2**22 - 3)
        shown = self.json('show', task)
        self.assertEqual((shown['status'], shown['unverified']), ('running', True))
        self.assertEqual(self.json('reconcile')[0]['changed'], False)
        self.age(task)
        self.assertEqual(self.json('reconcile')[0]['evidence'], 'process_gone')
        self.assertEqual(self.record(task)['exitCode'], None)

    def test_L39_what_nobody_can_verify_is_lost_only_on_a_persons_word(self):
        os.makedirs(self.tasks, 0o700)
        record = dict(GOOD['agent'], startedAt=int(time.time() * 1000))
        with open(os.path.join(self.tasks, 'agent-1a2b3c4d.json'), 'w', encoding='utf-8') as f:
            json.dump(record, f)
        self.age('agent-1a2b3c4d')
        self.assertTrue(self.json('list')[0]['unverified'])
        self.assertEqual(self.json('reconcile')[0]['changed'], False)
        self.assertEqual(self.json('reconcile', '--adopt')[0]['evidence'], 'adopted')
        self.assertEqual(self.record('agent-1a2b3c4d')['lostEvidence'], 'adopted')

    def test_L39_a_killed_runners_task_is_running_until_its_tree_is_gone_then_lost_with_evidence(self):
        import signal
        task = self.sh('sleep 300')
        os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
        from session import eventually
        shown = eventually(lambda: (lambda s: s if 'runnerGone' in s else None)(self.json('show', task)), 'the runner is gone')
        self.assertEqual(shown['status'], 'running')
        self.assertEqual(self.record(task)['status'], 'running', 'reading never writes')
        self.assertEqual(self.json('reconcile')[0]['evidence'], 'runner_killed')
        self.assertEqual(processes_with('PERDURE_TASK_ID=' + task), [])
        record = self.record(task)
        self.assertEqual((record['status'], record['exitCode'], record['lostEvidence']), ('lost', None, 'runner_killed'))


if __name__ == '__main__':
    unittest.main()
