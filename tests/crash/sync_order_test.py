"""D01: whatever a manager writes is durable in this order: the data, the name, and the name's folder; only then is it told.

Runners have their own test of that (runner.faults); the power-cut test builds what a wrong order leaves behind.
"""
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, eventually, is_alive  # noqa: E402
from traced_perdure import TracedPerdure  # noqa: E402
from traced_runner import STRACE, main  # noqa: E402


class ManagersSync(TracedPerdure):
    def order(self, *args, status=0):
        """The calls of the program that change the session or make it durable, with the paths of their descriptors."""
        trace = os.path.join(self.scratch, 'trace')
        done = subprocess.run([STRACE, '-f', '-b', 'execve', '-y', '-qq', '-s', '400', '-o', trace, '-e', 'trace=write,fsync,fdatasync,/^(rename|unlink)',
                               PERDURE, '--session', self.session, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        with open(trace, encoding='utf-8', errors='replace') as f:
            return [line.split(maxsplit=1)[1] for line in f if re.search(r' = \d', line)]

    def assert_durable(self, calls, name, folder='tasks'):
        """A record that was renamed into its place: synced before, its folder synced behind."""
        path = os.path.join(self.session, folder)
        renames = [n for n, call in enumerate(calls) if call.startswith('rename') and f'"{name}"' in call.rpartition(',')[0] + call]
        renames = [n for n in renames if re.search(rf'"{re.escape(name)}"[^"]*$', calls[n])]
        self.assertTrue(renames, calls)
        for at in renames:
            draft = re.search(r'"([^"]+)"', calls[at])[1]
            written = [n for n, call in enumerate(calls) if call.startswith('write(') and f'{path}/{draft}>' in call]
            synced = [n for n, call in enumerate(calls) if re.match('f(data)?sync', call) and f'{path}/{draft}>' in call]
            behind = [n for n, call in enumerate(calls) if call.startswith('fsync(') and f'<{path}>' in call and n > at]
            self.assertTrue(written and synced and written[-1] < synced[-1] < at, ['data before name', *calls])
            self.assertTrue(behind, ['and the folder last', *calls])
        return renames[-1]

    def lost(self, *options):
        task = self.sh('exec sleep 300', *options)
        record = self.record(task)
        os.kill(record['runner']['pid'], signal.SIGKILL)
        eventually(lambda: not is_alive(record['runner']['pid']), 'the runner is dead')
        os.kill(record['pid'], signal.SIGKILL)
        return task

    def test_D01_lost(self):
        task = self.lost()
        self.assert_durable(self.order('reconcile'), task + '.json')
        self.assertEqual(self.record(task)['status'], 'lost')

    def test_D01_an_acknowledgement_is_durable_before_the_entry_goes(self):
        task = self.sh('exit 3', '--owner', 'o')
        self.perdure('wait', task, check=3)
        calls = self.order('notifications', 'ack', task)
        at = self.assert_durable(calls, task + '.json')
        gone = [n for n, call in enumerate(calls) if call.startswith('unlink') and '/outbox' in call and task in call]
        self.assertTrue(gone and gone[0] > at, calls)

    def test_D01_the_end_of_a_queued_task(self):
        first = self.sh('exec sleep 300')
        env = {'PERDURE_MAX_RUNNING_TASKS': '1'}
        queued = self.sh('exit 3', '--queue', env=env)
        for name in os.listdir(os.path.join(self.session, 'queue')):
            self.assertTrue(name == 'admission.lock' or queued in name, name)
        with open(os.path.join(self.tasks, queued, 'runner.lock'), 'rb') as f:
            pid = int(f.read(32).split()[0])
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_alive(pid), 'the parked runner is dead')
        calls = self.order('stop', queued)
        at = self.assert_durable(calls, queued + '.json')
        gone = [n for n, call in enumerate(calls) if call.startswith('unlink') and '/queue' in call and queued in call]
        self.assertTrue(gone and gone[0] > at, calls)
        self.perdure('stop', first, check=0)

    def test_D01_a_question_and_its_answer(self):
        ask = self.order('ask', 'Why?')
        question = next(name[:-5] for name in self.task_names() if name.startswith('question-') and name.endswith('.json'))
        shown = self.assert_durable(ask, 'question.json', os.path.join('tasks', question))
        self.assertLess(shown, self.assert_durable(ask, question + '.json'))
        calls = self.order('answer', question, 'Because')
        given = self.assert_durable(calls, 'output.log', os.path.join('tasks', question))
        self.assertLess(given, self.assert_durable(calls, question + '.json'))


if __name__ == '__main__':
    main()
