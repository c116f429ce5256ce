"""The program on a machine that is short of something: each of its own system calls fails once.

It succeeds, or it says what went wrong, with the code and the exit status of an error; in both cases the session is
whole, the same command works afterwards, and nothing runs that is not recorded.
"""
import collections
import json
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import eventually, processes_with  # noqa: E402
from traced_perdure import TracedPerdure  # noqa: E402
from traced_runner import main  # noqa: E402

FAULTS = {
    'openat': ('EMFILE', 'ENOSPC'), 'open': ('EMFILE',), 'mkdir': ('ENOSPC',), 'mkdirat': ('ENOSPC',), 'write': ('ENOSPC',), 'pwrite64': ('ENOSPC',),
    'fsync': ('EIO',), 'rename': ('ENOSPC',), 'renameat': ('ENOSPC',), 'renameat2': ('ENOSPC',), 'linkat': ('ENOSPC',), 'ftruncate': ('EIO',),
    'pipe2': ('EMFILE',), 'memfd_create': ('EMFILE',), 'clone': ('EAGAIN',), 'clone3': ('EAGAIN',), 'vfork': ('EAGAIN',), 'socket': ('EMFILE',),
    'connect': ('EAGAIN',), 'poll': ('EINTR',), 'ppoll': ('EINTR',), 'epoll_wait': ('EINTR',), 'wait4': ('EINTR',), 'unlink': ('EIO',),
    'unlinkat': ('EIO',), 'getdents64': ('EIO',), 'fcntl': ('ENOLCK',), 'pread64': ('EIO',), 'pidfd_open': ('EMFILE',), 'timerfd_create': ('EMFILE',),
    'epoll_create1': ('EMFILE',), 'inotify_init1': ('EMFILE',), 'newfstatat': ('EIO',), 'fstat': ('EIO',), 'rmdir': ('EIO',),
}


class ManagerFaults(TracedPerdure):
    def instants_of_faults(self, args):
        return [(call, error, n) for call, n, line in self.calls(['--json', *args])
                if not re.search(r' write\([12],', line) for error in FAULTS.get(call, ())]

    def each(self, args, prepare, judge, most=100):
        self.fresh('dry')
        wrong, results = [], collections.Counter()
        instants = self.instants_of_faults(args(prepare()))
        for n, (call, error, which) in enumerate(instants[::-(-len(instants) // most)]):
            self.fresh(n)
            try:
                task = prepare()
                done = self.traced(['--json', *args(task)], f'{call}:error={error}:when={which}', seconds=20)
                self.assertGreaterEqual(done.returncode, 0, 'it crashed')
                self.assertTrue(done.stdout, done.stderr)
                answer = json.loads(done.stdout)
                error_code = answer['error']['code'] if isinstance(answer, dict) and 'error' in answer else None
                self.assertEqual(error_code is None, done.returncode in (0, 3), done.stdout)
                if error_code:
                    self.assertTrue(answer['error']['message'].strip())
                    self.assertIn('perdure: ', done.stderr)
                    self.assertNotEqual(error_code, 'task.not_found', answer['error']['message'])
                results[error_code] += 1
                judge(task, error_code, answer)
            except (AssertionError, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as e:
                wrong.append(f'{call} {error} {which}: {e}')
                self.perdure('stop', '--all')
        self.fresh('dry')
        self.perdure('stop', '--all')
        print(f'{args("x")[0]}: {sum(results.values())} single faults: {dict(results)}', flush=True)
        self.assertFalse(wrong, '\n'.join(['', *wrong]))

    def settled(self):
        self.perdure('wait')
        self.perdure('reconcile', check=0)
        eventually(lambda: not processes_with('@' + self.session + '\0'), 'nobody is left', 5)
        return {r['taskId']: r for r in self.json('list', '--all')}

    def test_run(self):
        def judge(_, error, __):
            records = self.settled()
            self.assertEqual([(r['status'], r['exitCode']) for r in records.values()], [] if error else [('failed', 3)])
            self.assertEqual(os.path.exists(self.session + '.ran'), not error, 'it ran exactly if that was said')
            self.assertEqual(self.finished(self.sh('exit 4'))['exitCode'], 4)
        self.each(lambda _: ['run', '-c', ': > $PERDURE_SESSION.ran; exit 3'], lambda: None, judge)

    def test_stop(self):
        def judge(task, error, _):
            if not error:
                self.assertEqual(self.record(task)['status'], 'killed')
            self.perdure('stop', task, check=0)
            self.assertEqual(self.settled()[task]['status'], 'killed')
        self.each(lambda task: ['stop', task], lambda: self.sh('sleep 300 & sleep 301'), judge)

    def test_wait(self):
        def judge(task, error, _):
            self.assertEqual(self.settled()[task]['exitCode'], 3)
        self.each(lambda task: ['wait', task], lambda: self.sh('sleep 0.1; exit 3'), judge)

    def test_list_says_what_it_could_not_read_or_lists_everything(self):
        def prepare():
            task = self.sh('exit 3')
            self.perdure('wait', task, check=3)
            return task
        def judge(task, error, answer):
            if not error:
                self.assertEqual([(r['taskId'], r['exitCode']) for r in answer], [(task, 3)])
            self.assertEqual(self.settled()[task]['exitCode'], 3)
        self.each(lambda _: ['list', '--all'], prepare, judge)

    def test_reconcile(self):
        def prepare():
            task = self.sh('setsid sleep 300 & sleep 301')
            eventually(lambda: len(processes_with('PERDURE_TASK_ID=' + task)) >= 3, 'it runs')
            os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
            eventually(lambda: not processes_with('PERDURE_RUNNER=' + task), 'the runner is gone')
            return task
        def judge(task, error, _):
            self.assertIn(self.record(task)['status'], ('running', 'lost'))
            record = self.settled()[task]
            self.assertEqual((record['status'], record['exitCode'], record['lostEvidence']), ('lost', None, 'runner_killed'))
        self.each(lambda _: ['reconcile'], prepare, judge)


if __name__ == '__main__':
    main()
