"""System calls that fail: strace makes each one that the runner makes fail once, and some of them for longer.

Whatever fails, a launch is answered or nothing of it is left; a task that runs ends with its own outcome; no record is
ever torn. strace lets go of the command at its exec, so only the runner meets the faults.
"""
import collections
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import RunnerTest, TERMINAL, eventually, processes_with  # noqa: E402
from runner_harness import TRUNCATE  # noqa: E402

STRACE = shutil.which('strace')
# What can go wrong with each call on a machine that is short of something, or has a bad disk.
FAULTS = {
    'openat': ('EMFILE', 'ENFILE', 'ENOSPC'), 'mkdirat': ('ENOSPC',), 'pwrite64': ('ENOSPC', 'EIO'), 'ftruncate': ('EIO',),
    'fsync': ('EIO', 'ENOSPC'), 'renameat': ('ENOSPC', 'EIO'), 'fallocate': ('ENOSPC', 'EOPNOTSUPP'), 'mmap': ('ENOMEM',),
    'pipe2': ('EMFILE',), 'socket': ('ENFILE',), 'bind': ('ENOSPC',), 'signalfd4': ('EMFILE',), 'timerfd_create': ('EMFILE',),
    'epoll_create1': ('EMFILE',), 'epoll_ctl': ('ENOMEM', 'ENOSPC'), 'clone': ('EAGAIN', 'ENOMEM'), 'epoll_wait': ('EINTR',),
    'read': ('EINTR',), 'accept4': ('EMFILE', 'ENFILE', 'ECONNABORTED', 'EINTR'), 'getdents64': ('ENOMEM',), 'unlinkat': ('EIO',),
    'pidfd_open': ('EMFILE',), 'write': ('ENOSPC', 'EINTR'), 'pread64': ('EIO',),
}


