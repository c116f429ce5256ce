"""The tool Agent: a subagent as a tool call, in the foreground and in the background, and who is told of it."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from agent_case import AgentTest, eventually  # noqa: E402
from mcp_client import McpClient  # noqa: E402
from session import processes_with  # noqa: E402


class AgentTool(AgentTest):
    def client(self, *options, name='test-client', **more):
        client = McpClient(self.session, *options, cwd=self.work, **more)
        self.addCleanup(client.__exit__)
        client.initialize(name=name)
        return client

    def call(self, client, prompt, error=False, **arguments):
        answer = client.call('Agent', prompt=prompt, description='a test', **{'subagent_type': 'mock', **arguments})
        self.assertEqual(answer['isError'], error, answer)
        return answer

    def test_in_the_foreground_the_answer_is_the_final_message(self):
        client = self.client()
        answer = self.call(client, 'say all done')
        told = answer['structuredContent']
        self.assertEqual((told['status'], told['output'], told['actual_subagent_type']), ('completed', 'all done\n', 'mock'))
        self.assertEqual(told['agent_id'], self.record(told['task_id'])['agentId'])
        self.assertNotEqual(told['agent_id'], told['task_id'])
        text = answer['content'][0]['text']
        self.assertTrue(text.startswith('all done\n'), text)
        self.assertIn(f'resume="{told["agent_id"]}"', text)
        eventually(lambda: self.json('notifications', '--format', 'json') == [], 'who has the answer needs no news')

    def test_in_the_background_both_ids_come_at_once_and_the_news_later(self):
        client = self.client()
        told = self.call(client, 'sleep 1 say later', run_in_background=True)['structuredContent']
        self.assertEqual(told['status'], 'running')
        self.assertEqual(told['agent_id'], self.record(told['task_id'])['agentId'])
        waited = client.call('WaitFor', timeout=60, task_id=told['task_id'])['structuredContent']
        self.assertEqual(waited['finished'][0]['output'], 'later\n')
        self.assertEqual(waited['finished'][0]['agent_id'], told['agent_id'])

    def test_in_the_background_an_agent_that_can_not_begin_is_the_answer_and_no_news(self):
        self.configure(mock={'ACP_AUTH': 'key'})
        told = self.call(self.client(), 'say x', error=True, run_in_background=True)['structuredContent']
        self.assertEqual((told['status'], told['stop_code']), ('failed', 'acp.-32000'))
        eventually(lambda: self.json('notifications', '--format', 'json') == [], 'it is told')

    def test_in_the_background_a_call_that_is_cancelled_before_it_is_answered_stops_it(self):
        self.configure(mock={'ACP_HANG': 'new'})
        client = self.client()
        request = client.begin('tools/call', {'name': 'Agent', 'arguments': {
            'prompt': 'say x', 'description': 'x', 'subagent_type': 'mock', 'run_in_background': True}})
        task = eventually(lambda: self.json('list', '--kind', 'agent'), 'it runs')[0]['taskId']
        client.notify('notifications/cancelled', {'requestId': request})
        self.assertEqual(self.finished(task)['status'], 'killed')

    def test_L31_it_is_resumed_by_its_agent_id(self):
        client = self.client()
        first = self.call(client, 'refuse', error=True)['structuredContent']
        self.assertEqual((first['status'], first['stop_code']), ('failed', 'refusal'))
        again = client.call('Agent', prompt='say again', description='x', resume=first['agent_id'])['structuredContent']
        self.assertEqual((again['output'], again['agent_id'], again['actual_subagent_type']), ('again\n', first['agent_id'], 'mock'))
        self.assertNotEqual(again['task_id'], first['task_id'])
        wrong = client.call('Agent', prompt='x', description='x', resume=first['task_id'])
        self.assertTrue(wrong['isError'])
        self.assertIn(first['agent_id'], wrong['content'][0]['text'])
        both = client.call('Agent', prompt='x', description='x', resume=first['agent_id'], subagent_type='mock')
        self.assertIn('excludes resume', both['content'][0]['text'])

    def test_L43_another_client_can_not_resume_it(self):
        told = self.call(self.client(), 'say x')['structuredContent']
        other = self.client(name='other-client').call('Agent', prompt='x', description='x', resume=told['agent_id'])
        self.assertIn('agent.not_owned', other['content'][0]['text'])

    def test_L01_over_the_cap_it_is_refused_and_nothing_was_started(self):
        self.configure(cap=1, mock={})
        blocker = self.sh('sleep 300')
        client = self.client()
        for background in (False, True):
            refused = self.call(client, 'say x', error=True, run_in_background=background)
            self.assertIn('max_running_tasks', refused['content'][0]['text'])
        self.assertFalse(os.path.exists(self.marker))
        self.assertEqual(set(self.task_names()), {blocker, blocker + '.json'})
        self.perdure('stop', blocker, check=0)
        self.call(client, 'say x')

    def test_arguments_are_checked_and_the_names_of_agents_told(self):
        client = self.client()
        for arguments, said in (({'timeout': 29}, '30'), ({'timeout': 3601}, '3600'), ({'subagent_type': 'nobody'}, "'nobody'"),
                                ({'description': ' '}, 'description'), ({'prompt': ' '}, 'prompt')):
            answer = client.call('Agent', **{'prompt': 'x', 'description': 'x', 'subagent_type': 'mock', **arguments})
            self.assertTrue(answer['isError'])
            self.assertIn(said, answer['content'][0]['text'])
        self.configure(one={}, two={})
        answer = self.client().call('Agent', prompt='x', description='x')
        self.assertIn('one, two', answer['content'][0]['text'])
        self.configure(one={})
        self.assertEqual(self.client().call('Agent', prompt='say x', description='x')['structuredContent']['actual_subagent_type'], 'one')

    def test_a_cancelled_call_stops_it_and_a_client_that_has_gone_does_not(self):
        client = self.client()
        request = client.begin('tools/call', {'name': 'Agent', 'arguments': {'prompt': 'sleep 300', 'description': 'x', 'subagent_type': 'mock'}})
        task = eventually(lambda: self.json('list', '--kind', 'agent'), 'it runs')[0]['taskId']
        self.await_activity(task, 'prompt')
        client.notify('notifications/cancelled', {'requestId': request})
        record = self.finished(task)
        self.assertEqual((record['status'], record['stopReason'], record['terminalNotificationSuppressed']), ('killed', 'Interrupted', True))

        other = self.client()
        other.begin('tools/call', {'name': 'Agent', 'arguments': {'prompt': 'sleep 2 say alone', 'description': 'x', 'subagent_type': 'mock'}})
        task = eventually(lambda: self.json('list', '--kind', 'agent'), 'it runs')[0]['taskId']
        other.process.kill()
        record = self.finished(task)
        self.assertEqual((record['status'], self.log(task)), ('completed', b'alone\n'))
        self.assertEqual([n['source_id'] for n in self.json('notifications', '--format', 'json')], [task])

    def test_progress_tells_what_it_does(self):
        client = self.client()
        client.begin('tools/call', {'name': 'Agent', '_meta': {'progressToken': 'p'},
                                    'arguments': {'prompt': 'updates sleep 3 say x', 'description': 'x', 'subagent_type': 'mock'}})
        note = client.notes.get(timeout=30)
        self.assertEqual((note['method'], note['params']['progressToken']), ('notifications/progress', 'p'))
        self.finished(self.json('list', '--kind', 'agent')[0]['taskId'])

    def test_L43_a_subagents_own_commands_are_its_own_and_it_never_waits_for_itself(self):
        task = self.agent('mcp sleep 2 say done')
        agent_id = self.agent_id(task)
        command = eventually(lambda: [t for t in self.json('list', '--kind', 'process') if t.get('owner') == agent_id], 'its command')[0]
        self.assertEqual(command['owner'], agent_id)
        self.finished(task)
        self.assertEqual(self.finished(command['taskId'])['status'], 'killed')
        eventually(lambda: not processes_with('@' + self.session), 'nothing of it stays, runners included')

    def test_a_client_with_tasks_gets_one(self):
        client = McpClient(self.session, cwd=self.work)
        self.addCleanup(client.__exit__)
        created = client.modern('tools/call', name='Agent', arguments={'prompt': 'sleep 1 say x', 'description': 'x', 'subagent_type': 'mock',
                                                                       'run_in_background': True})
        self.assertEqual(created['resultType'], 'task', json.dumps(created))
        self.finished(created['taskId'])
        done = client.modern('tasks/get', taskId=created['taskId'])
        self.assertEqual(done['status'], 'completed')


if __name__ == '__main__':
    unittest.main()
