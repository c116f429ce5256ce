"""A test of perdure-runner alone: no manager, no library, only the contract of src/contract."""
import json
import os

from runner_harness import Session
from session import RUNNER, SessionTest, eventually, is_alive, processes_with

TERMINAL = {'completed', 'failed', 'timed_out', 'killed'}


class RunnerTest(SessionTest):
    def setUp(self):
        super().setUp()
        self.s = Session(self.session, RUNNER)

    def tearDown(self):
        try:
            super().tearDown()
        finally:
            for caller in self.s.callers.values():
                caller.close()
            for pid in self.s.wrappers:
                os.waitpid(pid, 0)

    def start(self, *argv, **options):
        """Starts the command and returns its task id; it runs by then."""
        task, answer = self.s.start(list(argv), **options)
        self.assertRegex(answer, r'^running [1-9][0-9]* [1-9][0-9]*( ,"status":"running",.*})?$')
        return task

    def sh(self, line, **options):
        return self.start('/bin/bash', '-c', line, **options)

    def ended(self, task, seconds=30):
        """The record once it is terminal; each look at it is a whole record or the test fails."""
        self.s.ask(task, 'wait', timeout=seconds)
        return eventually(lambda: (lambda r: r if r['status'] in TERMINAL else None)(self.s.read(task)), f'{task} ended', seconds)

    def outcome(self, task):
        record = self.ended(task)
        return record['status'], record['exitCode'], record.get('signal')

    def runner_pid(self, task):
        return self.s.read(task)['runner']['pid']

    def runner_gone(self, task):
        eventually(lambda: not processes_with('PERDURE_RUNNER=' + task), 'the runner has left')

    def members(self, task):
        """Living processes of the command, the runner not among them."""
        return processes_with(f'PERDURE_TASK_ID={task}')

    def ready(self, task, word=b'ready'):
        eventually(lambda: word in self.s.output(task), f'the command says {word!r}')

    def stop(self, task, grace=-1, reason='enough', verb='stop'):
        self.assertEqual(self.s.ask(task, f'{verb} {grace} {reason}'), 'ok')

    def names_in(self, task):
        try:
            return sorted(os.listdir(self.s.folder(task)))
        except FileNotFoundError:
            return []

    def assert_nothing_of(self, task):
        """No record, no lock, no socket, no process."""
        self.assertFalse(os.path.exists(self.s.record(task)))
        self.assertEqual(self.names_in(task), [])
        self.runner_gone(task)
        self.assertEqual(self.members(task), [])


def read_json(path):
    with open(path, encoding='utf-8') as f:
        return json.load(f)


__all__ = ['RunnerTest', 'eventually', 'is_alive', 'processes_with', 'read_json']
