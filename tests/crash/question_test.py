"""SIGKILL to whoever asks, answers or withdraws a question, and to its runner, at each of their system calls.

Whatever the instant: the question was never asked or is open or has one end, whoever was told of an answer finds it there,
and the next one who tries finishes the work. PERDURE_CRASH_ROUNDS below 100 takes fewer of the calls.
"""
import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, eventually, processes_with  # noqa: E402
from traced_perdure import ROUNDS, TracedPerdure  # noqa: E402
from traced_runner import STRACE, main  # noqa: E402

SEED = int(os.environ.get('PERDURE_CRASH_SEED', str(random.randrange(1 << 32))))
LONG = ('--deadline', '600s')
OUTCOMES = {'answered': 'completed', 'dismissed': 'completed', 'expired': 'timed_out', 'withdrawn': 'killed'}


class QuestionCrash(TracedPerdure):
    def ask(self, *options):
        return self.perdure('ask', 'Which?', *options, check=0).stdout.strip()

    def closed(self, task):
        """The one end it has, told the same way by its record, its output and every reader."""
        self.perdure('reconcile', check=0)
        # Its runner may be between the answer and the record.
        eventually(lambda: self.log(task) == b'' or self.record(task)['status'] != 'running', 'it is recorded')
        record = self.record(task)
        outcome = record.get('questionOutcome')
        if outcome is None:
            self.assertEqual((record['status'], self.log(task)), ('running', b''), record)
            return None
        self.assertEqual(record['status'], OUTCOMES[outcome])
        self.assertNotIn('lostEvidence', record)
        self.assertEqual(outcome in ('answered', 'dismissed'), self.log(task) != b'')
        self.assertEqual(record['outputBytes'], len(self.log(task)))
        self.assertEqual(self.json('show', task)['questionOutcome'], outcome)
        eventually(lambda: not processes_with(task), 'its runner leaves')
        # L32: an end is in the outbox, or its owner does not want to hear of it.
        self.assertTrue(os.path.exists(os.path.join(self.session, 'outbox', task)))
        return outcome

    def sweep(self, args, most, judge, options):
        seen, wrong = collections.Counter(), []
        for call, which in self.instants(args(self.ask(*options)), most):
            task = self.ask(*options)
            done = self.traced(args(task), f'{call}:signal=SIGKILL:when={which}')
            try:
                seen[judge(task, done)] += 1
            except (AssertionError, OSError, ValueError, KeyError) as e:
                wrong.append(f'{call} {which}: {e}')
        print(f'{args("ID")[0]} {" ".join(options)}: {dict(seen)}', flush=True)
        self.assertFalse(wrong, '\n'.join(['', *wrong]))

    def test_the_answerer(self):
        def judge(task, _):
            before = self.closed(task)
            second = self.perdure('--json', 'answer', task, 'second')
            answer = json.loads(self.log(task))['answers']['Which?']
            self.assertEqual(self.closed(task), 'answered')
            # What a killed one had said to the runner may be heard after our look.
            self.assertIn((answer, second.returncode), [('first', 1)] if before else [('first', 1), ('second', 0)])
            return f'taken: {answer}'
        for options in ((), LONG):
            self.sweep(lambda task: ['answer', task, 'first'], 40, judge, options)

    def test_who_withdraws_it(self):
        def judge(task, _):
            before = self.closed(task)
            self.perdure('stop', task, '--reason', 'second', check=0)
            self.assertEqual(self.closed(task), 'withdrawn')
            self.assertIn(self.record(task)['stopReason'], ['first'] if before else ['first', 'second'])
            return before
        for options in ((), LONG):
            self.sweep(lambda task: ['stop', task, '--reason', 'first'], 30, judge, options)

    def test_the_asker(self):
        for options in ((), LONG):
            seen, wrong = collections.Counter(), []
            for call, which in self.instants(['ask', 'Which?', *options], 60):
                before = self.records()
                self.traced(['ask', 'Which?', *options], f'{call}:signal=SIGKILL:when={which}')
                try:
                    # Its runner may be at it still.
                    eventually(lambda: {p.split('=')[1].split('@')[0] for p in self.runners()} <= self.records(), 'recorded')
                    new = self.records() - before
                    seen[len(new)] += 1
                    self.assertLessEqual(len(new), 1)
                    self.assertEqual(self.perdure('doctor').returncode, 0)
                    for task in new:
                        self.perdure('answer', task, 'x', check=0)
                        self.assertEqual(self.closed(task), 'answered')
                except (AssertionError, OSError, ValueError, KeyError) as e:
                    wrong.append(f'{call} {which}: {e}')
            print(f'ask {" ".join(options)}: asked {seen[1]}, not {seen[0]}', flush=True)
            self.assertFalse(wrong, '\n'.join(['', *wrong]))
            for folder, _, names in os.walk(self.tasks, topdown=False):  # litter is what nobody has touched for a minute
                for name in ['.', *names]:
                    os.utime(os.path.join(folder, name), times=(time.time() - 120,) * 2)
            self.perdure('stop', '--all', check=0)
            self.perdure('gc', '--keep', '0', check=0)
            self.assertEqual(self.task_names(), [])

    def runners(self):
        found = []
        for pid in processes_with('@' + self.session):
            try:
                with open(f'/proc/{pid}/environ', encoding='utf-8') as f:
                    found += [v for v in f.read().split('\0') if v.startswith('PERDURE_RUNNER=')]
            except OSError:
                pass
        return found

    def test_the_runner(self):
        """The runner under strace from its exec on, killed at each of its calls while it is asked, answered and stopped."""
        ends = {'answer': (['--deadline', '600s'], lambda t: ['answer', t, 'first'], 'answered'),
                'stop': (['--deadline', '600s'], lambda t: ['stop', t, '--reason', 'first'], 'withdrawn'),
                'expire': (['--deadline', '30ms'], None, 'expired'),
                'default': (['--deadline', '30ms', '--default', 'first'], None, 'answered')}
        for name, (options, end, outcome) in ends.items():
            counted = self.runner_calls(options, end)
            seen, wrong = collections.Counter(), []
            most = max(5, 60 * min(ROUNDS, 100) // 100)
            for call, which in counted[::max(1, -(-len(counted) // most))]:
                before = self.records()
                self.ask_traced_then(options, f'{call}:signal=SIGKILL:when={which}', end)
                try:
                    eventually(lambda: not self.runners(), 'the runner is gone, or has committed', 30)
                    new = self.records() - before
                    if not new:
                        seen['not asked'] += 1
                        continue
                    task, = new
                    was = self.closed(task)
                    if was is None and end:
                        self.perdure(*end(task), check=0)
                    elif was is None:  # its deadline is to come, and nobody holds it
                        eventually(lambda t=task: self.closed(t), 'its deadline')
                    self.assertEqual(self.closed(task), outcome)
                    seen['recovered' if 'recovered' in self.record(task) else 'open' if was is None else 'ended'] += 1
                except (AssertionError, OSError, ValueError, KeyError) as e:
                    wrong.append(f'{name} {call} {which}: {e}')
            print(f'the runner, {name}: {dict(seen)}', flush=True)
            self.assertFalse(wrong, '\n'.join(['', *wrong]))

    def ask_traced_then(self, options, rule, end):
        """strace stays with the runner to its end."""
        line = [STRACE, '-f', '-qq', '-o', '/dev/null', '-e', 'inject=' + rule] if rule else \
               [STRACE, '-f', '-qq', '-o', os.path.join(self.scratch, 'runner-trace')]
        before = self.records()
        with subprocess.Popen([*line, PERDURE, '--session', self.session, 'ask', 'Which?', *options], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as strace:
            eventually(lambda: strace.poll() is not None or self.records() - before, 'it was asked, or nobody is left')
            for task in self.records() - before:
                if end:
                    self.perdure(*end(task))
            strace.wait(60)

    def records(self):
        names = self.task_names() if os.path.isdir(self.tasks) else []
        return {n[:-5] for n in names if n.endswith('.json') and not n.startswith('.')}

    def runner_calls(self, options, end):
        self.ask_traced_then(options, None, end)
        counted, runner = collections.Counter(), None
        with open(os.path.join(self.scratch, 'runner-trace'), encoding='utf-8', errors='replace') as f:
            lines = f.read().splitlines()
        for line in lines:
            if ' prctl(PR_SET_CHILD_SUBREAPER' in line:
                runner = line.split()[0]
        for line in lines:
            words = line.split(None, 1)
            if words[0] == runner and '(' in words[1] and words[1][0].isalpha():
                counted[words[1].split('(')[0]] += 1
        return [(call, n) for call, times in sorted(counted.items()) for n in range(1, times + 1)
                if call not in ('exit_group', 'exit')]

    def test_random_deaths_of_all_while_many_answer(self):
        rnd = random.Random(SEED)
        print(f'PERDURE_CRASH_SEED={SEED}', flush=True)
        seen = collections.Counter()
        for n in range(max(10, ROUNDS // 3)):
            task = self.ask(*(LONG if n % 2 else ()))
            told = {}
            def answer(k, task=task, told=told):
                with subprocess.Popen([PERDURE, '--session', self.session, 'answer', task, str(k)], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                    if k % 2 == 0:
                        time.sleep(rnd.uniform(0, 0.02))  # the instant is the point of the test
                        process.send_signal(signal.SIGKILL)
                    told[k] = process.wait(60)
            threads = [threading.Thread(target=answer, args=(k,)) for k in range(4)]
            for thread in threads:
                thread.start()
            if n % 4 == 3:
                time.sleep(rnd.uniform(0, 0.01))
                for pid in processes_with('PERDURE_RUNNER=' + task):
                    os.kill(pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
            self.assertEqual(self.closed(task), 'answered')  # two of the four were let live
            winner = int(json.loads(self.log(task))['answers']['Which?'])
            self.assertEqual([k for k, status in told.items() if status == 0 and k != winner], [], told)
            self.assertIn(told[winner], (0, -signal.SIGKILL), told)
            seen['killed' if told[winner] else 'told'] += 1
        print(f'the winner was {dict(seen)}', flush=True)


if __name__ == '__main__':
    main()
