"""Many at once, and a real build that loses everybody who watches it."""
import json
import os
import signal
import subprocess
import sys
import unittest
from shlex import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SOURCE, SessionTest, eventually, processes_with  # noqa: E402


class Crowd(SessionTest):
    def test_200_tasks_from_8_processes_at_once(self):
        starters = [subprocess.Popen(['sh', '-c', f'for n in $(seq {25 * k} {25 * k + 24}); do '
                                      f'{quote(PERDURE)} --session {self.session} run --label n=$n -c "echo out $n; exit $((n % 5))" || echo failed; done'],
                                     stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) for k in range(8)]
        ids = [line for s in starters for line in s.communicate(timeout=120)[0].split()]
        self.assertEqual(len(ids), 200)
        self.assertEqual(len(set(ids)), 200, 'no id twice')
        self.perdure('wait')
        records = {r['taskId']: r for r in self.json('list', '--all')}
        self.assertEqual(set(records), set(ids), 'no record lost')
        for task, record in records.items():
            n = int(record['labels']['n'])
            self.assertEqual(record['exitCode'], n % 5)
            self.assertEqual(record['status'], 'completed' if n % 5 == 0 else 'failed')
            self.assertEqual(self.log(task), f'out {n}\n'.encode())
        self.assertEqual({int(r['labels']['n']) for r in records.values()}, set(range(200)))

    def test_two_who_stop_one_task_both_hear_the_same(self):
        task = self.sh("trap '' TERM; echo ready; sleep 100; sleep 100", '--grace', '0.3')
        eventually(lambda: self.log(task), 'it is ready')
        stops = [subprocess.Popen([PERDURE, '--session', self.session, '--json', 'stop', task, '--reason', f'number {n}'], stdout=subprocess.PIPE,
                                  text=True, stdin=subprocess.DEVNULL) for n in range(6)]
        answers = {s.communicate(timeout=60)[0] for s in stops}
        self.assertEqual(len(answers), 1)
        self.assertIn('number', json.loads(answers.pop())[0]['stopReason'])

    def test_many_who_reconcile_one_killed_runner_settle_it_once(self):
        tasks = [self.sh('sleep 100') for _ in range(5)]
        for task in tasks:
            os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
        at_once = [subprocess.Popen([PERDURE, '--session', self.session, '--json', 'reconcile'], stdout=subprocess.PIPE, text=True,
                                    stdin=subprocess.DEVNULL) for _ in range(8)]
        changed = [v['taskId'] for p in at_once for v in json.loads(p.communicate(timeout=60)[0]) if v['changed']]
        self.perdure('reconcile', check=0)
        for task in tasks:
            self.assertEqual(self.record(task)['lostEvidence'], 'runner_killed')
        self.assertEqual(len(changed), len(set(changed)))


class RealBuild(SessionTest):
    """This project's own base library, compiled by make and a compiler: the main job on real input."""

    def test_a_build_outlives_everybody_who_watches_it(self):
        folder = os.path.join(self.scratch, 'build')
        os.mkdir(folder)
        base = os.path.join(SOURCE, 'src', 'base')
        sources = [os.path.join(base, n) for n in ('error.cpp', 'utf8.cpp', 'file_lock.cpp')]
        objects = [os.path.basename(s).replace('.cpp', '.o') for s in sources]
        with open(os.path.join(folder, 'Makefile'), 'w', encoding='utf-8') as f:
            f.write('libbase.a: ' + ' '.join(objects) + '\n\tar rcs $@ $^\n\t@echo built $@\n')
            for source, obj in zip(sources, objects):
                f.write(f"{obj}: {source.replace(' ', chr(92) + ' ')}\n\tg++ -std=c++23 -O0 -I'{SOURCE}/src' -I'{SOURCE}/include' -c '{source}' -o {obj}\n")
        # A shell that starts the build, a program that waits for it, one that follows its output: all are killed.
        watcher = subprocess.Popen([PERDURE, '--session', self.session, 'run', '--wait', '--cwd', folder, '--', 'make', '-j2'],
                                   stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, start_new_session=True)
        task = watcher.stdout.readline().strip()
        follower = subprocess.Popen([PERDURE, '--session', self.session, 'output', task, '--follow'], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for process in (watcher, follower):
            process.kill()
            process.wait()
        watcher.stdout.close()
        self.assertEqual(self.record(task)['status'], 'running')
        self.assertTrue(processes_with('PERDURE_TASK_ID=' + task))
        self.perdure('wait', task, check=0)
        record = self.record(task)
        self.assertEqual((record['status'], record['exitCode']), ('completed', 0))
        log = self.log(task)
        self.assertEqual(len(log), record['outputBytes'])
        self.assertTrue(log.endswith(b'built libbase.a\n'), log)
        self.assertEqual(log.count(b'g++ -std=c++23'), 3)
        self.assertTrue(os.path.exists(os.path.join(folder, 'libbase.a')))

    def test_a_build_that_fails_says_so_with_its_exit_code_and_its_errors(self):
        source = os.path.join(self.scratch, 'broken.cpp')
        with open(source, 'w', encoding='utf-8') as f:
            f.write('int main() { return nonsense; }\n')
        task = self.run_task('--', 'g++', '-c', source, '-o', os.path.join(self.scratch, 'broken.o'))
        self.perdure('wait', task, check=1)
        self.assertEqual(self.record(task)['exitCode'], 1)
        self.assertIn(b'nonsense', self.log(task))


if __name__ == '__main__':
    unittest.main()
