#!/usr/bin/env python3
"""A command that is started again when it has ended: one task, one log, and an end for good (I30, I31)."""
import json
import os
import signal
import subprocess
import sys
import time
import unittest
from shlex import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, is_alive, processes_with  # noqa: E402

FAST = ('--restart-delay', '20ms')


class RestartTest(SessionTest):
    def restarted(self, line, *options, policy='on-failure'):
        return self.sh(line, '--restart', policy, *(FAST if '--restart-delay' not in options else ()), *options)

    def attempts(self, task):
        return self.record(task).get('attempts', {}).get('count', 0)

    def runner_of(self, task):
        return self.record(task)['runner']['pid']

    def counter(self):
        """A shell line that says which attempt it is, in $n."""
        file = quote(os.path.join(self.scratch, 'count'))
        return f'n=$(cat {file} 2>/dev/null || echo 0); n=$((n+1)); echo $n > {file}; echo attempt $n;'


class Policy(RestartTest):
    def test_I30_on_failure_until_it_succeeds(self):
        task = self.restarted(self.counter() + ' [ $n -ge 3 ]')
        ended = self.finished(task)
        self.assertEqual((ended['status'], ended['exitCode'], ended['attempts']['count']), ('completed', 0, 3))
        self.assertEqual(self.log(task), b'attempt 1\nattempt 2\nattempt 3\n')
        last = ended['attempts']['last']
        self.assertEqual([a['exitCode'] for a in last], [1, 1, 0])
        self.assertEqual([a['outputOffset'] for a in last], [0, 10, 20])
        self.assertEqual(ended['startedAt'], last[0]['startedAt'])
        self.assertEqual(ended['endedAt'], last[2]['endedAt'])
        for one in last:
            self.assertLessEqual(one['startedAt'], one['endedAt'])

    def test_I30_on_failure_stops_at_its_most(self):
        task = self.restarted('echo x; exit 7', '--restart-max', '2')
        ended = self.finished(task)
        self.assertEqual((ended['status'], ended['exitCode'], ended['attempts']['count']), ('failed', 7, 3))
        self.assertEqual(self.log(task), b'x\n' * 3)

    def test_I30_always_restarts_a_success_and_a_signal_counts_as_failure(self):
        task = self.restarted('kill -9 $$', '--restart-max', '1', policy='always')
        ended = self.finished(task)
        self.assertEqual((ended['status'], ended['signal'], ended['exitCode']), ('failed', 9, None))
        self.assertEqual([a.get('signal') for a in ended['attempts']['last']], [9, 9])
        ended = self.finished(self.restarted('exit 0', '--restart-max', '2', policy='always'))
        self.assertEqual((ended['status'], ended['attempts']['count']), ('completed', 3))

    def test_I30_a_command_that_cannot_run_is_not_tried_again(self):
        for code in (126, 127):
            ended = self.finished(self.restarted(f'exit {code}'))
            self.assertEqual((ended['exitCode'], ended['attempts']['count']), (code, 1))
        script = os.path.join(self.scratch, 'script')
        with open(script, 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\nrm "$0"\nexit 1\n')
        os.chmod(script, 0o755)
        ended = self.finished(self.run_task('--restart', 'on-failure', *FAST, '--', script))
        self.assertEqual((ended['status'], ended['exitCode'], ended['attempts']['count']), ('failed', 127, 2))

    def test_I30_the_delay_doubles(self):
        ended = self.finished(self.restarted('exit 1', '--restart-max', '3', '--restart-delay', '100ms'))
        last = ended['attempts']['last']
        waits = [after['startedAt'] - before['endedAt'] for before, after in zip(last, last[1:])]
        for wait, least in zip(waits, (100, 200, 400)):
            self.assertGreaterEqual(wait, least - 2, waits)

    def test_I30_what_an_attempt_left_behind_is_ended_first(self):
        pids = os.path.join(self.scratch, 'pids')
        task = self.restarted(f'setsid sleep 600 & echo $! >> {quote(pids)}; exit 1', '--restart-max', '2', '--leftovers', 'kill')
        self.finished(task)
        with open(pids, encoding='utf-8') as f:
            left = [int(p) for p in f.read().split()]
        self.assertEqual(len(left), 3)
        self.assertEqual([p for p in left if is_alive(p)], [])

    def test_I30_it_ignores_SIGTERM_and_is_killed_before_the_next_attempt(self):
        task = self.restarted("(trap '' TERM; sleep 600 & wait) & sleep 0.1; exit 1", '--restart-max', '1', '--grace', '200ms',
                              '--leftovers', 'kill')
        self.assertEqual(self.finished(task)['attempts']['count'], 2)

    def test_I30_what_makes_no_sense_is_refused(self):
        for options in (('--restart', 'sometimes'), ('--restart-max', '3'), ('--restart-delay', '1s'),
                        ('--restart', 'always', '--restart-max', '-1'), ('--restart', 'always', '--foreground'),
                        ('--restart', 'always', '--restart-delay', 'soon')):
            done = self.perdure('run', *options, '-c', 'true', check=2)
            self.assertTrue(done.stderr.startswith('perdure: '), done.stderr)
        self.assertFalse(os.path.exists(self.tasks) and self.task_names())

    def test_I30_a_terminal_stays_and_a_pipe_is_new(self):
        ended = self.finished(self.restarted(self.counter() + ' tty; [ $n -ge 3 ]', '--pty'))
        lines = self.log(ended['taskId']).split()
        self.assertEqual((ended['status'], lines.count(b'attempt')), ('completed', 3))
        self.assertEqual(len({line for line in lines if line.startswith(b'/dev/pts/')}), 1, lines)
        os.unlink(os.path.join(self.scratch, 'count'))
        task = self.restarted(self.counter() + ' read line; echo "got $line"; [ $n -ge 2 ]', '--stdin', 'pipe')
        for n in (1, 2):
            eventually(lambda n=n: f'attempt {n}'.encode() in self.log(task), 'the attempt runs')
            subprocess.run([PERDURE, '--session', self.session, 'write', task], input=f'line {n}\n'.encode(), check=True, timeout=30)
            if n == 1:
                eventually(lambda: self.attempts(task) == 1, 'the first attempt has ended')
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertIn(b'got line 1', self.log(task))
        self.assertIn(b'got line 2', self.log(task))


class Ends(RestartTest):
    def test_I30_a_stop_ends_it_for_good_in_each_state(self):
        running = self.restarted('sleep 600', policy='always')
        resting = self.restarted('exit 1', '--restart-delay', '1h')
        eventually(lambda: self.attempts(resting) == 1, 'it rests')
        self.assertEqual(self.record(resting)['pid'], 0)
        renewing = self.restarted("(trap '' TERM; sleep 600 & wait) & sleep 0.1; exit 1", '--grace', '1h', '--leftovers', 'kill')
        time.sleep(0.4)
        for task, grace in ((running, '5s'), (resting, '5s'), (renewing, '0s')):
            self.perdure('stop', task, '--grace', grace, '--reason', 'enough', check=0)
            self.assertEqual((self.record(task)['status'], self.record(task)['stopReason']), ('killed', 'enough'))
        before = {task: self.log(task) for task in (running, resting, renewing)}
        time.sleep(0.2)
        self.assertEqual({task: self.log(task) for task in before}, before)

    def test_I30_the_deadline_spans_all_attempts(self):
        ended = self.finished(self.restarted('sleep 0.1; exit 1', '--restart-max', '0', '--timeout', '700ms'))
        self.assertEqual(ended['status'], 'timed_out')
        self.assertGreater(ended['attempts']['count'], 1)
        ended = self.finished(self.restarted('exit 1', '--restart-delay', '1h', '--timeout', '500ms'))
        self.assertEqual((ended['status'], ended['attempts']['count']), ('timed_out', 1))
        self.assertLess(ended['endedAt'] - ended['startedAt'], 5000)

    def test_I30_extend_counts_while_it_rests(self):
        task = self.restarted('exit 1', '--restart-delay', '1h', '--timeout', '1h')
        eventually(lambda: self.attempts(task) == 1, 'it rests')
        self.perdure('extend', task, '--timeout', '300ms', check=0)
        self.assertEqual(self.finished(task)['status'], 'timed_out')

    def test_I30_the_idle_timeout_ends_it_and_counts_in_an_attempt_only(self):
        task = self.restarted(self.counter() + ' [ $n -ge 2 ] && sleep 600; exit 1', '--restart-delay', '900ms', '--idle-timeout', '500ms')
        ended = self.finished(task)
        self.assertEqual((ended['status'], ended.get('timedOutBy')), ('timed_out', 'idle'))
        self.assertIn(b'attempt 2', self.log(task))

    def test_I30_the_output_budget_ends_it(self):
        ended = self.finished(self.restarted('head -c 3000 /dev/zero; exit 1', '--output-limit', '5000', '--on-output-limit', 'stop'))
        self.assertEqual(ended['status'], 'killed')
        self.assertIn('Output limit', ended['stopReason'])

    def kill_runner(self, task):
        pid = self.runner_of(task)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_alive(pid), 'the runner is dead')

    def test_I30_a_killed_runner_is_lost_and_nothing_starts_again(self):
        resting = self.restarted('echo x; exit 1', '--restart-delay', '1h')
        running = self.restarted('echo x; sleep 600', policy='always')
        eventually(lambda: self.attempts(resting) == 1, 'it rests')
        eventually(lambda: self.log(running) == b'x\n', 'it has printed')
        for task in (resting, running):
            self.kill_runner(task)
        self.perdure('reconcile', check=0)
        for task in (resting, running):
            ended = eventually(lambda task=task: self.record(task)['status'] != 'running' and self.record(task), 'it is settled')
            self.assertEqual((ended['status'], ended['lostEvidence']), ('lost', 'runner_killed'))
            self.assertEqual(self.log(task), b'x\n')

    def test_I30_kills_of_the_runner_at_any_instant_never_leave_two_lives(self):
        for round_number in range(12):
            task = self.restarted('echo x; exit 1', '--restart-max', '0', '--restart-delay', '5ms')
            time.sleep(0.01 * round_number)
            self.kill_runner(task)
            self.perdure('reconcile', check=0)
            ended = eventually(lambda task=task: self.record(task)['status'] != 'running' and self.record(task), 'it is settled')
            self.assertEqual(ended['status'], 'lost', ended)
            before = self.log(task)
            time.sleep(0.03)
            self.assertEqual(self.log(task), before)
            self.assertEqual(processes_with(f'PERDURE_RUNNER={task}@'), [])

    def test_I30_a_killed_manager_changes_nothing(self):
        started = subprocess.Popen([PERDURE, '--session', self.session, 'run', '--wait', '--restart', 'on-failure', *FAST, '-c',
                                    self.counter() + ' sleep 0.1; [ $n -ge 5 ]'], stdout=subprocess.PIPE, text=True)
        task = started.stdout.readline().strip()
        started.kill()
        started.wait()
        started.stdout.close()
        ended = self.finished(task)
        self.assertEqual((ended['status'], ended['attempts']['count']), ('completed', 5))


