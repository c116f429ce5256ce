"""The runner on a disk that refuses and on a machine that has run out of something."""
import json
import contextlib
import os
import resource
import shutil
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import eventually  # noqa: E402
from traced_runner import TracedTest, main  # noqa: E402


class Commit(TracedTest):
    """The terminal record. The runner's first two fsyncs and its first rename are those of the `running` record."""

    def start_traced(self, argv, *rules, **options):
        task, answer = self.traced(argv, *rules, **options)
        self.assertRegex(answer, '^running ')
        return task

    def test_a_rename_that_fails_for_a_while_is_tried_again_and_nobody_hears_of_an_end_before(self):
        task = self.start_traced(['/bin/sh', '-c', 'echo out; exit 3'], 'renameat:error=ENOSPC:when=2..3')
        self.assertEqual(self.s.await_end(task), 'ended')
        record = self.s.read(task)
        self.assertEqual((record['status'], record['exitCode'], record['outputBytes']), ('failed', 3, 4))

    def test_an_fsync_that_fails_for_a_while_is_tried_again(self):
        for rule in ('fsync:error=EIO:when=3', 'fsync:error=EIO:when=4', 'fsync:error=ENOSPC:when=3..4'):
            task = self.start_traced(['/bin/sh', '-c', 'exit 3'], rule)
            self.assertEqual(self.s.await_end(task), 'ended')
            self.assertEqual(self.outcome(task), ('failed', 3, None))

    def test_a_write_that_the_disk_refuses_for_a_while_is_tried_again_and_never_tears_the_record(self):
        # pwritev 3 and later: after the lock page and the running record.
        for rule in ('pwritev:error=ENOSPC:when=3', 'pwritev:error=ENOSPC:when=3..4', 'pwritev:error=EIO:when=3', 'ftruncate:error=EIO:when=1'):
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
            verdicts = json.loads(self.perdure('--json', 'reconcile', check=0).stdout)
            self.assertEqual([v for v in verdicts if v['changed']], [])
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


class Gate(TracedTest):
    def test_L06_what_can_not_be_recorded_never_runs(self):
        mark = os.path.join(self.scratch, 'ran')
        for rule in ('renameat:error=ENOSPC:when=1', 'fsync:error=EIO:when=1', 'fsync:error=EIO:when=2'):
            task, answer = self.traced(['/usr/bin/touch', mark], rule)
            self.assertRegex(answer, '^failed [0-9]+ write the record$', rule)
            self.assert_nothing_of(task)
            self.assertFalse(os.path.exists(mark), rule)


class Disk(TracedTest):
    def test_L25_a_log_that_the_disk_refuses_for_a_while_has_a_gap_that_is_counted_and_the_command_lives(self):
        task, _ = self.traced(['/bin/bash', '-c', 'for i in {0..9}; do echo line $i; sleep 0.03; done; exit 3'],
                              'write:error=ENOSPC:when=2..4', only='output.log')
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record['outputBytes']), ('failed', 3, 70))
        log = self.s.output(task)
        self.assertEqual(len(log) + record['unstoredBytes'], 70)
        kept = [line for line in log.decode().splitlines()]
        self.assertEqual(kept, [line for line in (f'line {i}' for i in range(10)) if line in kept])
        self.assertGreater(record['unstoredBytes'], 0)
        self.assertEqual(kept[-1], 'line 9')

    def test_L25_a_log_that_cannot_be_made_is_counted_and_the_command_lives(self):
        # Its name is taken by a link, which is not followed.
        elsewhere = os.path.join(self.scratch, 'elsewhere')
        task = self.s.new_id()
        os.makedirs(self.s.folder(task), 0o700)
        os.symlink(elsewhere, os.path.join(self.s.folder(task), 'output.log'))
        self.sh('echo hello; exit 3', task=task)
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record['outputBytes'], record['unstoredBytes']), ('failed', 3, 6, 6))
        self.assertFalse(os.path.exists(elsewhere))

    def test_L25_a_limit_on_the_size_of_files_ends_neither_the_runner_nor_the_count(self):
        task = self.start('/bin/sh', '-c', 'head -c 100000 /dev/zero; exit 3',
                          in_child=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)))
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record['outputBytes']), ('failed', 3, 100_000))
        self.assertEqual(len(self.s.output(task)), 20_000)
        self.assertEqual(record['unstoredBytes'], 80_000)


class Scarcity(TracedTest):
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
        with contextlib.suppress(ProcessLookupError):  # after an answer it may have left
            os.kill(self.runner_pid(task), signal.SIGTERM)
        self.ended(task)
        self.assertEqual(answer, 'ok')

    @unittest.skipUnless(os.geteuid() == 0, 'a limit on processes needs a user of its own, so root to become it')
    def test_a_limit_on_processes_that_passes_is_waited_for(self):
        self.assertEqual(self.at_the_limit(lives=0.15), ('running', ('failed', 3, None)))

    @unittest.skipUnless(os.geteuid() == 0, 'a limit on processes needs a user of its own, so root to become it')
    def test_a_limit_on_processes_that_stays_is_answered_and_leaves_nothing(self):
        self.assertEqual(self.at_the_limit(lives=3), ('failed 11 make a process', None))

    def at_the_limit(self, lives):
        """Two processes are allowed: the runner, and another of its user that lives so many seconds."""
        user = 100_000 + os.getpid() * 2 + (lives > 1)  # nobody else's
        runner = os.path.join(self.scratch, 'runner')
        shutil.copy(self.s.runner, runner)
        self.s.runner = runner
        task = self.s.new_id()
        os.mkdir(self.s.folder(task), 0o700)
        for path in (self.scratch, self.session, self.tasks, self.s.folder(task)):
            os.chown(path, user, user)
        def become():
            os.setgroups([])
            os.setgid(user)
            resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
            os.setuid(user)
        other = os.fork()
        if other == 0:
            os.setuid(user)
            time.sleep(lives)
            os._exit(0)
        threading.Thread(target=os.waitpid, args=(other, 0)).start()
        _, answer = self.s.start(['/bin/sh', '-c', 'exit 3'], task=task, in_child=become)
        if not answer.startswith('running'):
            self.assert_nothing_of(task)
            return answer, None
        return 'running', self.outcome(task)


if __name__ == '__main__':
    main()
