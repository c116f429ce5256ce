"""A session with agents in its configuration: the scripted one of acp_agent.py, under as many names as a test wants."""
import json
import os
import sys

from session import SessionTest, eventually

COMMAND = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'acp_agent.py')]


class AgentTest(SessionTest):
    def setUp(self):
        super().setUp()
        self.store = os.path.join(self.scratch, 'conversations.json')
        self.work = os.path.join(self.scratch, 'work')
        os.makedirs(self.work)
        self.marker = os.path.join(self.scratch, 'agent-started')
        self.configure(mock={})

    def configure(self, cap=None, **agents):
        """Each agent is a name and its variables; `config`: lines of its table."""
        os.makedirs(self.session, 0o700, exist_ok=True)
        lines = [f'[task]\nmax_running_tasks = {cap}'] if cap else []
        for name, variables in agents.items():
            variables = {'ACP_STORE': self.store, 'ACP_MARKER': self.marker, **variables}
            command = variables.pop('command', COMMAND)
            more = variables.pop('config', '')
            table = ', '.join(f'{key} = {json.dumps(value)}' for key, value in variables.items())
            lines.append(f'[agents.{name}]\ncommand = {json.dumps(command)}\nenv = {{ {table} }}\n{more}')
        with open(os.path.join(self.session, 'perdure.toml'), 'w', encoding='utf-8') as f:
            f.write('\n'.join(lines) + '\n')
        self.perdure('config', 'trust', check=0)

    def agent(self, prompt, *options, agent='mock', check=0, **kw):
        name = ['--agent', agent] if agent else []
        prompts = [prompt] if prompt is not None else []
        return self.perdure('agent', *name, '--cwd', self.work, *options, *prompts, check=check, **kw).stdout.strip()

    def agent_id(self, task):
        """The agent's own id, once it is in the record."""
        return eventually(lambda: self.record(task).get('agentId'), f'{task} has an agentId')

    def activity(self, task, of_type=None):
        lines = self.perdure('--json', 'output', '--activity', task, check=0).stdout.splitlines()
        entries = [json.loads(line) for line in lines]
        return [e for e in entries if of_type in (None, e['type'])]

    def await_activity(self, task, of_type):
        return eventually(lambda: self.activity(task, of_type), f'{of_type} in the activity of {task}')


__all__ = ['COMMAND', 'AgentTest', 'eventually']
