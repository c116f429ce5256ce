"""Foreground tasks: what a caller sees, and what becomes of the task without that caller."""
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
import unittest
from shlex import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, is_alive, processes_with  # noqa: E402

DETACHED = 75


class ForegroundTest(SessionTest):
    def foreground(self, line, *options, stdout=subprocess.PIPE, **kw):
        """The program with a task in its foreground; whoever calls it waits for it."""
        started = subprocess.Popen([PERDURE, '--session', self.session, 'run', '--foreground', *options, '-c', line], stdout=stdout,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **kw)
        self.addCleanup(started.wait, 60)
        self.addCleanup(started.stderr.close)
        if started.stdout:
            self.addCleanup(started.stdout.close)
        return started

    def only_task(self):
        """The id of the one task that is active."""
        return eventually(lambda: (self.json('list') or [None])[0], 'the task is listed')['taskId']

    def go(self):
        """A shell line that waits until let_go() was called."""
        return f'until [ -e {quote(self.gate())} ]; do sleep 0.01; done'

    def gate(self):
        return os.path.join(self.scratch, 'go')

    def let_go(self):
        with open(self.gate(), 'w', encoding='utf-8'):
            pass

    def names_below_tasks(self):
        return sorted(os.path.join(where, name) for where, folders, names in os.walk(self.tasks) for name in [*folders, *names])


