"""How a task ends, seen from the runner: each outcome, launches that fail, signals to the runner itself."""
import contextlib
import os
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import RunnerTest, eventually, is_alive  # noqa: E402
from runner_harness import HEADER, KILL, MAGIC, VERSION  # noqa: E402


class Outcome(RunnerTest):
    def test_L17_exit_0_is_completed(self):
        self.assertEqual(self.outcome(self.sh('exit 0')), ('completed', 0, None))

    def test_L17_every_other_exit_code_is_failed_and_kept(self):
        for code in (1, 2, 125, 126, 127, 128, 143, 255):
            self.assertEqual(self.outcome(self.sh(f'exit {code}')), ('failed', code, None))

    def test_L17_a_signal_of_its_own_is_failed_with_the_signal_and_no_exit_code(self):
        for number in (signal.SIGHUP, signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM):
            self.assertEqual(self.outcome(self.sh(f'ulimit -c 0; kill -{int(number)} $$')), ('failed', None, number))

    def test_L09_a_deadline_gives_timed_out_whatever_the_command_then_says(self):
        for code in (0, 7):
            task = self.sh(f"trap 'exit {code}' TERM; echo ready; while :; do sleep 0.02; done", timeout=100)
            record = self.ended(task)
            self.assertEqual((record['status'], record['exitCode'], record.get('stopReason')), ('timed_out', code, None))

    def test_L09_a_stop_after_the_deadline_changes_nothing(self):
        task = self.sh("trap 'echo term' TERM; while :; do sleep 0.02; done", timeout=100, grace=60000)
        self.ready(task, b'term')
        self.stop(task, 0, 'too late')
        record = self.ended(task)
        self.assertEqual((record['status'], record.get('stopReason')), ('timed_out', None))

    def test_L08_a_deadline_never_fires_early(self):
        for timeout in (1, 50, 200):
            record = self.ended(self.sh('sleep 100', timeout=timeout))
            self.assertEqual(record['status'], 'timed_out')
            self.assertGreaterEqual(record['endedAt'] - record['startedAt'], timeout)
            self.assertEqual(record['timeoutMs'], timeout)

    def test_L08_without_a_deadline_none_is_in_the_record(self):
        self.assertNotIn('timeoutMs', self.ended(self.sh('exit 0', timeout=0)))

    def test_L07_a_deadline_that_did_not_fire_leaves_nothing_behind(self):
        task = self.sh('exit 0', timeout=600_000)
        self.ended(task)
        self.runner_gone(task)
        self.assertEqual(self.names_in(task), [])

    def test_L13_the_reason_is_kept_to_the_last_byte(self):
        reason = '\\u2603' * 566 + 'abcd'
        self.assertEqual(len(reason), 3400)
        task = self.sh('sleep 100')
        self.stop(task, 0, reason)
        record = self.ended(task)
        self.assertEqual((record['status'], record['stopReason']), ('killed', '☃' * 566 + 'abcd'))

    def test_L13_a_reason_that_is_too_long_or_no_json_is_refused_and_stops_nothing(self):
        task = self.sh('echo ready; sleep 100')
        self.ready(task)
        for reason in ('x' * 3401, 'a"b', 'a\\', 'a\\x', '\\u12', '\\u12g4', 'caf\u00e9', 'tab\there'):
            self.assertEqual(self.s.ask(task, 'stop 0 ' + reason), 'error 22', reason)
        self.assertEqual(self.s.read(task)['status'], 'running')
        self.stop(task)
        self.assertEqual(self.ended(task)['stopReason'], 'enough')

    def test_L14_exit_within_the_grace_is_killed_with_the_reason_and_the_exit_code(self):
        task = self.sh("trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done")
        self.ready(task)
        self.stop(task, reason='why')
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record['stopReason']), ('killed', 9, 'why'))

    def test_the_first_of_two_stops_gives_the_reason_and_the_second_can_only_hurry(self):
        task = self.sh("trap 'echo term' TERM; echo ready; while :; do sleep 0.02; done")
        self.ready(task)
        self.stop(task, 60000, 'first')
        self.ready(task, b'term')
        self.stop(task, 0, 'second')
        record = self.ended(task)
        self.assertEqual((record['status'], record['stopReason'], record['signal']), ('killed', 'first', 9))

    def test_an_exit_before_the_stop_is_taken_wins(self):
        pipe = os.path.join(self.scratch, 'pipe')
        os.mkfifo(pipe)
        task = self.sh(f'echo ready; read line < {pipe}; exit 8')
        self.ready(task)
        command, runner = self.s.read(task)['pid'], self.runner_pid(task)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(os.path.join(self.s.folder(task), 'control'))
            client.sendall(b'output\n')
            client.recv(512)  # it is connected: what is sent now is read before the runner looks at its signals
            os.kill(runner, signal.SIGSTOP)
            client.sendall(b'stop 60000 late\n')
            with open(pipe, 'w', encoding='utf-8') as f:
                f.write('\n')
            eventually(lambda: not is_alive(command), 'the command has ended')
            os.kill(runner, signal.SIGCONT)
            with contextlib.suppress(ConnectionError):  # the task may be over before there is an answer
                client.recv(512)
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record.get('stopReason')), ('failed', 8, None))

    def test_L45_an_owners_stop_is_in_the_record(self):
        task = self.sh('sleep 100')
        self.stop(task, verb='stop-quietly')
        self.assertTrue(self.ended(task)['terminalNotificationSuppressed'])

    def test_L45_an_owners_stop_after_a_natural_end_does_not_suppress_the_news(self):
        # leftovers=kill: between the command's own end and the record there is time for a stop.
        task = self.sh("(trap 'echo term' TERM; touch up; while :; do sleep 0.02; done) & until [ -e up ]; do sleep 0.02; done; exit 0",
                       leftovers=KILL, grace=1500, cwd=self.scratch)
        self.ready(task, b'term')
        self.stop(task, verb='stop-quietly')
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record.get('stopReason')), ('completed', 0, None))
        self.assertNotIn('terminalNotificationSuppressed', record)

    def test_stop_owned_stops_only_what_that_owner_owns(self):
        task = self.sh('sleep 100', owner='agent-me')
        self.assertEqual(self.s.ask(task, 'stop-owned 0 agent-you'), 'no')
        self.assertEqual(self.s.ask(task, 'stop-owned 0 '), 'no')
        self.assertEqual(self.s.read(task)['status'], 'running')
        self.assertEqual(self.s.ask(task, 'stop-owned 0 agent-me'), 'ok')
        self.assertEqual(self.ended(task)['status'], 'killed')

    def test_a_signal_reaches_the_commands_group_and_decides_nothing(self):
        task = self.sh("trap 'echo usr1' USR1; echo ready; while ! [ -e stop ]; do sleep 0.02; done; exit 3", cwd=self.scratch)
        self.ready(task)
        self.assertEqual(self.s.ask(task, f'signal {int(signal.SIGUSR1)}'), 'ok')
        self.ready(task, b'usr1')
        open(os.path.join(self.scratch, 'stop'), 'w', encoding='utf-8').close()
        self.assertEqual(self.outcome(task), ('failed', 3, None))

    def late_look(self, behind, **options):
        """The record of a command that exited, with `behind` left, after its deadline but before its runner looked at either."""
        task = self.sh(f"{behind} & echo ready; until [ -e go ]; do sleep 0.02; done", timeout=500, cwd=self.scratch, **options)
        self.ready(task)
        runner, command = self.runner_pid(task), self.s.read(task)['pid']
        os.kill(runner, signal.SIGSTOP)
        due = time.monotonic() + 0.6
        eventually(lambda: time.monotonic() > due, 'the deadline is over')
        open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8').close()
        def is_zombie():
            with open(f'/proc/{command}/stat', encoding='utf-8') as f:
                return f.read().rpartition(')')[2].split()[0] == 'Z'
        eventually(is_zombie, 'the command exited')
        os.kill(runner, signal.SIGCONT)
        return task, self.ended(task)

    def test_L09_an_exit_that_the_deadline_finds_counts_and_what_is_kept_lives_on(self):
        task, record = self.late_look('sleep 300')
        self.assertEqual((record['status'], record['exitCode'], record['leftovers']), ('completed', 0, 1))
        self.assertEqual(self.s.ask(task, 'output'), 'output 6 0 0')
        self.assertEqual(len(self.members(task)), 1)
        self.assertEqual(self.s.ask(task, 'end-leftovers 0').split()[0], 'ok')
        self.runner_gone(task)

    def test_L12_an_exit_that_the_deadline_finds_leaves_the_others_their_grace(self):
        behind = "(trap 'sleep 0.1; echo heard; exit' TERM; while :; do sleep 0.02; done)"
        task, record = self.late_look(behind, leftovers=KILL, grace=20_000)
        self.assertEqual((record['status'], record['exitCode']), ('completed', 0))
        self.assertIn(b'heard', self.s.output(task))


