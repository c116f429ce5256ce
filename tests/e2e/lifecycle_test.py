"""The rules of docs/reference/lifecycle.md, through the program."""
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import unittest
from shlex import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, RUNNER, SessionTest, eventually, is_alive, processes_with  # noqa: E402


class Registration(SessionTest):
    def test_L01_over_the_cap_nothing_of_the_command_runs(self):
        cap = {'PERDURE_MAX_RUNNING_TASKS': '1'}
        first = self.sh('sleep 100', env=cap)
        marker = os.path.join(self.scratch, 'ran')
        refused = self.perdure('--json', 'run', '-c', f'touch {marker}', env=cap, check=1)
        error = json.loads(refused.stdout)['error']
        self.assertEqual((error['code'], error['retryable']), ('task.limit_exceeded', True))
        self.assertIn('max_running_tasks', error['message'])
        self.assertEqual({n.removesuffix('.json') for n in self.task_names()}, {first})
        self.perdure('stop', first, check=0)
        self.sh('true', env=cap)
        self.assertFalse(os.path.exists(marker))

    def test_L04_a_cap_that_is_no_number_is_reported(self):
        for nonsense in ('0', '-1', 'many', '1.5', '99999999999999'):
            done = self.perdure('--json', 'run', '-c', 'true', env={'PERDURE_MAX_RUNNING_TASKS': nonsense}, check=2)
            error = json.loads(done.stdout)['error']
            self.assertEqual(error['code'], 'config.invalid')
            self.assertIn('PERDURE_MAX_RUNNING_TASKS', error['message'])

    def test_L06_the_same_key_gives_the_same_task_and_starts_nothing(self):
        out = os.path.join(self.scratch, 'count')
        line = f'echo x >> {out}; sleep 0.2'
        ids = []
        threads = [threading.Thread(target=lambda: ids.append(self.sh(line, '--idempotency-key', 'key/with "all" ☃')))
                   for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(set(ids)), 1)
        self.finished(ids[0])
        ids.append(self.sh(line, '--idempotency-key', 'key/with "all" ☃'))
        self.assertEqual(len(set(ids)), 1, 'an ended task is known, too')
        with open(out, encoding='utf-8') as f:
            self.assertEqual(f.read(), 'x\n')

    def test_L06_a_removed_task_is_known_no_more(self):
        first = self.sh('true', '--idempotency-key', 'k')
        self.finished(first)
        self.perdure('remove', first, check=0)
        self.assertNotEqual(self.sh('true', '--idempotency-key', 'k'), first)


