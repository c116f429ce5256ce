"""Hooks, told by the runner itself with no manager alive: what they read, and that nothing they do delays or loses anything."""
import json
import os
import sys
import unittest
from shlex import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import RunnerTest, eventually, processes_with  # noqa: E402
from runner_harness import WAIT  # noqa: E402

STARTED, COMPLETED, FAILED, TIMED_OUT, KILLED = 1, 2, 4, 8, 16
ENDS = COMPLETED | FAILED | TIMED_OUT | KILLED


class Hooks(RunnerTest):
    def tearDown(self):
        # A hook belongs to no task any more: it is known by its event.
        for pid in self.hooks_alive():
            os.kill(pid, 9)
        super().tearDown()

    def hooks_alive(self, task=''):
        return [pid for pid in processes_with('PERDURE_EVENT_TASK=' + task) if pid in processes_with('=' + self.session)]

    def file(self, name):
        return os.path.join(self.scratch, name)

    def touch(self, name):
        with open(self.file(name), 'w', encoding='utf-8'):
            pass

    def told(self, name='told'):
        """What a hook `cat > NAME.part; mv NAME.part NAME` was told."""
        path = self.file(name)
        eventually(lambda: os.path.exists(path), f'the hook wrote {name}')
        with open(path, encoding='utf-8') as f:
            return json.load(f)

    def keep(self, name='told'):
        path = quote(self.file(name))
        return f'cat > {path}.part; mv {path}.part {path}'

    def log(self, task):
        try:
            with open(os.path.join(self.s.folder(task), 'hooks.log'), encoding='utf-8', errors='replace') as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def noted(self, task, text):
        eventually(lambda: text in self.log(task), f'hooks.log says {text!r}')

    def test_it_reads_the_event_with_the_record_and_a_notification(self):
        for line, event, status, severity, says in (
                ('exit 0', COMPLETED, 'completed', 'info', 'Exit code 0 after'),
                ('exit 3', FAILED, 'failed', 'error', 'Exit code 3 after'),
                ('kill -9 $$', FAILED, 'failed', 'error', 'Ended by signal 9 after'),
                ('sleep 100', TIMED_OUT, 'timed_out', 'warning', 'Its time was over after')):
            name = f'told-{status}-{says.split()[2]}'
            task = self.sh(line, hooks=[(event, 30_000, self.keep(name))], timeout=300 if event == TIMED_OUT else 0)
            told = self.told(name)
            self.assertEqual((told['event'], told['session'], told['cwd']), (f'task.{status}', self.session, '/'))
            self.assertEqual(told['task'], self.s.read(task))
            news = told['notification']
            self.assertEqual({k: news[k] for k in ('id', 'type', 'source_kind', 'source_id', 'severity')},
                             {'id': f'task:{task}:{status}', 'type': f'task.{status}', 'source_kind': 'background_task',
                              'source_id': task, 'severity': severity})
            self.assertEqual(news['title'], 'test: ' + status.replace('_', ' '))
            self.assertIn(says, news['body'])
            self.assertIn(task, news['body'])

    def test_the_reason_of_a_stop_is_in_the_news(self):
        task = self.sh('sleep 100', hooks=[(KILLED, 30_000, self.keep())])
        self.stop(task, reason='\\u2603 \\"enough\\"')
        told = self.told()
        self.assertEqual(told['task']['stopReason'], '☃ "enough"')
        self.assertIn('☃ "enough"', told['notification']['body'])

    def test_it_is_told_of_its_events_only(self):
        task = self.sh('exit 0', hooks=[(FAILED | TIMED_OUT | KILLED, 30_000, 'echo never'), (COMPLETED, 30_000, 'echo once')])
        self.noted(task, 'once')
        self.runner_gone(task)
        self.assertNotIn('never', self.log(task))
        self.assertEqual(self.log(task).count('task.completed: exit 0'), 1)

    def test_without_a_hook_that_wants_an_event_nothing_is_left(self):
        task = self.sh('exit 0', hooks=[(FAILED, 30_000, 'echo never')])
        self.ended(task)
        self.runner_gone(task)
        self.assertEqual(self.names_in(task), [])

    def test_it_knows_its_event_and_is_no_process_of_the_task(self):
        task = self.sh('exit 0', hooks=[(COMPLETED, 30_000, 'env; pwd')], cwd=self.scratch)
        self.noted(task, 'PERDURE_EVENT=task.completed')
        log = self.log(task)
        for line in (f'PERDURE_EVENT_TASK={task}', f'PERDURE_SESSION={self.session}', self.scratch):
            self.assertIn(line, log.splitlines())
        self.assertNotIn('PERDURE_TASK_ID', log)

    def test_it_runs_although_the_tasks_folder_is_gone(self):
        folder = self.file('work')
        os.mkdir(folder)
        task = self.sh(f'rmdir {quote(folder)}', cwd=folder, hooks=[(COMPLETED, 30_000, 'pwd')])
        self.noted(task, '\n/\n')

    def test_it_holds_nothing_of_the_runners(self):
        task = self.sh('exit 0', hooks=[(COMPLETED, 30_000, 'ls -l /proc/$$/fd')])
        self.noted(task, 'exit 0 after')
        self.assertNotIn(self.session, self.log(task).partition('\n')[2])
        self.assertEqual(self.log(task).count(' -> '), 3, self.log(task))

    def test_L34_a_hook_that_hangs_delays_nobody_and_is_killed_with_its_tree(self):
        line = 'trap "" TERM; setsid sleep 300 & (sleep 301 &); echo hangs; sleep 302'
        task = self.sh('exit 0', cap=1, hooks=[(COMPLETED, 1500, line), (COMPLETED, 30_000, 'echo quick')])
        self.assertEqual(self.ended(task)['status'], 'completed')
        self.noted(task, 'quick')  # the other one did not wait for it
        self.runner_gone_but_for_hooks(task)
        self.assertEqual(self.outcome(self.sh('exit 0', cap=1)), ('completed', 0, None))  # the slot is free
        self.noted(task, 'killed after')
        self.assertIn('hangs', self.log(task))
        self.assertEqual(self.hooks_alive(task), [])

    def runner_gone_but_for_hooks(self, task):
        pid = self.runner_pid(task)
        eventually(lambda: not os.path.exists(f'/proc/{pid}'), 'the runner has left')

    def test_L34_what_it_leaves_behind_ends_with_its_time(self):
        task = self.sh('exit 0', hooks=[(COMPLETED, 700, 'sleep 300 & echo left')])
        self.noted(task, 'exit 0, what it left running killed after')
        self.assertEqual(self.hooks_alive(task), [])

    def test_L34_failures_are_noted_and_change_nothing(self):
        hooks = [(COMPLETED, 30_000, 'exit 7'), (COMPLETED, 30_000, 'kill -9 $$'), (COMPLETED, 30_000, 'no-such-command-anywhere'),
                 (COMPLETED, 30_000, 'exec <&- >&- 2>&-'), (COMPLETED, 30_000, ')')]
        task = self.sh('exit 0', hooks=hooks)
        before = self.ended(task)
        for text in ('exit 7 after', 'signal 9 after', 'exit 127 after', ': exec <&-', 'exit 2 after'):
            self.noted(task, text)
        self.assertEqual(self.s.read(task), before)

    def test_L34_a_hook_of_the_start_neither_delays_the_end_nor_belongs_to_the_tree(self):
        go = quote(self.file('go'))
        line = f'until [ -e {go} ]; do sleep 0.02; done; echo still there'
        task = self.sh('exit 0', hooks=[(STARTED, 30_000, line)], leftovers=WAIT)
        record = self.ended(task)
        self.assertEqual(record['status'], 'completed')
        self.assertNotIn('leftovers', record)
        stopped = self.sh('sleep 100', hooks=[(STARTED, 30_000, line)])
        self.stop(stopped, 0)
        self.assertEqual(self.ended(stopped)['status'], 'killed')
        self.assertNotIn('survivors', self.s.read(stopped))
        self.touch('go')
        self.noted(task, 'still there')
        self.noted(stopped, 'still there')

    def test_the_hook_of_the_start_is_told_of_a_running_task(self):
        task = self.sh(f'until [ -e {quote(self.file("go"))} ]; do sleep 0.02; done', hooks=[(STARTED, 30_000, self.keep())])
        told = self.told()
        self.assertEqual((told['event'], told['task']['status'], told['task']['endedAt']), ('task.started', 'running', None))
        self.assertEqual(told['notification']['id'], f'task:{task}:started')
        self.touch('go')
        self.ended(task)

    def test_leftovers_do_not_delay_the_hook_of_the_end(self):
        task = self.sh('sleep 100 & exit 0', hooks=[(COMPLETED, 30_000, self.keep())])
        self.assertEqual(self.told()['task']['leftovers'], 1)
        self.assertEqual(self.s.ask(task, 'end-leftovers 0').split()[0], 'ok')
        self.runner_gone(task)

    def test_its_output_is_bounded_and_what_is_missing_is_counted(self):
        task = self.sh('exit 0', hooks=[(COMPLETED, 30_000, 'head -c 1000000 /dev/zero | tr "\\0" x')])
        self.noted(task, 'exit 0 after')
        self.assertIn(f'; {1_000_000 - 65_536} more bytes of its output were not kept]', self.log(task))
        self.assertEqual(self.log(task).partition('\n')[2], 'x' * 65_536 + '\n')

    def test_many_hooks_write_whole_blocks(self):
        hooks = [(COMPLETED, 30_000, f'for i in 1 2 3 4 5; do echo line-{n}; done') for n in range(20)]
        task = self.sh('exit 0', hooks=hooks)
        eventually(lambda: self.log(task).count('] ') + self.log(task).count(']\n') >= 20, 'all were noted')
        for n in range(20):
            self.assertIn(f'done]\n' + f'line-{n}\n' * 5, self.log(task))

    def test_a_launch_that_fails_tells_nobody(self):
        task, answer = self.s.start(['/no/such/program'], hooks=[(STARTED | ENDS, 30_000, 'echo never')])
        self.assertEqual(answer, 'exec 2')
        self.assert_nothing_of(task)


if __name__ == '__main__':
    unittest.main()