class Faults(RunnerTest):
    def traced(self, argv, *rules, only=None, trace='/dev/null', task=None, **options):
        """Starts a task whose runner runs under strace. `only`: rules hold for this file of the task's folder."""
        task = task or self.s.new_id()
        wrap = [STRACE, '-f', '-b', 'execve', '-qq', '-o', trace]
        if only:
            wrap += ['-P', os.path.join(self.s.folder(task), only)]
        for rule in rules:
            wrap += ['-e', 'inject=' + rule]
        return self.s.start(argv, task=task, wrap=wrap, **options)

    def calls(self, argv, during=None, **options):
        """How often the runner makes each call when nothing fails: in its whole life, and until it first waits."""
        trace = os.path.join(self.scratch, 'trace')
        task, _ = self.traced(argv, trace=trace, **options)
        if during:
            during(task)
        self.watched(task)
        runner = self.runner_pid(task)
        self.runner_gone(task)
        all_of_it, launch = collections.Counter(), collections.Counter()
        with open(trace, encoding='utf-8', errors='replace') as f:
            for line in f:
                if match := re.match(rf'{runner} +(\w+)\(', line):
                    all_of_it[match[1]] += 1
                    if all_of_it['epoll_wait'] == 0:
                        launch[match[1]] += 1
        return all_of_it, launch

    def watched(self, task, seconds=30):
        """The terminal record; every look on the way sees a whole one."""
        def look():
            record = self.s.read(task)
            self.assertTrue(record['status'] == 'running' or record['status'] in TERMINAL, record)
            return record if record['status'] != 'running' else None
        return eventually(look, f'{task} ended', seconds)

    def sweep(self, argv, during, check, only=None, launch_too=True, errors=9, **options):
        """Each call fails once, with each error: (how the runs went, what went wrong)."""
        runs = collections.Counter()
        wrong = []
        all_of_it, launch = self.calls(argv(), during, **options)
        for call in sorted(set(all_of_it) & set(only or FAULTS)):
            for error in FAULTS[call][:errors]:
                for n in range(1 if launch_too else launch[call] + 1, all_of_it[call] + 1):
                    problem = self.one(f'{call}:error={error}:when={n}', argv(), during, check, runs, **options)
                    if problem:
                        wrong.append(f'{call} {error} {n}: {problem}')
        return runs, wrong

    def one(self, rule, argv, during, check, runs, **options):
        task, answer = self.s.new_id(), None
        try:
            _, answer = self.traced(argv, rule, task=task, patience=5, **options)
            if not answer.startswith('running'):
                runs['refused'] += 1
                eventually(lambda: not self.members(task), 'nothing runs')
                self.assertFalse(os.path.exists(self.s.record(task)), 'a record was left')
                self.assertFalse(os.path.exists(argv[-1]), 'it was refused, and ran')
                self.assertRegex(answer, r'^(failed \d+ \w.*)?$')
                return None
            runs['ran'] += 1
            if during:
                during(task)
            record = self.watched(task)
            check(task, record)
            self.runner_gone(task)
            return None
        except (AssertionError, OSError, ValueError) as e:
            return f'{answer!r}: {e}'
        finally:
            for pid in processes_with(f'{task}@{self.session}'):
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass

    def assert_none(self, wrong):
        self.assertFalse(wrong, '\n'.join(['', *wrong]))

    def test_every_call_may_fail_once_in_the_life_of_an_ordinary_task(self):
        runs = 0
        def argv():
            nonlocal runs
            runs += 1
            return ['/bin/sh', '-c', 'echo out; : > "$0"; exit 3', os.path.join(self.scratch, f'ran-{runs}')]
        def check(task, record):
            self.assertEqual((record['status'], record['exitCode'], record.get('stopReason')), ('failed', 3, None))
            self.assertEqual(record['outputBytes'], 4)
            self.assertEqual(len(self.s.output(task)) + record.get('unstoredBytes', 0), 4)
        # A gate or an answer that can't be written is nothing that a machine short of something does.
        counted, wrong = self.sweep(argv, None, check, only=set(FAULTS) - {'write'})
        print(f'an ordinary task, {sum(counted.values())} single faults: {dict(counted)}')
        self.assertGreater(sum(counted.values()), 100)
        self.assert_none(wrong)

    def test_L12_every_call_may_fail_once_while_a_task_is_stopped(self):
        runs = 0
        def argv():
            nonlocal runs
            runs += 1
            return ['/bin/bash', '-c', "trap '' TERM; setsid sleep 300 & (sleep 301 &); : > \"$0\"; sleep 302; sleep 303",
                    os.path.join(self.scratch, f'ran-{runs}')]
        def during(task):
            eventually(lambda: len(self.members(task)) >= 4, 'it runs')
            # A hang-up is an answer, too: ask again. Silence is none.
            eventually(lambda: self.s.ask(task, 'stop 20 enough', timeout=5) == 'ok', 'the stop is taken', 5)
        def check(task, record):
            self.assertEqual((record['status'], record['exitCode'], record['stopReason']), ('killed', None, 'enough'))
            self.assertEqual(self.members(task), [], 'somebody survived the stop')
        counted, wrong = self.sweep(argv, during, check, launch_too=False, errors=1)
        print(f'a stopped task, {sum(counted.values())} single faults: {dict(counted)}')
        self.assertGreater(sum(counted.values()), 50)
        self.assert_none(wrong)

    def test_L24_L25_every_byte_is_counted_whichever_call_fails_while_output_is_dropped(self):
        def argv():
            return ['/bin/bash', '-c', 'for i in {1..40}; do printf "%0999d\\n" $i; done; exit 3', '/nowhere']
        def check(task, record):
            self.assertEqual((record['status'], record['exitCode'], record['outputBytes']), ('failed', 3, 40_000))
            log = re.sub(rb'\n\[perdure: \d+ bytes dropped here\]\n', b'', self.s.output(task))
            missing = record.get('droppedBytes', 0) + record.get('unstoredBytes', 0)
            self.assertEqual(len(log) + missing, 40_000, f"{len(log)} stored, {record.get('droppedBytes')} dropped, "
                             f"{record.get('unstoredBytes')} unstored")
        counted, wrong = self.sweep(argv, None, check, only={'write', 'openat', 'pread64', 'unlinkat'}, launch_too=False, errors=1,
                                    limit=12_000, on_limit=TRUNCATE)
        print(f'a task that exceeds its budget, {sum(counted.values())} single faults: {dict(counted)}')
        self.assertGreater(sum(counted.values()), 10)
        self.assert_none(wrong)


