#!/usr/bin/env python3
"""L54: what another program writes about a task of ours is a copy, whatever it says and wherever it lies."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import SessionTest, eventually, is_alive  # noqa: E402


class Copies(SessionTest):
    def copy(self, record, agent='main', **changes):
        """As a build does it that resumes the session: every task it reads is written as lost."""
        folder = os.path.join(self.session, 'agents', agent, 'tasks')
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, record['taskId'] + '.json')
        with open(path, 'w', encoding='utf-8') as f:
            json.dump({**record, 'status': 'lost', 'endedAt': record['startedAt'] + 1, **changes}, f)
        return path

    def problems(self):
        return [f for f in self.json('doctor', check=None) if f['level'] == 'problem']

    def test_L54_a_live_task_stays_running_and_ends_as_it_does(self):
        hold = os.path.join(self.scratch, 'hold')
        task = self.sh(f'echo one; while [ ! -e {hold} ]; do sleep 0.05; done; echo two; exit 3')
        eventually(lambda: self.log(task), 'it writes')
        copy = self.copy(self.record(task))
        self.assertEqual(self.json('show', task)['status'], 'running')
        self.assertEqual([t['status'] for t in self.json('list', '--all')], ['running'])
        self.assertEqual(self.perdure('output', task, check=0).stdout, 'one\n')
        self.perdure('extend', task, '--timeout', '10m', check=0)
        self.assertIn(copy, [p['what'] for p in self.problems()])
        with open(hold, 'w', encoding='utf-8'):
            pass
        self.assertEqual(self.perdure('wait', task).returncode, 3)
        self.assertEqual(self.perdure('output', task, check=0).stdout, 'one\ntwo\n')
        self.assertEqual([n['tasks'] for n in self.json('notifications')], [[task]])
        self.assertEqual([e['type'] for e in map(json.loads, self.perdure('--json', 'events', check=0).stdout.splitlines())][-1], 'task.terminated')

    def test_L54_stop_ends_the_processes_of_a_task_whose_copy_says_lost(self):
        task = self.sh('exec sleep 300')
        pid = self.record(task)['pid']
        self.copy(self.record(task))
        self.perdure('stop', task, '--reason', 'enough', check=0)
        self.assertFalse(is_alive(pid))
        self.assertEqual(self.json('show', task)['stopReason'], 'enough')

    def test_L54_a_question_can_be_answered(self):
        question = self.perdure('ask', '--choice', 'a', '--choice', 'b', 'Which?', check=0).stdout.strip()
        self.copy(self.record(question))
        self.perdure('answer', question, 'b', check=0)
        self.assertEqual(self.json('show', question)['status'], 'completed')

    def test_L54_a_queued_task_keeps_its_place(self):
        first = self.sh('exec sleep 300', env={'PERDURE_MAX_RUNNING_TASKS': '1'})
        queued = self.sh('exit 4', '--queue', env={'PERDURE_MAX_RUNNING_TASKS': '1'})
        self.copy({**self.record(first), 'taskId': queued})
        self.assertEqual({t['taskId']: t['status'] for t in self.json('list', '--all')}, {first: 'running', queued: 'queued'})
        self.assertEqual(self.json('show', queued)['status'], 'queued')
        self.perdure('stop', first, check=0)
        self.assertEqual(self.perdure('wait', queued).returncode, 4)

    def test_L54_a_copy_in_any_agents_folder_also_a_linked_one(self):
        task = self.sh('exec sleep 300')
        elsewhere = os.path.join(self.scratch, 'elsewhere')
        os.makedirs(os.path.join(elsewhere, 'tasks'))
        os.makedirs(os.path.join(self.session, 'agents'), exist_ok=True)
        os.symlink(elsewhere, os.path.join(self.session, 'agents', 'a0'))
        self.copy(self.record(task), 'a0')
        self.copy(self.record(task), 'zz')
        self.assertEqual([t['status'] for t in self.json('list', '--all')], ['running'])
        self.perdure('reconcile', '--adopt', check=0)
        self.assertEqual(self.json('show', task)['status'], 'running')
        self.perdure('stop', task, check=0)

    def test_L54_remove_removes_the_copies_too(self):
        task = self.sh('exit 0')
        self.perdure('wait', task, check=0)
        copy = self.copy(self.record(task))
        self.perdure('remove', task, check=0)
        self.assertFalse(os.path.exists(copy))
        self.assertEqual(self.json('list', '--all'), [])

    def test_L54_between_records_of_others_the_agents_own_counts(self):
        record = {'taskId': 'bash-00000001', 'command': 'x', 'description': 'x', 'status': 'completed', 'exitCode': 0,
                  'startedAt': 1, 'endedAt': 2, 'pid': 1, 'detached': True, 'kind': 'process'}
        os.makedirs(self.tasks)
        with open(self.path('bash-00000001'), 'w', encoding='utf-8') as f:
            json.dump(record, f)
        self.copy(record, status='failed', exitCode=9)
        self.assertEqual(self.json('show', 'bash-00000001')['exitCode'], 9)


if __name__ == '__main__':
    unittest.main()