class EventNumbers(RunnerTest):
    def test_D13_numbers_grow_although_the_clock_was_set_back(self):
        ahead = (int(time.time()) + 86400) * 1_000_000  # given out before the clock was set back by a day
        with open(os.path.join(self.session, 'seq'), 'wb') as f:
            f.write(ahead.to_bytes(8, sys.byteorder))
        first, second = (self.ended(self.sh('exit 0')) for _ in range(2))
        self.assertEqual([first['startedSeq'], first['endedSeq'], second['startedSeq'], second['endedSeq']],
                         [ahead + n for n in (1, 2, 3, 4)])


class Launch(RunnerTest):
    def test_a_command_that_is_not_there_is_answered_and_leaves_nothing(self):
        task, answer = self.s.start(['/no/such/program'])
        self.assertEqual(answer, 'exec 2')
        self.assert_nothing_of(task)

    def test_a_command_that_may_not_be_run_is_answered_and_leaves_nothing(self):
        plain = os.path.join(self.scratch, 'plain')
        with open(plain, 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\n')
        for program in (plain, self.scratch):
            task, answer = self.s.start([program])
            self.assertEqual(answer, 'exec 13')
            self.assert_nothing_of(task)

    def test_a_folder_that_is_not_there_is_answered_and_leaves_nothing(self):
        task, answer = self.s.start(['/bin/true'], cwd='/no/such/folder')
        self.assertEqual(answer, 'cwd 2')
        self.assert_nothing_of(task)

    def test_L01_over_the_cap_nothing_of_the_command_runs(self):
        first = self.sh('sleep 100', cap=1)
        mark = os.path.join(self.scratch, 'ran')
        task, answer = self.s.start(['/usr/bin/touch', mark], cap=1)
        self.assertEqual(answer, 'limit 1 1')
        self.assert_nothing_of(task)
        self.assertFalse(os.path.exists(mark))
        self.stop(first)
        self.ended(first)

    def test_L03_a_slot_is_free_when_its_runner_was_killed(self):
        for _ in range(5):
            task = self.start('/bin/sleep', '100', cap=1)
            command = self.s.read(task)['pid']
            os.kill(self.runner_pid(task), signal.SIGKILL)
            self.runner_gone(task)
            os.kill(command, signal.SIGKILL)
        self.assertEqual(self.outcome(self.sh('exit 4', cap=1)), ('failed', 4, None))

    def test_L01_a_cap_counts_tasks_that_were_started_without_one(self):
        others = [self.sh('sleep 100') for _ in range(3)]
        self.assertEqual(self.s.start(['/bin/true'], cap=3)[1], 'limit 3 3')
        self.assertEqual(self.s.start(['/bin/true'], cap=2)[1], 'limit 3 2')
        self.assertTrue(self.s.start(['/bin/true'], cap=4)[1].startswith('running'))
        for task in others:
            self.stop(task)
            self.ended(task)

    def test_L01_of_30_at_once_a_cap_of_4_lets_4_in(self):
        import concurrent.futures
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: self.s.start(['/bin/sleep', '100'], cap=4), range(30)))
        running = [task for task, answer in answers if answer.startswith('running')]
        self.assertEqual(len(running), 4)
        self.assertEqual({answer for _, answer in answers if not answer.startswith('running')}, {'limit 4 4'})
        for task in running:
            self.stop(task)
            self.ended(task)

    def test_a_second_runner_of_the_same_task_is_refused_and_harms_nothing(self):
        task = self.sh('echo ready; sleep 100')
        self.ready(task)
        before = self.s.read(task)
        _, answer = self.s.start(['/bin/true'], task=task)
        self.assertTrue(answer.startswith('failed 11 '), answer)
        self.assertEqual(self.s.read(task), before)
        self.stop(task)
        self.assertEqual(self.ended(task)['status'], 'killed')

    def test_a_specification_that_is_no_such_thing_is_refused_and_leaves_nothing(self):
        def header(**changes):
            values = dict(magic=MAGIC, version=VERSION, total=HEADER.size, timeout=0, idle=0, grace=0, limit=0, detach=-1, memory=0, cpu=0,
                          pids=0, delay=0, inode=0, user=0, mode=0, on_timeout=0, stream=0, priority=0, on=0, left=0, cap=0, sync=0, argc=1, envc=0,
                          hooks=0, input=0, rows=0, columns=0, command=0, only_event=0, stop_signal=0, restart=0, restart_max=0, unused=0)
            values.update(changes)
            return HEADER.pack(*values.values())
        words = b'"taskId":"x"\0\0\0\0/bin/true\0/\0\0true\0"session":"/"\0x\0\0\0\0'
        whole = HEADER.size + len(words)
        for name, text in {
                'empty': b'', 'short': b'PDR1', 'header alone': header(), 'another version': header(version=VERSION + 1, total=whole) + words,
                'another magic': header(magic=1, total=whole) + words, 'total too small': header(total=whole - 1) + words,
                'total too large': header(total=whole + 1) + words, 'no arguments': header(total=whole, argc=0) + words,
                'more arguments than words': header(total=whole, argc=50) + words,
                'more hooks than words': header(total=whole, hooks=1) + words,
                'huge counts': header(total=whole, argc=0xFFFFFFFF, envc=0xFFFFFFFF) + words,
                'last word not ended': header(total=whole - 1) + words[:-1],
        }.items():
            task, answer = self.s.start(['/bin/true'], spec=text)
            self.assertTrue(answer.startswith('failed 22 '), f'{name}: {answer!r}')
            self.assert_nothing_of(task)

    def test_a_command_larger_than_an_exec_takes_is_answered_and_leaves_nothing(self):
        task, answer = self.s.start(['/bin/true', 'x' * (200 * 1024)])
        self.assertEqual(answer, 'exec 7')
        self.assert_nothing_of(task)

    def test_a_long_command_line_is_handed_over_whole(self):
        words = [str(n) * 9 for n in range(10_000)]
        task = self.start('/bin/echo', *words)
        self.assertEqual(self.outcome(task), ('completed', 0, None))
        self.assertEqual(self.s.output(task).decode().split(), words)

    def test_a_session_whose_path_is_longer_than_a_socket_address_works(self):
        long = os.path.join(self.session, *['folder-' + 'x' * 90] * 8)
        self.s = type(self.s)(long, self.s.runner)
        task = self.sh('exit 6')
        self.assertEqual(self.outcome(task), ('failed', 6, None))


