"""What is asked of a task while it runs: more time, input, a terminal; and tasks that fall silent."""
import json
import os
import pty
import select
import shlex
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, processes_with  # noqa: E402


class InteractionTest(SessionTest):
    def shows(self, task, text):
        eventually(lambda: text in self.log(task), f'the task prints {text!r}')

    def write(self, task, data, *args):
        """`perdure write`: (exit status, standard error)"""
        done = subprocess.run([PERDURE, '--session', self.session, 'write', task, *args], input=data, capture_output=True,
                              timeout=60, check=False)
        return done.returncode, done.stderr.decode()

    def stop(self, task):
        self.perdure('stop', task, '--grace', '0', check=0)


class Extend(InteractionTest):
    def test_the_deadline_counts_from_now_and_the_record_follows(self):
        task = self.sh('sleep 100', '--timeout', '60')
        before = time.time() * 1000
        changed = self.json('extend', task, '--timeout', '300ms')
        self.assertEqual(changed, self.record(task) | {k: changed[k] for k in changed.keys() - self.record(task).keys()})
        self.assertEqual((changed['timeoutMs'], changed['status'], changed['endedAt']), (300, 'running', None))
        self.assertGreaterEqual(changed['timeoutFrom'], int(before))
        ended = self.finished(task)
        self.assertEqual((ended['status'], ended['timeoutMs'], ended.get('stopReason')), ('timed_out', 300, None))
        self.assertGreaterEqual(ended['endedAt'] - ended['timeoutFrom'], 300)

    def test_more_time_than_it_had_lets_it_end_by_itself(self):
        task = self.sh('read line; exit 4', '--timeout', '1s', '--stdin', 'pipe')
        self.perdure('extend', task, '--timeout', '10m', check=0)
        eventually(lambda: time.time() * 1000 > self.record(task)['startedAt'] + 1200, 'the old deadline has passed')
        self.assertEqual(self.write(task, b'go\n'), (0, ''))
        self.assertEqual(self.finished(task)['exitCode'], 4)

    def test_zero_takes_the_deadline_away_and_one_can_be_given_to_a_task_without(self):
        task = self.sh('sleep 100', '--timeout', '60')
        self.assertNotIn('timeoutMs', self.json('extend', task, '--timeout', '0'))
        self.assertEqual(self.json('extend', task, '--timeout', '100ms')['timeoutMs'], 100)
        self.assertEqual(self.finished(task)['status'], 'timed_out')

    def test_it_is_an_event(self):
        task = self.sh('sleep 100')
        follow = subprocess.Popen([PERDURE, '--session', self.session, 'events', '--since', '0', '--follow'], stdout=subprocess.PIPE,
                                  text=True)
        try:
            types = [json.loads(follow.stdout.readline())['type']]
            for seconds in ('50', '50'):  # the same length again is a change, too
                self.perdure('extend', task, '--timeout', seconds, check=0)
                event = json.loads(follow.stdout.readline())
                types.append(event['type'])
                self.assertEqual(event['info']['timeoutMs'], 50_000)
        finally:
            follow.kill()
            follow.wait()
            follow.stdout.close()
        self.assertEqual(types, ['task.started', 'task.updated', 'task.updated'])
        self.stop(task)

    def test_an_ended_task_gets_no_more_time(self):
        task = self.sh('true')
        self.finished(task)
        done = self.perdure('--json', 'extend', task, '--timeout', '5m', check=1)
        self.assertEqual(json.loads(done.stdout)['error']['code'], 'task.not_running')
        self.assertNotIn('timeoutMs', self.record(task))

    def test_wrong_usage(self):
        task = self.sh('sleep 100')
        self.perdure('extend', task, check=2)
        self.perdure('extend', task, '--timeout', 'soon', check=2)
        self.perdure('extend', '--timeout', '5', check=2)
        self.assertEqual(json.loads(self.perdure('--json', 'extend', 'bash-00000000', '--timeout', '5', check=1).stdout)
                         ['error']['code'], 'task.not_found')
        self.stop(task)

    def test_a_task_that_waits_for_its_leftovers_gets_more_time(self):
        task = self.sh('sleep 100 & exit 3', '--leftovers', 'wait', '--timeout', '60')
        page = os.path.join(self.tasks, task, 'runner.lock')

        def noted():
            with open(page, 'rb') as f:
                return b'exit 3 ' in f.read()
        eventually(noted, 'the command has ended')
        changed = self.json('extend', task, '--timeout', '100ms')
        self.assertEqual((changed['status'], changed['exitCode'], changed['endedAt']), ('running', None, None))
        ended = self.finished(task)
        self.assertEqual((ended['status'], ended['exitCode']), ('timed_out', 3))