class Commit(Faults):
    """The terminal record. The runner's first two fsyncs and its first rename are those of the `running` record."""

    def start_traced(self, argv, *rules, **options):
        task, answer = self.traced(argv, *rules, **options)
        self.assertRegex(answer, '^running ')
        return task

    def test_a_rename_that_fails_for_a_while_is_tried_again_and_nobody_hears_of_an_end_before(self):
        task = self.start_traced(['/bin/sh', '-c', 'echo out; exit 3'], 'renameat:error=ENOSPC:when=2..3')
        self.assertEqual(self.s.ask(task, 'wait'), 'ended')
        record = self.s.read(task)
        self.assertEqual((record['status'], record['exitCode'], record['outputBytes']), ('failed', 3, 4))

    def test_an_fsync_that_fails_for_a_while_is_tried_again(self):
        for rule in ('fsync:error=EIO:when=3', 'fsync:error=EIO:when=4', 'fsync:error=ENOSPC:when=3..4'):
            task = self.start_traced(['/bin/sh', '-c', 'exit 3'], rule)
            self.assertEqual(self.s.ask(task, 'wait'), 'ended')
            self.assertEqual(self.outcome(task), ('failed', 3, None))

    def test_a_write_that_the_disk_refuses_for_a_while_is_tried_again_and_never_tears_the_record(self):
        # pwrite64 8 and later: after lock page, holder, seq, three parts of the running record, the gate's note.
        for rule in ('pwrite64:error=ENOSPC:when=10', 'pwrite64:error=ENOSPC:when=11', 'pwrite64:error=EIO:when=12', 'ftruncate:error=EIO:when=3'):
            task = self.start_traced(['/bin/sh', '-c', 'exit 3'], rule)
            self.assertEqual(self.watched(task)['exitCode'], 3)
            self.runner_gone(task)

    def test_the_lock_is_held_while_the_commit_is_refused(self):
        # So nobody may call the task lost.
        task = self.start_traced(['/bin/sh', '-c', 'exit 3'], 'renameat:error=ENOSPC:when=2..3')
        eventually(lambda: self.s.read(task)['pid'] not in self.members(task), 'the command has ended')
        self.assertEqual(self.s.read(task)['status'], 'running')
        shown = json.loads(self.perdure('--json', 'show', task, check=0).stdout)
        if self.s.read(task)['status'] == 'running':
            self.assertNotIn('runnerGone', shown)
            self.assertEqual(json.loads(self.perdure('--json', 'reconcile', check=0).stdout), [])
        self.assertEqual(self.outcome(task), ('failed', 3, None))

    def test_what_a_runner_had_decided_survives_its_kill_while_the_disk_refuses(self):
        # For each decision: the disk refuses for good, the runner is killed, the manager commits what was decided.
        for line, during, expected in (('exit 3', None, ('failed', 3, None, None)), ('kill -9 $$', None, ('failed', None, 9, None)),
                                       ('sleep 300', 'stop', ('killed', None, 15, 'enough')), ('sleep 300', 'deadline', ('timed_out', None, 15, None))):
            task = self.start_traced(['/bin/sh', '-c', 'exec ' * line.startswith('sleep') + line], 'renameat:error=EIO:when=2+',
                                     timeout=100 if during == 'deadline' else 0)
            if during == 'stop':
                self.stop(task)
            def noted():
                with open(os.path.join(self.s.folder(task), 'runner.lock'), 'rb') as f:
                    page = f.read()
                return page[256] and page[512]
            eventually(noted, 'end and decision are noted')
            eventually(lambda: not self.members(task), 'the command is gone')
            os.kill(self.runner_pid(task), signal.SIGKILL)
            self.runner_gone(task)
            self.assertEqual(self.s.read(task)['status'], 'running')
            self.perdure('reconcile', check=0)
            record = self.s.read(task)
            self.assertEqual((record['status'], record['exitCode'], record.get('signal'), record.get('stopReason')), expected, line)
            self.assertTrue(record['recovered'])
            self.assertNotIn('lostEvidence', record)


