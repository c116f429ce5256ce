"""SIGKILL to the runner at each of its system calls: not at random instants but at all that there are.

Afterwards `perdure reconcile` settles it: what was decided is kept, what was not is lost with evidence, what never
started left nothing, and nobody survives. PERDURE_CRASH_ROUNDS below 100 takes fewer of the calls.
"""
import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import TERMINAL, eventually, processes_with  # noqa: E402
from runner_harness import TRUNCATE  # noqa: E402
from traced_runner import TracedTest, main  # noqa: E402

ROUNDS = int(os.environ.get('PERDURE_CRASH_ROUNDS', '100'))
DECISION_AT = 512  # in runner.lock, see src/contract/lock_page.h


class EachCall(TracedTest):
    def calls(self, argv, during, **options):
        trace = os.path.join(self.scratch, 'trace')
        task, _ = self.traced(argv, trace=trace, **options)
        if during:
            during(task)
        self.watched(task)
        runner = self.runner_pid(task)
        self.runner_gone(task)
        counted = collections.Counter()
        with open(trace, encoding='utf-8', errors='replace') as f:
            for line in f:
                if (match := re.match(rf'{runner} +(\w+)\(', line)) and match[1] != 'exit_group':
                    counted[match[1]] += 1
        return [(call, n) for call, times in sorted(counted.items()) for n in range(1, times + 1)]

    def kill_at_each(self, argv, during, outcomes, most, **options):
        calls = self.calls(argv('/dev/null'), during, **options)
        most = max(5, most * min(ROUNDS, 100) // 100)
        step = max(1, len(calls) // most)
        ends = collections.Counter()
        wrong = []
        for call, n in calls[::step]:
            task = self.s.new_id()
            mark = os.path.join(self.scratch, task)
            try:
                _, answer = self.traced(argv(mark), f'{call}:signal=SIGKILL:when={n}', task=task, patience=10, **options)
                if during and answer.startswith('running') and processes_with('PERDURE_RUNNER=' + task):
                    during(task)
                ends[self.judge(task, mark, outcomes)] += 1
            except (AssertionError, OSError, ValueError) as e:
                wrong.append(f'{call} {n}: {e}')
            finally:
                self.end_everything(task)
        print(f'{sum(ends.values())} of {len(calls)} instants: {dict(ends)}', flush=True)
        self.assertFalse(wrong, '\n'.join(['', *wrong]))

    def judge(self, task, mark, outcomes):
        eventually(lambda: not processes_with('PERDURE_RUNNER=' + task) or self.terminal(task), 'the runner is gone, or has committed', 10)
        decided = self.decided(task)
        active = os.path.join(self.session, 'active', task)
        if os.path.exists(self.s.record(task)) and not self.terminal(task):
            self.assertTrue(os.path.exists(active), 'L66, D05: a task that may live has no entry in active/')
        self.perdure('reconcile', check=0)
        eventually(lambda: not processes_with(f'{task}@{self.session}'), 'nobody survives reconcile', 5)
        if not os.path.exists(self.s.record(task)):
            self.assertFalse(os.path.exists(mark), 'it ran without a record')
            return 'nothing'
        record = self.s.read(task)
        if os.path.exists(active):  # it was killed behind its commit, perhaps after the first look
            eventually(lambda: not processes_with('PERDURE_RUNNER=' + task), 'the runner is gone', 10)
            self.perdure('reconcile', check=0)
        self.assertFalse(os.path.exists(active), 'D08: an entry of a task that has ended')
        self.assertIn(record['status'], TERMINAL | {'lost'})
        self.assertTrue(os.path.exists(os.path.join(self.session, 'outbox', task)), 'L32: an end that nobody is told of')
        outcome = (record['status'], record['exitCode'], record.get('signal'))
        if record['status'] != 'lost':
            self.assertNotIn('lostEvidence', record)
            self.assertIn(outcome, outcomes)
            return 'recovered' if record.get('recovered') else 'committed'
        self.assertFalse(decided, f'it had been decided, and is lost: {record}')
        self.assertIn(record['lostEvidence'], ('runner_killed', 'never_started'))
        self.assertEqual((record['exitCode'], record.get('stopReason')), (None, None))
        if record['lostEvidence'] == 'never_started':
            self.assertFalse(os.path.exists(mark), 'it ran, and is said not to have started')
        return record['lostEvidence']

    def terminal(self, task):
        return os.path.exists(self.s.record(task)) and self.s.read(task)['status'] in TERMINAL

    def decided(self, task):
        try:
            with open(os.path.join(self.s.folder(task), 'runner.lock'), 'rb') as f:
                return f.read()[DECISION_AT:DECISION_AT + 1] not in (b'', b'\0')
        except FileNotFoundError:
            return False

    def end_everything(self, task):
        for pid in processes_with(f'{task}@{self.session}'):
            try:
                os.kill(pid, 9)
            except OSError:
                pass

    def test_in_the_life_of_an_ordinary_task(self):
        # Signal 9: it was the child that was hit, between its fork and its exec.
        self.kill_at_each(lambda mark: ['/bin/sh', '-c', 'echo out; : > "$0"; exit 3', mark], None,
                          {('failed', 3, None), ('failed', None, 9)}, most=250)

    def test_while_a_task_is_stopped(self):
        def during(task):
            eventually(lambda: len(self.members(task)) >= 4 or not processes_with('PERDURE_RUNNER=' + task), 'it runs', 10)
            try:
                self.s.ask(task, 'stop 20 enough', timeout=5)
            except TimeoutError:
                pass
        self.kill_at_each(lambda mark: ['/bin/bash', '-c', "trap '' TERM; setsid sleep 300 & (sleep 301 &); : > \"$0\"; sleep 302; sleep 303", mark],
                          during, {('killed', None, 9), ('killed', None, None), ('failed', None, 9)}, most=150)

    def test_while_output_is_dropped(self):
        self.kill_at_each(lambda mark: ['/bin/bash', '-c', ': > "$0"; for i in {1..40}; do printf "%0999d\\n" $i; done; exit 3', mark], None,
                          {('failed', 3, None), ('failed', None, 9)}, most=80, limit=12_000, on_limit=TRUNCATE)


if __name__ == '__main__':
    main()