class AnOrdinaryCommand(ForegroundTest):
    def test_its_output_and_its_outcome_are_the_callers(self):
        for line, status in (('echo out; echo err >&2', 0), ('exit 3', 3), ('kill -TERM $$', 128 + 15)):
            done = self.perdure('run', '--foreground', '-c', line)
            self.assertEqual(done.returncode, status, line)
        self.assertEqual(self.perdure('run', '--foreground', '-c', 'echo out; echo err >&2').stdout, 'out\nerr\n')
        self.assertEqual(self.perdure('run', '--foreground', '--', '/nowhere').returncode, 127)

    def test_L27_L42_it_leaves_nothing(self):
        for line in ('echo out', 'exit 3', 'head -c 300000 /dev/zero'):
            self.perdure('run', '--foreground', '-c', line)
            self.assertEqual(self.task_names(), [], line)
        self.assertEqual(self.json('list', '--all'), [])
        self.assertEqual(self.perdure('events').stdout, '')

    def test_L27_while_it_runs_its_output_has_no_name(self):
        caller = self.foreground(f'echo out; {self.go()}; echo more')
        self.assertEqual(caller.stdout.readline(), b'out\n')
        names = [os.path.basename(n) for n in self.names_below_tasks()]
        self.assertEqual(sorted(names), sorted([self.only_task(), 'control', 'runner.lock']))
        self.let_go()
        self.assertEqual(caller.communicate(timeout=60)[0], b'more\n')

    def test_L02_it_takes_no_slot(self):
        cap = {'PERDURE_MAX_RUNNING_TASKS': '1'}
        background = self.sh('sleep 100', env=cap)
        self.assertEqual(self.perdure('run', '--foreground', '-c', 'echo out', env=cap, check=0).stdout, 'out\n')
        caller = self.foreground(self.go(), env={**os.environ, **cap})
        task = eventually(lambda: [t['taskId'] for t in self.json('list') if t['taskId'] != background], 'it is listed')[0]
        self.perdure('detach', task, check=0)
        self.assertEqual(caller.wait(60), DETACHED)
        self.assertEqual({t['taskId'] for t in self.json('list')}, {background, task})
        self.perdure('stop', '--all', check=0)

    def test_all_of_a_large_output_arrives_whatever_the_budget_is(self):
        done = subprocess.run(f'{quote(PERDURE)} --session {quote(self.session)} run --foreground --output-limit 64KiB -- '
                              'seq 3000000 | cksum', shell=True, stdout=subprocess.PIPE, check=True, timeout=120)
        expected = subprocess.run('seq 3000000 | cksum', shell=True, stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout, expected.stdout)
        self.assertEqual(self.task_names(), [])

    def test_a_reader_that_has_gone_ends_it(self):
        caller = self.foreground('while :; do echo y; done')
        self.assertEqual(caller.stdout.readline(), b'y\n')
        caller.stdout.close()
        self.assertEqual(caller.wait(60), 141)
        self.assertEqual(self.json('list'), [])

    def test_others_find_it_read_it_and_wait_for_it(self):
        caller = self.foreground(f'echo out; {self.go()}; exit 3')
        caller.stdout.readline()
        task = self.only_task()
        shown = self.json('show', task)
        self.assertEqual((shown['status'], shown['detached'], shown['output']['preview']), ('running', False, 'out\n'))
        self.assertNotIn('outputPath', {k for k, v in shown['output'].items() if v})
        self.assertEqual(self.perdure('output', task, check=0).stdout, 'out\n')
        waiter = subprocess.Popen([PERDURE, '--session', self.session, 'wait', task], stdout=subprocess.DEVNULL)
        eventually(lambda: task in self.waiting_for(waiter.pid), 'it waits')
        self.let_go()
        self.assertEqual((caller.wait(60), waiter.wait(60)), (3, 3))

    @staticmethod
    def waiting_for(pid):
        with open(f'/proc/{pid}/cmdline', encoding='utf-8') as f, open(f'/proc/{pid}/wchan', encoding='utf-8') as w:
            return f.read() if 'poll' in w.read() else ''

    def test_what_it_leaves_behind_is_not_forgotten(self):
        done = self.perdure('run', '--foreground', '-c', 'sleep 300 > /dev/null 2>&1 & echo out')
        self.assertEqual((done.returncode, done.stdout), (0, 'out\n'))
        task = [n for n in self.task_names() if n.endswith('.json')][0].removesuffix('.json')
        record = self.record(task)
        self.assertEqual((record['status'], record['detached'], record['leftovers']), ('completed', False, 1))
        listed = self.json('list')
        self.assertEqual([(t['status'], t['hasLeftovers']) for t in listed], [('completed', True)], 'L57')
        self.assertEqual(self.json('show', task)['exitCode'], 0, 'L42: by its id it can be read')
        self.perdure('stop', task, check=0)
        self.assertEqual(processes_with(f'{task}@{self.session}'), [])

    def test_when_its_runner_is_killed_it_is_lost_and_nothing_of_it_is_left(self):
        caller = self.foreground('echo out; sleep 300')
        caller.stdout.readline()
        task = self.only_task()
        os.kill(processes_with(f'PERDURE_RUNNER={task}@')[0], signal.SIGKILL)
        self.assertEqual(caller.wait(60), 125)
        self.assertEqual(processes_with(f'{task}@{self.session}'), [])
        self.assertEqual(self.task_names(), [])

    def test_wrong_usage_is_told(self):
        for args in (['--foreground', '--wait'], ['--on-timeout', 'detach'], ['--detach-timeout', '5s'],
                     ['--foreground', '--detach-keys', 'x'], ['--foreground', '--detach-keys', 'ctrl-c'], ['--foreground', '--queue']):
            self.perdure('run', *args, '-c', f'touch {self.gate()}', check=2)
        self.assertFalse(os.path.exists(self.gate()))


