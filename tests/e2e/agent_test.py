"""Subagents as tasks: admission, names, resuming, deadlines and ends, and what survives a SIGKILL."""
import os
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from agent_case import AgentTest, eventually  # noqa: E402
from session import PERDURE, processes_with  # noqa: E402


class Admission(AgentTest):
    def test_L01_over_the_cap_no_agent_is_started(self):
        self.configure(cap=1, mock={})
        task = self.sh('sleep 300')
        refused = self.perdure('agent', '--agent', 'mock', 'say hello', check=1)
        self.assertIn('max_running_tasks', refused.stderr)
        self.assertFalse(os.path.exists(self.marker), 'the agent was started')
        self.assertEqual(self.names(), {task, task + '.json'})
        self.perdure('stop', task, check=0)
        self.assertEqual(self.finished(self.agent('say hello'))['status'], 'completed')

    def test_L03_what_is_refused_gives_its_slot_back(self):
        self.configure(cap=1, mock={}, absent={'command': ['/nowhere/agent']})
        self.assertIn('no agent is called', self.perdure('agent', '--agent', 'nobody', 'x', check=1).stderr)
        self.assertIn('no prompt', self.perdure('agent', '--agent', 'mock', check=2).stderr)
        self.assertIn('which agent', self.perdure('agent', 'x', check=2).stderr)
        self.perdure('agent', '--resume', 'sess_unknown', 'x', check=1)
        self.assertEqual(self.names(), set())
        self.assertEqual(self.finished(self.agent('say hello'))['status'], 'completed')

    def test_an_agent_that_is_not_installed_is_an_error_now_and_no_task(self):
        for program in ('no-such-agent-anywhere', '/nowhere/agent'):
            self.configure(absent={'command': [program, '--acp']})
            done = self.perdure('agent', '--agent', 'absent', 'x', check=127)
            self.assertIn(program, done.stderr)
        self.assertEqual(self.names(), set())

    def test_L05_queued_subagents_take_their_turns(self):
        self.configure(cap=1, mock={})
        first = self.agent('sleep 1 say one', '--queue')
        second = self.agent('say two', '--queue')
        self.assertEqual(self.json('show', second)['kind'], 'agent')
        self.assertEqual([self.finished(t)['status'] for t in (first, second)], ['completed'] * 2)
        self.assertEqual(self.log(second).decode().strip(), 'two')

    def names(self):
        return set(self.task_names()) if os.path.isdir(self.tasks) else set()


class Names(AgentTest):
    def test_L28_the_agents_id_is_named_everywhere_also_after_reopening(self):
        task = self.agent('sleep 2 say done', '--owner', 'o')
        agent_id = self.agent_id(task)
        self.assertNotEqual(agent_id, task)
        self.assertEqual(self.json('show', task)['agentId'], agent_id)
        self.assertIn(agent_id, self.perdure('list', check=0).stdout)
        context = self.perdure('hook', 'claude-code', 'session-start', '--owner', 'o', check=0).stdout
        self.assertIn(f'agent_id {agent_id}', context)
        self.assertEqual(self.finished(task)['agentId'], agent_id)
        news = self.json('notifications', '--format', 'json')
        self.assertEqual([n['agentId'] for n in news], [agent_id])
        self.assertIn(f'--resume {agent_id}', self.perdure('show', task, check=0).stdout)

    def test_L35_who_did_not_finish_is_told_how_to_resume_it(self):
        task = self.agent('refuse', '--owner', 'o')
        agent_id = self.agent_id(task)
        record = self.finished(task)
        self.assertEqual((record['status'], record['stopCode']), ('failed', 'refusal'))
        self.assertIn(f'perdure agent --resume {agent_id}', self.json('notifications', '--format', 'json')[0]['body'])

    def test_L28_a_task_id_is_not_resumed_and_its_agents_id_is_said(self):
        task = self.agent('say hello')
        agent_id = self.agent_id(task)
        self.finished(task)
        refused = self.perdure('--json', 'agent', '--resume', task, 'x', check=1)
        self.assertIn(agent_id, refused.stderr)
        self.assertIn('agent.not_found', refused.stdout)

    def test_two_agents_with_one_id_are_told_apart_by_their_name(self):
        self.configure(one={'ACP_SESSION_ID': 'same'}, two={'ACP_SESSION_ID': 'same', 'ACP_STORE': self.store + '2'})
        for name in ('one', 'two'):
            self.finished(self.agent('say ' + name, agent=name))
        refused = self.perdure('agent', '--resume', 'same', 'say x', check=2)
        self.assertIn('--agent', refused.stderr)
        task = self.agent('say again', '--resume', 'same', agent='two')
        record = self.finished(task)
        self.assertEqual((record['status'], record['subagentType'], record['agentId']), ('completed', 'two', 'same'))