class Silence(InteractionTest):
    def test_L46_no_output_for_so_long_is_timed_out_and_says_which(self):
        task = self.sh('echo one; sleep 100', '--idle-timeout', '300ms', '--timeout', '5m')
        ended = self.finished(task)
        self.assertEqual((ended['status'], ended['timedOutBy'], ended['idleTimeoutMs'], ended['timeoutMs']),
                         ('timed_out', 'idle', 300, 300_000))
        self.assertNotIn('stopReason', ended)
        self.assertGreaterEqual(ended['endedAt'] - ended['startedAt'], 300)
        self.assertEqual(self.perdure('wait', task).returncode, 124)
        self.assertIn('no output for too long', self.perdure('show', task).stdout)

    def test_whoever_goes_on_printing_goes_on(self):
        task = self.sh('for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.25; done; exit 5', '--idle-timeout', '2s')
        self.assertEqual(self.finished(task)['exitCode'], 5)

    def test_the_deadline_is_not_mistaken_for_it(self):
        ended = self.finished(self.sh('sleep 100', '--idle-timeout', '1m', '--timeout', '100ms'))
        self.assertEqual(ended['status'], 'timed_out')
        self.assertNotIn('timedOutBy', ended)

    def test_L12_it_ends_as_the_deadline_does_with_the_grace(self):
        task = self.sh("trap 'echo term; exit 9' TERM; while :; do sleep 0.02; done", '--idle-timeout', '200ms')
        ended = self.finished(task)
        self.assertEqual((ended['status'], ended['exitCode']), ('timed_out', 9))
        self.assertIn(b'term\n', self.log(task))

    def test_a_runner_that_was_killed_had_noted_it(self):
        task = self.sh("trap 'echo term' TERM; while :; do sleep 0.02; done", '--idle-timeout', '200ms', '--grace', '5m')
        self.shows(task, b'term')
        os.kill(self.record(task)['runner']['pid'], 9)
        self.perdure('wait', task, check=124)
        self.assertEqual((self.record(task)['timedOutBy'], self.record(task)['recovered']), ('idle', True))