class Shown(RestartTest):
    def test_I31_list_show_json_and_the_notification(self):
        task = self.restarted('exit 3', '--restart-delay', '1h', '--owner', 'me')
        eventually(lambda: self.attempts(task) == 1, 'it rests')
        self.assertIn('(restarting)', self.perdure('list', check=0).stdout)
        shown = self.perdure('show', task, check=0).stdout
        self.assertIn('on-failure, 10 times at most; 1 attempt ended', shown)
        self.assertIn('exit code 3', shown)
        record = self.json('show', task)
        self.assertEqual((record['restart'], record['restartMax'], record['attempts']['count'], record['exitCode']),
                         ('on-failure', 10, 1, None))
        self.assertEqual(json.loads(self.perdure('notifications', '--format', 'json', check=0).stdout), [])
        self.perdure('stop', task, check=0)
        ended = self.finished(self.restarted('exit 3', '--restart-max', '2', '--owner', 'me'))
        news = [one for one in json.loads(self.perdure('notifications', '--format', 'json', check=0).stdout)
                if one['source_id'] == ended['taskId']]
        self.assertEqual(len(news), 1, 'only the last end notifies')
        self.assertIn('in attempt 3', news[0]['body'])

    def test_I31_each_attempt_is_an_event(self):
        self.sh('true')
        with subprocess.Popen([PERDURE, '--session', self.session, 'events', '--follow'], stdout=subprocess.PIPE, text=True) as events:
            try:
                time.sleep(0.3)
                task = self.restarted('sleep 0.1; exit 1', '--restart-max', '2', '--restart-delay', '300ms')
                self.finished(task)
                told = []
                for line in events.stdout:
                    event = json.loads(line)
                    if event['info']['taskId'] == task:
                        told.append((event['type'], event['info'].get('attempts', {}).get('count', 0)))
                        if event['type'] == 'task.terminated':
                            break
            finally:
                events.kill()
        self.assertEqual(told[0], ('task.started', 0))
        self.assertEqual(told[-1], ('task.terminated', 3))
        self.assertIn(('task.updated', 1), told)
        self.assertIn(('task.updated', 2), told)

    def test_I31_at_most_20_attempts_are_kept(self):
        task = self.restarted('exit 1', '--restart-max', '0', '--restart-delay', '0')
        eventually(lambda: self.attempts(task) > 23, 'it has failed often')
        self.perdure('stop', task, check=0)
        attempts = self.record(task)['attempts']
        self.assertEqual(len(attempts['last']), 20)
        starts = [a['startedAt'] for a in attempts['last']]
        self.assertEqual(starts, sorted(starts))

    def test_I30_rerun_restarts_as_well(self):
        first = self.finished(self.restarted('exit 1', '--restart-max', '1'))
        again = self.perdure('rerun', first['taskId'], check=0).stdout.strip()
        self.assertEqual(self.finished(again)['attempts']['count'], 2)

    def test_I30_in_the_queue_it_holds_its_slot_while_it_rests(self):
        env = {**os.environ, 'PERDURE_MAX_RUNNING_TASKS': '1'}
        task = self.sh('exit 1', '--restart', 'on-failure', '--restart-delay', '1h', '--queue', env=env)
        eventually(lambda: os.path.exists(self.path(task)) and self.attempts(task) == 1, 'it rests')
        other = self.sh('true', '--queue', env=env)
        time.sleep(0.2)
        self.assertFalse(os.path.exists(self.path(other)))
        self.perdure('stop', task, check=0)
        self.assertEqual(self.finished(other)['status'], 'completed')


if __name__ == '__main__':
    unittest.main(verbosity=2)