class Detaching(ForegroundTest):
    half = 5 << 20

    def ten_mebibytes(self):
        half = f'head -c {self.half} /dev/zero | tr "\\0"'
        return f'{half} a; {self.go()}; {half} b; exit 3'

    def assert_whole(self, task):
        record = self.finished(task)
        self.assertEqual((record['status'], record['exitCode'], record['detached']), ('failed', 3, True))
        self.assertEqual(self.log(task), b'a' * self.half + b'b' * self.half)

    def read_half(self, caller):
        have = b''
        while len(have) < self.half:
            have += caller.stdout.read1(1 << 16)
        self.assertEqual(have, b'a' * self.half)

    def test_L27_the_log_has_all_of_it(self):
        caller = self.foreground(self.ten_mebibytes())
        self.read_half(caller)
        task = self.only_task()
        detached = self.json('detach', task)
        self.assertEqual((detached['status'], detached['detached']), ('running', True))
        self.assertEqual((caller.wait(60), caller.stderr.read().decode().strip()), (DETACHED, task))
        self.let_go()
        self.assert_whole(task)

    def test_L27_the_log_has_all_of_it_when_the_caller_is_killed(self):
        caller = self.foreground(self.ten_mebibytes())
        self.read_half(caller)
        task = self.only_task()
        caller.kill()
        caller.wait()
        eventually(lambda: self.record(task)['detached'] if os.path.exists(self.path(task)) else False, 'it is detached')
        self.let_go()
        self.assert_whole(task)

    def test_L24_a_tail_behind_the_budget_is_kept_too(self):
        line = f'seq 100000; {self.go()}; seq 100001 200000'
        caller = self.foreground(line, '--output-limit', '200KiB')
        eventually(lambda: b'100000\n' in caller.stdout.read1(1 << 20), 'the first half')
        task = self.only_task()
        self.perdure('detach', task, check=0)
        self.let_go()
        record = self.finished(task)
        whole = b''.join(b'%d\n' % i for i in range(1, 200001))
        log = self.log(task)
        self.assertEqual(record['outputBytes'], len(whole))
        self.assertEqual(log[:102400], whole[:102400])
        self.assertEqual(log[-102400:], whole[-102400:])
        self.assertEqual(record['droppedBytes'], len(whole) - 204800)

    def test_a_reader_that_does_not_read_holds_up_only_itself(self):
        read_end, write_end = os.pipe()
        caller = self.foreground('while :; do echo y; done', stdout=write_end)
        os.close(write_end)
        task = self.only_task()
        eventually(lambda: len(select.select([read_end], [], [], 0)[0]) == 1, 'it writes')
        self.perdure('detach', task, check=0)
        eventually(lambda: os.path.getsize(os.path.join(self.tasks, task, 'output.log')) > 1 << 20, 'it goes on')
        self.perdure('stop', task, check=0)
        os.close(read_end)
        caller.wait(60)

    def test_L44_detaching_what_is_in_the_background_or_has_ended_changes_nothing(self):
        task = self.sh('sleep 100', '--timeout', '100s')
        before = self.record(task)
        self.assertEqual(self.json('detach', task, '--timeout', '5s')['timeoutMs'], 100_000)
        self.assertEqual(self.record(task), before)
        self.perdure('stop', task, check=0)
        ended = self.record(task)
        self.perdure('detach', task, check=0)
        self.assertEqual(self.record(task), ended)
        self.perdure('detach', 'bash-00000000', check=1)

    def test_L11_L44_the_deadline_follows(self):
        for options, argument, expected in (([], [], 100_000), (['--detach-timeout', '60s'], [], 60_000), ([], ['--timeout', '50s'], 50_000),
                                            (['--detach-timeout', '60s'], ['--timeout', '0'], None)):
            caller = self.foreground('sleep 300', '--timeout', '100s', *options)
            task = self.only_task()
            self.perdure('detach', task, *argument, check=0)
            self.assertEqual(self.record(task).get('timeoutMs'), expected, (options, argument))
            caller.wait(60)
            self.perdure('stop', task, check=0)

    def test_L11_the_deadline_counts_from_the_moment_of_detaching(self):
        caller = self.foreground('sleep 300', '--timeout', '100s')
        task = self.only_task()
        self.perdure('detach', task, '--timeout', '300ms', check=0)
        since = time.time() * 1000
        self.assertEqual(self.perdure('wait', task).returncode, 124)
        self.assertGreater(self.record(task)['endedAt'] - since, 200)
        caller.wait(60)

    def test_L10_its_deadline_stops_it(self):
        done = self.perdure('run', '--foreground', '--timeout', '200ms', '-c', 'echo out; sleep 300')
        self.assertEqual((done.returncode, done.stdout), (124, 'out\n'))
        self.assertEqual(self.task_names(), [])

    def test_L10_or_its_deadline_detaches_it(self):
        done = self.perdure('run', '--foreground', '--timeout', '200ms', '--on-timeout', 'detach', '--detach-timeout', '400ms', '-c',
                            'echo out; sleep 300')
        self.assertEqual((done.returncode, done.stdout), (DETACHED, 'out\n'))
        task = done.stderr.strip()
        record = self.finished(task)
        self.assertEqual((record['status'], record['timeoutMs']), ('timed_out', 400))
        self.assertGreater(record['endedAt'] - record['startedAt'], 500)

    def test_L42_it_is_started_when_it_is_detached(self):
        caller = self.foreground(self.go())
        task = self.only_task()
        self.assertEqual(self.perdure('events').stdout, '')
        self.perdure('detach', task, check=0)
        self.assertIn('task.started', self.perdure('events').stdout)
        self.let_go()
        caller.wait(60)
        self.finished(task)