class InTheForeground(InteractionTest):
    def foreground(self, line, *options):
        started = subprocess.Popen([PERDURE, '--session', self.session, 'run', '--foreground', *options, '-c', line],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(started.wait, 60)
        self.addCleanup(started.stdout.close)
        self.addCleanup(started.stderr.close)
        return started, eventually(lambda: (self.json('list') or [None])[0], 'the task is listed')['taskId']

    def test_what_is_written_reaches_it_and_its_terminal_is_not_the_callers(self):
        caller, task = self.foreground('read line; echo "got $line"', '--pty')
        self.assertEqual(self.write(task, b'hello\n'), (0, ''))
        self.assertIn(b'got hello', caller.stdout.read())
        self.assertEqual(caller.wait(60), 0)

    def test_it_gets_more_time_and_still_leaves_nothing(self):
        caller, task = self.foreground('read line; exit 6', '--stdin', 'pipe', '--timeout', '60')
        self.assertEqual(self.json('extend', task, '--timeout', '5m')['timeoutMs'], 300_000)
        self.assertFalse(os.path.exists(self.path(task)))
        self.assertEqual(self.write(task, b'', '--eof'), (0, ''))
        self.assertEqual(caller.wait(60), 6)
        self.assertEqual(self.task_names(), [])

    def test_a_caller_that_does_not_read_does_not_make_the_command_silent(self):
        caller, task = self.foreground('yes | head -c 3000000; exit 3', '--idle-timeout', '300ms')
        # The command is blocked by its reader far longer than it may be silent.
        eventually(lambda: time.time() * 1000 > self.json('show', task)['startedAt'] + 1000, 'a second has passed')
        self.assertEqual(self.json('show', task)['status'], 'running')
        self.assertEqual(len(caller.stdout.read()), 3_000_000)
        self.assertEqual(caller.wait(60), 3)

    def test_silence_ends_it(self):
        caller, _ = self.foreground('sleep 100', '--idle-timeout', '300ms')
        self.assertEqual(caller.wait(60), 124)


class Writing(InteractionTest):
    def test_what_is_written_is_read_in_order_until_the_end(self):
        task = self.sh('sort -n | tr "\\n" " "', '--stdin', 'pipe')
        self.assertEqual(self.write(task, b'3\n1\n'), (0, ''))
        self.assertEqual(self.write(task, b'2\n', '--eof'), (0, ''))
        self.assertEqual(self.finished(task)['exitCode'], 0)
        self.assertEqual(self.log(task), b'1 2 3 ')

    def test_the_command_does_not_read_an_end_before_it_is_said(self):
        task = self.sh('cat; echo end', '--stdin', 'pipe')
        self.write(task, b'still open\n')
        self.shows(task, b'still open\n')
        self.assertNotIn(b'end', self.log(task))
        self.assertEqual(self.write(task, b'', '--eof'), (0, ''))
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertEqual(self.log(task), b'still open\nend\n')

    def test_after_the_end_nothing_can_be_written(self):
        task = self.sh('cat; sleep 100', '--stdin', 'pipe')
        self.write(task, b'', '--eof')
        status, error = self.write(task, b'x')
        self.assertEqual(status, 2)
        self.assertIn('was closed', error)
        self.stop(task)

    def test_a_command_that_does_not_read_keeps_only_the_writer_waiting(self):
        go = shlex.quote(os.path.join(self.scratch, 'go'))
        task = self.sh(f'echo ready; until [ -e {go} ]; do sleep 0.02; done; wc -c', '--stdin', 'pipe')
        self.shows(task, b'ready')
        result = []
        writer = threading.Thread(target=lambda: result.append(self.write(task, b'x' * 3_000_000, '--eof')))
        writer.start()
        with open(f'/proc/{self.record(task)["runner"]["pid"]}/statm', encoding='utf-8') as f:
            pages = int(f.read().split()[1])
        self.assertEqual(self.json('show', task)['status'], 'running')  # the runner answers as ever
        self.perdure('extend', task, '--timeout', '10m', check=0)
        with open(f'/proc/{self.record(task)["runner"]["pid"]}/statm', encoding='utf-8') as f:
            self.assertLess(int(f.read().split()[1]) - pages, 64)
        self.assertEqual(result, [])
        open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8').close()
        writer.join()
        self.assertEqual(result, [(0, '')])
        self.finished(task)
        self.assertEqual(self.log(task), b'ready\n3000000\n')

    def test_a_command_that_ends_meanwhile_is_told_to_the_writer(self):
        task = self.sh('head -c 3; exec <&-; sleep 0.2', '--stdin', 'pipe')
        status, error = self.write(task, b'x' * 1_000_000)
        self.assertEqual(status, 1)
        self.assertIn('reads no more', error)
        self.finished(task)

    @staticmethod
    def target_of(pid, fd):
        try:
            return os.readlink(f'/proc/{pid}/fd/{fd}')
        except OSError:
            return ''  # closed meanwhile

    def test_a_writer_that_waits_for_its_own_input_hears_of_the_end(self):
        task = self.sh('sleep 100', '--stdin', 'pipe')
        writer = subprocess.Popen([PERDURE, '--session', self.session, 'write', task], stdin=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        # Once it is connected it holds the writing end: the command's death is what it hears of.
        eventually(lambda: any('pipe:' in self.target_of(writer.pid, n) for n in os.listdir(f'/proc/{writer.pid}/fd') if int(n) > 2),
                   'the writer holds the pipe')
        self.stop(task)
        self.assertEqual(writer.wait(30), 1)
        self.assertIn('reads no more', writer.stderr.read())
        writer.stdin.close()
        writer.stderr.close()

    def test_an_ended_task_takes_nothing(self):
        task = self.sh('true', '--stdin', 'pipe')
        self.finished(task)
        done = self.perdure('--json', 'write', task, check=1)
        self.assertEqual(json.loads(done.stdout)['error']['code'], 'task.not_running')

    def test_a_task_without_input_says_how_to_get_one(self):
        task = self.sh('sleep 100')
        status, error = self.write(task, b'x')
        self.assertEqual(status, 2)
        self.assertIn('--stdin pipe', error)
        self.stop(task)

    def test_only_the_writers_keep_the_input_open(self):
        """Neither the command itself nor another task holds a writing end."""
        other = self.sh('sleep 100', '--stdin', 'pipe')
        task = self.sh('cat | cat', '--stdin', 'pipe')
        self.assertEqual(self.write(task, b'x', '--eof'), (0, ''))
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.stop(other)


class Terminal(InteractionTest):
    def test_it_is_the_commands_own_and_controls_it(self):
        task = self.sh('[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && tty && echo to-tty > /dev/tty && stty size && ps -o sid=,pid= -p $$', '--pty')
        self.assertEqual(self.finished(task)['exitCode'], 0)
        lines = self.log(task).decode().split('\r\n')
        self.assertTrue(lines[0].startswith('/dev/pts/'), lines)
        self.assertEqual(lines[1:3], ['to-tty', '24 80'])
        self.assertEqual(len(set(lines[3].split())), 1, 'it leads a session')

    def test_it_is_as_large_as_the_callers(self):
        master, slave = pty.openpty()
        subprocess.run(['stty', 'rows', '33', 'cols', '121'], stdin=slave, check=True)
        done = subprocess.run([PERDURE, '--session', self.session, 'run', '--pty', '-c', 'stty size'], stdin=slave,
                              stdout=subprocess.PIPE, stderr=slave, text=True, check=True)
        os.close(master)
        os.close(slave)
        task = done.stdout.strip()
        self.finished(task)
        self.assertEqual(self.log(task), b'33 121\r\n')

    def test_every_byte_arrives_and_its_end_is_an_end(self):
        task = self.sh('stty -opost; i=0; while [ $i -lt 3000 ]; do printf %0100d $i; i=$((i+1)); done; exit 6', '--pty')
        self.assertEqual(self.finished(task)['exitCode'], 6)
        log = self.log(task)
        self.assertEqual(log, b''.join(b'%0100d' % i for i in range(3000)))
        self.assertEqual(self.record(task)['outputBytes'], 300_000)
        eventually(lambda: not processes_with('PERDURE_RUNNER=' + task), 'the runner has left')

    def test_what_is_written_is_typed_and_eof_is_ctrl_d(self):
        task = self.sh('read a; echo "got $a"; cat; echo end', '--pty')
        self.assertEqual(self.write(task, b'hello\n'), (0, ''))
        self.shows(task, b'got hello\r\n')
        self.assertEqual(self.write(task, b'more\n', '--eof'), (0, ''))
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertTrue(self.log(task).endswith(b'end\r\n'), self.log(task))

    def test_ctrl_c_is_a_signal_to_the_command(self):
        task = self.sh('trap "echo int; exit 7" INT; echo ready; while :; do sleep 0.02; done', '--pty')
        self.shows(task, b'ready')
        self.assertEqual(self.write(task, b'\x03'), (0, ''))
        self.assertEqual(self.finished(task)['exitCode'], 7)

    def test_L12_a_stop_ends_it_with_all_that_it_started(self):
        task = self.sh('trap "" HUP; sleep 300 & setsid sleep 301 & echo ready; sleep 302', '--pty', '--grace', '100ms')
        self.shows(task, b'ready')
        self.perdure('stop', task, check=0)
        self.assertEqual(processes_with('PERDURE_TASK_ID=' + task), [])
        self.assertEqual(self.record(task)['status'], 'killed')

    def test_a_command_that_cannot_be_started_leaves_nothing(self):
        self.perdure('run', '--pty', '--', 'no-such-command-anywhere', check=127)
        self.perdure('run', '--pty', '--', '/no/such/command', check=127)
        self.assertEqual(self.task_names(), [])

    def test_the_callers_terminal_is_none_of_its(self):
        master, slave = pty.openpty()
        done = subprocess.run([PERDURE, '--session', self.session, 'run', '--pty', '--wait', '-c', 'echo to-log'], stdin=slave,
                              stdout=subprocess.PIPE, stderr=slave, text=True, check=True)
        self.assertEqual(select.select([master], [], [], 0)[0], [])
        os.close(master)
        os.close(slave)
        self.assertEqual(self.log(done.stdout.strip()), b'to-log\r\n')


if __name__ == '__main__':
    unittest.main()