class Signals(RunnerTest):
    def test_hangup_interrupt_and_others_do_nothing_to_the_runner(self):
        os.mkfifo(os.path.join(self.scratch, 'pipe'))
        task = self.sh('echo ready; read line < pipe; exit 8', cwd=self.scratch)
        self.ready(task)
        runner = self.runner_pid(task)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2,
                       signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGXFSZ):
            os.kill(runner, number)
        self.assertRegex(self.s.ask(task, 'output'), '^output 6 0 0$')
        self.assertTrue(is_alive(runner))
        with open(os.path.join(self.scratch, 'pipe'), 'w', encoding='utf-8') as f:
            f.write('\n')
        self.assertEqual(self.outcome(task), ('failed', 8, None))

    def test_sigterm_to_the_runner_stops_the_task_and_says_so(self):
        task = self.sh("trap '' TERM; echo ready; sleep 100; sleep 100", grace=50)
        self.ready(task)
        os.kill(self.runner_pid(task), signal.SIGTERM)
        record = self.ended(task)
        self.assertEqual((record['status'], record['signal']), ('killed', 9))
        self.assertIn('terminate', record['stopReason'])
        self.assertEqual(self.members(task), [])

    def test_started_with_signals_ignored_and_blocked_the_command_is_clean(self):
        def confuse():
            for number in range(1, 32):
                if number not in (signal.SIGKILL, signal.SIGSTOP):
                    signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
        task = self.start('/bin/grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status', in_child=confuse)
        self.assertEqual(self.outcome(task)[0], 'completed')
        self.assertEqual([int(line.split()[1], 16) for line in self.s.output(task).decode().splitlines()], [0, 0])

    def test_started_with_descriptors_0_1_and_2_closed_all_is_well(self):
        for closed in ((0,), (1,), (2,), (0, 1, 2)):
            task = self.sh('echo out; echo err >&2; exit 5', in_child=lambda c=closed: [os.close(n) for n in c])
            self.assertEqual(self.outcome(task), ('failed', 5, None))
            self.assertEqual(self.s.output(task), b'out\nerr\n')

    def test_started_with_stderr_being_a_pipe_that_nobody_reads_all_is_well(self):
        def broken_stderr():
            read_end, write_end = os.pipe()
            os.dup2(write_end, 2)
            os.close(read_end)
            os.close(write_end)
        task = self.sh('exit 5', in_child=broken_stderr)
        self.assertEqual(self.outcome(task), ('failed', 5, None))

    def test_the_command_has_no_descriptor_but_its_three(self):
        task = self.start('/bin/ls', '/proc/self/fd')
        self.ended(task)
        self.assertEqual(self.s.output(task).split(), [b'0', b'1', b'2', b'3'])  # 3 is ls's own, for the folder

    def test_the_runner_is_no_child_of_whoever_started_it_and_has_its_own_session(self):
        task = self.sh('echo ready; sleep 100')
        self.ready(task)
        runner = self.runner_pid(task)
        self.assertEqual(os.getsid(runner), runner)
        with open(f'/proc/{runner}/stat', encoding='utf-8') as f:
            self.assertNotEqual(int(f.read().rpartition(')')[2].split()[1]), os.getpid())
        self.stop(task)
        self.ended(task)

    def test_an_answer_that_nobody_waits_for_changes_nothing(self):
        # The manager is SIGKILLed between the start and the answer: the pipe has no reader.
        def nobody_reads():
            read_end, write_end = os.pipe()
            os.dup2(write_end, 4)
            os.close(read_end)
            os.close(write_end)
        task, answer = self.s.start(['/bin/bash', '-c', 'echo ran; exit 5'], in_child=nobody_reads)
        self.assertEqual(answer, '')
        eventually(lambda: os.path.exists(self.s.record(task)), 'a record')
        self.assertEqual(self.outcome(task), ('failed', 5, None))
        self.assertEqual(self.s.output(task), b'ran\n')


if __name__ == '__main__':
    unittest.main()