class Disk(Faults):
    def test_L25_a_log_that_the_disk_refuses_for_a_while_has_a_gap_that_is_counted_and_the_command_lives(self):
        task, _ = self.traced(['/bin/bash', '-c', 'for i in {0..9}; do echo line $i; sleep 0.03; done; exit 3'],
                              'write:error=ENOSPC:when=3..5', only='output.log')
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record['outputBytes']), ('failed', 3, 70))
        log = self.s.output(task)
        self.assertEqual(len(log) + record['unstoredBytes'], 70)
        kept = [line for line in log.decode().splitlines()]
        self.assertEqual(kept, [line for line in (f'line {i}' for i in range(10)) if line in kept])
        self.assertGreater(record['unstoredBytes'], 0)
        self.assertEqual(kept[-1], 'line 9')

    def test_L25_a_log_that_cannot_be_made_is_counted_and_the_command_lives(self):
        task, _ = self.traced(['/bin/sh', '-c', 'echo hello; exit 3'], 'openat:error=ENOSPC', only='output.log')
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record['outputBytes'], record['unstoredBytes']), ('failed', 3, 6, 6))

    def test_L25_a_limit_on_the_size_of_files_ends_neither_the_runner_nor_the_count(self):
        task = self.start('/bin/sh', '-c', 'head -c 100000 /dev/zero; exit 3',
                          in_child=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)))
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record['outputBytes']), ('failed', 3, 100_000))
        self.assertEqual(len(self.s.output(task)), 20_000)
        self.assertEqual(record['unstoredBytes'], 80_000)


class Scarcity(Faults):
    def test_epoll_wait_may_be_interrupted_for_ever_and_again(self):
        task, _ = self.traced(['/bin/sh', '-c', 'echo a; sleep 0.05; echo b; exit 3'], 'epoll_wait:error=EINTR:when=1+2')
        self.assertEqual(self.outcome(task), ('failed', 3, None))
        self.assertEqual(self.s.output(task), b'a\nb\n')

    def test_a_runner_that_could_not_accept_for_a_moment_listens_again(self):
        # Nobody is connected: no client's leaving could remind it.
        task, _ = self.traced(['/bin/sh', '-c', 'exec sleep 300'], 'accept4:error=ENFILE:when=1..3')
        try:
            answer = self.s.ask(task, 'stop 0 enough', timeout=5)
        except TimeoutError:
            answer = 'nothing within 5 s'
        os.kill(self.runner_pid(task), signal.SIGTERM)
        self.ended(task)
        self.assertEqual(answer, 'ok')

    @unittest.skipUnless(os.geteuid() == 0, 'a limit on processes needs a user of its own, so root to become it')
    def test_a_limit_on_processes_that_passes_is_waited_for(self):
        self.assertEqual(self.at_the_limit(reap_after=0.05), ('running', ('failed', 3, None)))

    @unittest.skipUnless(os.geteuid() == 0, 'a limit on processes needs a user of its own, so root to become it')
    def test_a_limit_on_processes_that_stays_is_answered_and_leaves_nothing(self):
        self.assertEqual(self.at_the_limit(reap_after=None), ('failed 11 make a process', None))

    def at_the_limit(self, reap_after):
        """Two processes are allowed: the first one of the runner, a zombie until it is reaped, and the second."""
        import threading
        user = 54_321
        for path in (self.scratch, self.session, self.tasks):
            os.chown(path, user, user)
        task = self.s.new_id()
        os.mkdir(self.s.folder(task), 0o700)
        os.chown(self.s.folder(task), user, user)
        def become():
            os.setgroups([])
            os.setgid(user)
            resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
            os.setuid(user)
        real = os.waitpid
        runner = os.path.join(self.scratch, 'runner')
        shutil.copy(self.s.runner, runner)
        self.s.runner = runner
        reaped = threading.Event()
        if reap_after is not None:
            def reap():
                reaped.wait(reap_after)
                real(-1, 0)
            threading.Thread(target=reap, daemon=True).start()
            os.waitpid = lambda *_: None
        try:
            _, answer = self.s.start(['/bin/sh', '-c', 'exit 3'], task=task, in_child=become)
        finally:
            os.waitpid = real
        if not answer.startswith('running'):
            self.assert_nothing_of(task)
            return answer, None
        return 'running', self.outcome(task)


if __name__ == '__main__':
    if not STRACE or subprocess.run([STRACE, '-qq', 'true'], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        print('skipped: strace is not there, or may not trace here')
        sys.exit(77)
    unittest.main()