class Retention(AgentTest):
    def test_all_of_an_ended_subagent_is_removed(self):
        task = self.agent('say hello')
        self.finished(task)
        self.assertEqual(set(os.listdir(os.path.join(self.tasks, task))), {'output.log', 'agent.json', 'activity.jsonl'})
        self.perdure('doctor', check=0)
        self.perdure('remove', task, check=0)
        self.assertEqual(self.task_names(), [])


class Resume(AgentTest):
    def resumed(self, agent_id, *options):
        task = self.agent('say again', '--resume', agent_id, *options, agent=None)
        record = self.finished(task)
        self.assertEqual((record['status'], record['agentId']), ('completed', agent_id), record)
        self.assertEqual(self.log(task).decode().strip(), 'again', 'the replay is no output')
        return task

    def test_L31_after_every_end(self):
        for prompt, options, how in (('say hello', (), 'completed'), ('refuse', (), 'failed'), ('sleep 300', ('--timeout', '3s'), 'timed_out'),
                                     ('sleep 300', (), 'killed')):
            with self.subTest(how):
                task = self.agent(prompt, *options)
                agent_id = self.agent_id(task)
                if how == 'killed':
                    self.perdure('stop', task, check=0)
                self.assertEqual(self.finished(task)['status'], how)
                self.resumed(agent_id)

    def test_L31_after_it_was_lost(self):
        task = self.agent('sleep 300')
        agent_id = self.agent_id(task)
        os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
        self.assertEqual(self.finished(task)['status'], 'lost')
        self.assertEqual(processes_with(f'PERDURE_TASK_ID={task}'), [])
        self.resumed(agent_id)

    def test_L31_two_at_once_are_one_and_a_refusal_that_names_it(self):
        task = self.agent('say hello')
        agent_id = self.agent_id(task)
        self.finished(task)
        several = [subprocess.Popen([PERDURE, '--session', self.session, 'agent', '--resume', agent_id, 'sleep 2 say x'], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True) for _ in range(4)]
        ended = [(p, *p.communicate(timeout=60)) for p in several]
        won = [out.strip() for p, out, _ in ended if p.returncode == 0]
        self.assertEqual(len(won), 1, ended)
        for p, _, err in ended:
            if p.returncode != 0:
                self.assertIn(won[0], err)
        self.finished(won[0])

    def test_L31_a_queued_turn_holds_the_conversation(self):
        task = self.agent('say hello')
        agent_id = self.agent_id(task)
        self.finished(task)
        self.configure(cap=1, mock={})
        blocker = self.sh('sleep 300')
        queued = self.agent('say queued', '--resume', agent_id, '--queue', agent=None)
        self.assertIn(queued, self.perdure('agent', '--resume', agent_id, 'x', '--queue', check=1).stderr)
        self.perdure('stop', blocker, check=0)
        self.assertEqual(self.finished(queued)['agentId'], agent_id)

    def test_without_a_prompt_it_goes_on(self):
        task = self.agent('say hello')
        agent_id = self.agent_id(task)
        self.finished(task)
        again = self.agent(None, '--resume', agent_id, agent=None)
        self.assertEqual(self.finished(again)['status'], 'completed')

    def test_L43_another_owner_is_refused(self):
        task = self.agent('say hello', '--owner', 'mine')
        agent_id = self.agent_id(task)
        self.finished(task)
        refused = self.perdure('--json', 'agent', '--resume', agent_id, '--owner', 'other', 'x', check=1)
        self.assertIn('agent.not_owned', refused.stdout)
        self.resumed(agent_id, '--owner', 'mine')

    def test_an_agent_that_can_not_resume_says_so(self):
        self.configure(mock={'ACP_CAPS': 'none'})
        task = self.agent('say hello')
        agent_id = self.agent_id(task)
        self.finished(task)
        again = self.agent('say again', '--resume', agent_id, agent=None)
        record = self.finished(again)
        self.assertEqual(record['status'], 'failed')
        self.assertIn("can't resume", record['stopReason'])