class AtATerminal(ForegroundTest):
    def at_terminal(self, line, *options):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(PERDURE, [PERDURE, '--session', self.session, 'run', '--foreground', *options, '-c', line])
        self.addCleanup(os.close, terminal)
        return pid, terminal

    def read_until(self, terminal, word):
        seen = b''
        until = time.monotonic() + 30
        while word not in seen:
            self.assertLess(time.monotonic(), until, seen)
            if select.select([terminal], [], [], 1)[0]:
                seen += os.read(terminal, 4096)
        return seen

    def status(self, pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_ctrl_c_stops_it(self):
        pid, terminal = self.at_terminal('echo ready; sleep 300')
        self.read_until(terminal, b'ready')
        os.write(terminal, b'\x03')
        self.assertEqual(self.status(pid), 143)
        self.assertEqual(self.json('list'), [])

    def test_a_second_ctrl_c_does_not_wait(self):
        pid, terminal = self.at_terminal("trap '' TERM; echo ready; while :; do sleep 300; done", '--grace', '100s')
        self.read_until(terminal, b'ready')
        os.write(terminal, b'\x03')
        time.sleep(0.1)
        os.write(terminal, b'\x03')
        self.assertEqual(self.status(pid), 143)

    def test_the_detach_key_detaches_it(self):
        for options, key in (([], b'\x1c'), (['--detach-keys', 'ctrl-]'], b'\x1d')):
            pid, terminal = self.at_terminal('echo ready; sleep 300', *options)
            self.read_until(terminal, b'ready')
            eventually(lambda: termios.tcgetattr(terminal)[6][termios.VQUIT] == key, 'the key is set')
            os.write(terminal, key)
            self.assertEqual(self.status(pid), DETACHED)
            self.assertEqual(termios.tcgetattr(terminal)[6][termios.VQUIT], b'\x1c', 'the terminal is as it was')
            task = self.only_task()
            self.assertIn(task.encode(), self.read_until(terminal, task.encode()))
            self.perdure('stop', task, check=0)

    def test_a_terminal_that_closes_detaches_it(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(PERDURE, [PERDURE, '--session', self.session, 'run', '--foreground', '-c', 'echo ready; sleep 300'])
        self.read_until(terminal, b'ready')
        os.close(terminal)
        self.status(pid)
        task = self.only_task()
        eventually(lambda: os.path.exists(self.path(task)), 'it is detached')
        self.assertTrue(self.record(task)['detached'])
        self.assertTrue(is_alive(self.record(task)['pid']))
        self.perdure('stop', task, check=0)


if __name__ == '__main__':
    unittest.main()