class Deadlines(SessionTest):
    def test_L07_a_deadline_that_did_not_fire_leaves_nothing_behind(self):
        task = self.sh('exit 0', '--timeout', '600')
        self.perdure('wait', task, check=0)
        runner = self.record(task)['runner']['pid']
        eventually(lambda: not processes_with('PERDURE_RUNNER=' + task), f'runner {runner} gone')

    def test_L07_nobody_stays_for_a_deadline_that_did_not_fire(self):
        for args in (['run', '--wait'], ['run', '--foreground']):
            began = time.monotonic()
            self.perdure(*args, '--timeout', '600s', '-c', 'exit 0', check=0)
            took = time.monotonic() - began
            print(f'{" ".join(args)} with a deadline of 600 s, ended at once: left after {took * 1000:.0f} ms in all', flush=True)
            self.assertLess(took, 5)
        eventually(lambda: not processes_with('@' + self.session), 'no runner stays')

    def test_L08_the_deadline_survives_the_managers_death(self):
        manager = subprocess.Popen([PERDURE, '--session', self.session, 'run', '--wait', '--timeout', '0.5', '-c', 'sleep 100'],
                                   stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        task = manager.stdout.readline().strip()
        manager.kill()
        manager.wait()
        manager.stdout.close()
        record = self.finished(task)
        self.assertEqual(record['status'], 'timed_out')
        self.assertGreaterEqual(record['endedAt'] - record['startedAt'], 500)

    def test_L08_zero_and_absent_mean_none(self):
        for options in ([], ['--timeout', '0']):
            task = self.sh('sleep 0.1; exit 4', *options)
            self.assertEqual(self.finished(task)['exitCode'], 4)
            self.assertNotIn('timeoutMs', self.record(task))

    def test_L09_after_the_deadline_an_exit_status_changes_nothing(self):
        task = self.sh("trap 'echo late; exit 0' TERM; echo ready; while :; do sleep 0.05; done", '--timeout', '0.3')
        record = self.finished(task)
        self.assertEqual(record['status'], 'timed_out')
        self.assertEqual(record['exitCode'], 0)
        self.assertIn(b'late', self.log(task))
        self.assertEqual(self.perdure('wait', task).returncode, 124)

    def test_L09_a_stop_after_the_deadline_changes_nothing(self):
        task = self.sh("trap '' TERM; echo ready; sleep 100; sleep 100", '--timeout', '0.2', '--grace', '1')
        eventually(lambda: time.time() * 1000 > self.record(task)['startedAt'] + 400, 'the deadline passed')
        self.perdure('stop', task, '--reason', 'too late', '--grace', '0', check=0)
        record = self.record(task)
        self.assertEqual(record['status'], 'timed_out')
        self.assertNotIn('stopReason', record)


class Stopping(SessionTest):
    def test_L12_the_whole_tree_is_gone_when_stop_returns(self):
        task = self.run_task('--', 'bash', '-c', 'setsid sleep 300 & (sleep 301 &) ; exec -a x sleep 302')
        eventually(lambda: len(processes_with('PERDURE_TASK_ID=' + task)) == 3, 'three sleeps run')
        self.perdure('stop', task, check=0)
        self.assertEqual(processes_with('PERDURE_TASK_ID=' + task), [])
        self.assertEqual(self.record(task)['status'], 'killed')

    def test_L12_whoever_ignores_sigterm_is_killed_after_the_grace(self):
        task = self.sh("trap '' TERM; echo ready; (trap '' TERM; setsid sleep 300) & sleep 300; sleep 300", '--grace', '0.2')
        eventually(lambda: self.log(task), 'it is ready')
        self.perdure('stop', task, check=0)
        self.assertEqual(processes_with('PERDURE_TASK_ID=' + task), [])
        record = self.record(task)
        self.assertEqual((record['status'], record['exitCode'], record['signal']), ('killed', None, 9))
        self.assertNotIn('survivors', record)

    def test_L12_stopped_processes_are_ended_too(self):
        task = self.sh('echo ready; kill -STOP $$')
        eventually(lambda: self.log(task), 'it is ready')
        self.perdure('stop', task, check=0)
        self.assertEqual(self.record(task)['status'], 'killed')

    def test_L12_a_tree_that_forks_while_it_is_killed_is_ended(self):
        task = self.sh("trap '' TERM; f() { trap '' TERM; for i in 1 2 3 4 5 6; do (setsid sh -c \"trap '' TERM; sleep 100 & sleep 100; sleep 100\") & done; wait; }; f & f & wait",
                       '--grace', '0.05')
        eventually(lambda: len(processes_with('PERDURE_TASK_ID=' + task)) > 10, 'it has forked')
        self.perdure('stop', task, check=0)
        self.assertEqual(processes_with('PERDURE_TASK_ID=' + task), [])

    def test_L13_stopping_an_ended_task_returns_its_record_unchanged(self):
        task = self.sh('exit 5')
        before = self.finished(task)
        self.assertEqual(self.json('stop', task, '--reason', 'why not'), [before])
        self.assertEqual(self.record(task), before)

    def test_L13_the_reason_is_in_the_record_and_a_blank_one_is_none(self):
        task = self.sh('sleep 100')
        self.perdure('stop', task, '--reason', 'because "it" <hung>\n☃', check=0)
        self.assertEqual(self.record(task)['stopReason'], 'because "it" <hung>\n☃')
        task = self.sh('sleep 100')
        self.perdure('stop', task, '--reason', '  \t ', check=0)
        self.assertEqual(self.record(task)['stopReason'], 'Stopped on request')

    def test_L14_a_command_that_exits_within_the_grace_was_stopped_all_the_same(self):
        task = self.sh("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
        eventually(lambda: self.log(task), 'it is ready')
        self.perdure('stop', task, '--reason', 'r', check=0)
        record = self.record(task)
        self.assertEqual((record['status'], record['exitCode'], record['stopReason']), ('killed', 0, 'r'))

    def test_L45_an_owners_own_stop_is_not_told_to_it(self):
        task = self.sh('sleep 100', '--owner', 'me')
        self.perdure('stop', task, '--by', 'me', check=0)
        self.assertTrue(self.record(task)['terminalNotificationSuppressed'])
        task = self.sh('sleep 100', '--owner', 'me')
        self.perdure('stop', task, check=0)
        self.assertNotIn('terminalNotificationSuppressed', self.record(task))

    def test_L40_a_task_inside_a_task_outlives_it_unless_it_owns_it(self):
        inner = os.path.join(self.scratch, 'inner')
        line = f'{quote(PERDURE)} --session {self.session} run %s -- sleep 200 > {inner}; echo ready; sleep 200'
        for owned in (False, True):
            outer = self.sh(line % ('--owner $PERDURE_TASK_ID' if owned else ''))
            eventually(lambda: b'ready' in self.log(outer), 'the inner task runs')
            with open(inner, encoding='utf-8') as f:
                task = f.read().strip()
            self.perdure('stop', outer, check=0)
            if owned:
                self.assertEqual(self.record(task)['status'], 'killed')
            else:
                self.assertEqual(self.record(task)['status'], 'running')
                self.assertTrue(processes_with('PERDURE_TASK_ID=' + task))
                self.perdure('stop', task, check=0)

    def test_L40_a_task_that_ends_takes_what_it_owns_with_it(self):
        inner = os.path.join(self.scratch, 'inner')
        outer = self.sh(f'{quote(PERDURE)} --session {self.session} run --owner $PERDURE_TASK_ID -- sleep 200 > {inner}')
        self.assertEqual(self.finished(outer)['status'], 'completed')
        with open(inner, encoding='utf-8') as f:
            self.assertEqual(self.record(f.read().strip())['status'], 'killed')


class Outcome(SessionTest):
    def test_L17_L18_what_happened_is_what_the_record_and_the_exit_status_say(self):
        for line, status, code, signal_number, exit_status in (
                ('exit 0', 'completed', 0, None, 0), ('exit 1', 'failed', 1, None, 1), ('exit 255', 'failed', 255, None, 255),
                ('kill -9 $$', 'failed', None, 9, 137), ('kill -TERM $$', 'failed', None, 15, 143),
                ('kill -SEGV $$', 'failed', None, 11, 139)):
            task = self.sh(line)
            self.assertEqual(self.perdure('wait', task).returncode, exit_status, line)
            record = self.record(task)
            self.assertEqual((record['status'], record['exitCode'], record.get('signal')), (status, code, signal_number), line)
            self.assertEqual(self.json('show', task)['exitCode'], code)

    def test_L46_a_reason_is_there_exactly_for_what_was_ended_by_somebody(self):
        reasons = {}
        for name, line, options in (('completed', 'true', []), ('failed', 'exit 3', []), ('own signal', 'kill -9 $$', []),
                                    ('timed out', 'sleep 100', ['--timeout', '0.1']),
                                    ('budget', 'yes', ['--output-limit', '1000', '--on-output-limit', 'stop'])):
            reasons[name] = self.finished(self.sh(line, *options)).get('stopReason')
        self.assertEqual({n for n, r in reasons.items() if r}, {'budget'})
        task = self.sh('sleep 100')
        self.perdure('stop', task, check=0)
        self.assertTrue(self.record(task)['stopReason'])

    def test_a_command_that_cannot_start_is_an_error_now_and_leaves_no_record(self):
        os.mkdir(self.scratch + '/folder')
        with open(self.scratch + '/plain', 'w', encoding='utf-8') as f:
            f.write('not executable')
        for command, status in ((['no-such-program-here'], 127), (['/no/such/program'], 127), ([self.scratch + '/plain'], 126),
                                ([self.scratch + '/folder'], 126)):
            done = self.perdure('--json', 'run', '--', *command, check=status)
            self.assertEqual(json.loads(done.stdout)['error']['code'], 'task.launch_failed')
            self.assertEqual(self.task_names() if os.path.exists(self.tasks) else [], [])
        self.perdure('run', '--cwd', '/no/such/folder', '--', 'true', check=126)

    def test_a_script_without_an_interpreter_line_runs_as_in_a_shell(self):
        script = self.scratch + '/script'
        with open(script, 'w', encoding='utf-8') as f:
            f.write('echo from the script $1')
        os.chmod(script, 0o755)
        task = self.run_task('--', script, 'arg')
        self.finished(task)
        self.assertEqual(self.log(task), b'from the script arg\n')


class Surroundings(SessionTest):
    def test_the_command_gets_the_callers_world(self):
        line = 'umask; ulimit -Sn; pwd; echo $GREETING; readlink /proc/self/fd/0; ls -m /proc/$$/fd; ps -o pgid=,sid= -p $$'
        done = subprocess.run(['sh', '-c', f'umask 027; ulimit -Sn 333; cd /usr; exec {quote(PERDURE)} --session {self.session} run --env GREETING=hello -c \'{line}\''],
                              stdout=subprocess.PIPE, text=True, check=True, stdin=subprocess.DEVNULL)
        task = done.stdout.strip()
        record = self.finished(task)
        lines = self.log(task).decode().splitlines()
        self.assertEqual(lines[:5], ['0027', '333', '/usr', 'hello', '/dev/null'])
        self.assertEqual(lines[5], '0, 1, 2')
        group, session = lines[6].split()
        self.assertEqual((int(group), int(session)), (record['pid'], record['runner']['pid']))
        self.assertEqual(record['cwd'], '/usr')

    def test_signals_that_the_caller_ignores_are_not_ignored_by_the_command(self):
        done = subprocess.run(['sh', '-c', f"trap '' HUP INT TERM; exec {quote(PERDURE)} --session {self.session} run -c 'kill -HUP $$; echo alive'"],
                              stdout=subprocess.PIPE, text=True, check=True, stdin=subprocess.DEVNULL)
        self.assertEqual(self.finished(done.stdout.strip())['signal'], signal.SIGHUP)

    def test_clear_env_leaves_only_what_was_given(self):
        task = self.run_task('--clear-env', '--env', 'A=1', '--', '/usr/bin/env')
        self.finished(task)
        # Perdure's own marks, and nothing else (L60).
        given = dict(line.split('=', 1) for line in self.log(task).decode().splitlines())
        self.assertRegex(given.pop('PERDURE_TASK_KEY'), '^[0-9a-f]{32}$')
        self.assertEqual(given, {'A': '1', 'PERDURE_TASK_ID': task, 'PERDURE_SESSION': self.session})

    def test_the_runner_ignores_hangups_and_interrupts_and_takes_sigterm_as_stop(self):
        task = self.sh('sleep 100')
        runner = self.record(task)['runner']['pid']
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGPIPE):
            os.kill(runner, number)
        self.assertEqual(self.record(task)['status'], 'running')
        self.assertTrue(is_alive(runner))
        os.kill(runner, signal.SIGTERM)
        self.perdure('wait', task, check=143)
        self.assertEqual(self.record(task)['status'], 'killed')
        self.assertTrue(self.record(task)['stopReason'])

    def test_a_closing_terminal_ends_nothing(self):
        import pty
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(PERDURE, [PERDURE, '--session', self.session, 'run', '-c', 'echo begin; sleep 0.5; echo end'])
        task = b''
        while not task.endswith(b'\n'):
            task += os.read(terminal, 100)
        os.close(terminal)
        os.waitpid(pid, 0)
        record = self.finished(task.decode().strip())
        self.assertEqual(record['status'], 'completed')
        self.assertEqual(self.log(record['taskId']), b'begin\nend\n')

    def test_only_their_owner_can_read_what_is_stored(self):
        old = os.umask(0)
        try:
            task = self.sh('echo secret')
        finally:
            os.umask(old)
        self.finished(task)
        for folder, _, files in os.walk(self.session):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700, folder)
            for name in files:
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) & 0o077, 0, name)

    def test_leftovers_are_kept_killed_or_waited_for(self):
        line = '(sleep 0.4; echo later) & echo now'
        task = self.sh(line)
        record = self.finished(task)
        self.assertEqual(record['status'], 'completed')
        self.assertGreaterEqual(record['leftovers'], 1)
        eventually(lambda: self.log(task) == b'now\nlater\n', 'what the leftovers print is kept')
        task = self.sh('sleep 100 & echo now', '--leftovers', 'kill')
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertEqual(processes_with('PERDURE_TASK_ID=' + task), [])
        task = self.sh(line, '--leftovers', 'wait')
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertEqual(self.log(task), b'now\nlater\n')

    def test_stop_ends_leftovers_and_leaves_the_record(self):
        task = self.sh('sleep 100 & echo now')
        before = self.finished(task)
        self.assertNotEqual(self.perdure('remove', task).returncode, 0)
        self.assertTrue(os.path.exists(self.path(task)), 'a task with leftovers is not removed')
        self.perdure('stop', task, check=0)
        self.assertEqual(processes_with('PERDURE_TASK_ID=' + task), [])
        self.assertEqual(self.record(task), before)

    def test_the_runner_says_that_it_is_not_for_people(self):
        done = subprocess.run([RUNNER], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn('perdure run', done.stderr)


if __name__ == '__main__':
    unittest.main()