class Ends(AgentTest):
    def test_L09_what_comes_after_the_deadline_is_in_the_activity_only(self):
        for late in ('late-end', 'late-refusal', 'late-error'):
            with self.subTest(late):
                task = self.agent(f'sleep 300 {late}', '--owner', 'o', '--timeout', '3s')
                record = self.finished(task)
                self.assertEqual((record['status'], record.get('stopReason'), record.get('stopCode')), ('timed_out', None, None))
                self.assertEqual(self.log(task), b'')
                self.assertEqual([e['counts'] for e in self.activity(task, 'end')], [False])
                if late != 'late-error':
                    self.assertEqual(self.activity(task, 'message')[-1]['text'], 'late words')
                news = [n for n in self.json('notifications', '--format', 'json') if n['source_id'] == task]
                self.assertEqual([n['status'] for n in news], ['timed_out'])
                ends = [e for e in self.perdure('events', check=0).stdout.splitlines() if task in e and 'task.terminated' in e]
                self.assertEqual(len(ends), 1)

    def test_L14_a_turn_that_really_ended_after_the_stop_keeps_its_outcome(self):
        for late, status in (('late-end', 'completed'), ('late-refusal', 'failed')):
            with self.subTest(late):
                task = self.agent(f'sleep 300 {late}')
                self.await_activity(task, 'prompt')
                self.assertEqual(self.json('stop', task, '--reason', 'enough', '--grace', '60s')[0]['status'], status)

    def test_L30_nothing_of_a_stopped_subagent_is_left(self):
        for words in ('child sleep 300', 'child ignore-cancel sleep 300'):
            with self.subTest(words):
                task = self.agent(words)
                self.await_activity(task, 'prompt')
                stopped = self.json('stop', task, '--reason', 'enough', '--grace', '1s')[0]
                self.assertEqual((stopped['status'], stopped['stopReason']), ('killed', 'enough'))
                self.assertEqual(processes_with(f'PERDURE_TASK_ID={task}'), [])

    def test_the_turn_outlives_the_perdure_that_started_it(self):
        starter = subprocess.Popen([PERDURE, '--session', self.session, 'agent', '--agent', 'mock', '--cwd', self.work, '--wait', 'sleep 2 say done'],
                                   stdout=subprocess.PIPE, text=True)
        task = starter.stdout.readline().strip()
        starter.kill()
        starter.communicate()
        record = self.finished(task)
        self.assertEqual(record['status'], 'completed')
        self.assertEqual(self.log(task).decode().strip(), 'done')

    def test_its_background_commands_end_with_it_and_are_its_own(self):
        task = self.agent('mcp sleep 1 say done')
        agent_id = self.agent_id(task)
        found = eventually(lambda: [t for t in self.json('list', '--all', '--kind', 'process') if t.get('owner') == agent_id], 'its command')
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertEqual(self.finished(found[0]['taskId'])['status'], 'killed')


class Many(AgentTest):
    def test_20_subagents_four_at_a_time_while_every_manager_is_killed(self):
        self.configure(cap=4, mock={})
        tasks, most = [], 0
        for n in range(20):
            starter = subprocess.Popen([PERDURE, '--session', self.session, 'agent', '--agent', 'mock', '--cwd', self.work, '--queue', '--owner', 'o',
                                        '--wait', f'sleep 0.3 say turn {n}'], stdout=subprocess.PIPE, text=True)
            tasks.append(starter.stdout.readline().strip())
            starter.kill()
            starter.communicate()
        until = time.monotonic() + 200
        while time.monotonic() < until:
            shown = self.json('list')
            most = max(most, sum(t['status'] == 'running' for t in shown))
            if not shown:
                break
        self.assertLessEqual(most, 4)
        for n, task in enumerate(tasks):
            record = self.finished(task)
            self.assertEqual(record['status'], 'completed', record)
            self.assertEqual(self.log(task).decode().strip(), f'turn {n}')
        self.assertEqual(len({self.record(t)['agentId'] for t in tasks}), 20)
        news = self.json('notifications', '--format', 'json', '--owner', 'o')
        self.assertEqual(sorted(n['source_id'] for n in news), sorted(tasks))


if __name__ == '__main__':
    unittest.main()
