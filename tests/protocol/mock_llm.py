"""A model on loopback, for agents that are to run whole turns without a network.

It speaks enough of Anthropic's /v1/messages and of OpenAI's /v1/chat/completions, streamed, for an agent to believe it. A
conversation that holds RUN_SHELL and no result of a tool yet gets a call of the shell tool; RUN_PERDURE of the same, that
of Perdure's own Bash, for a command in the background; BE_SLOW_<seconds> in the last message delays the answer, unless BE_QUICK is there, too (agents put a turn without an answer and the next one together);
everything else gets a sentence.
"""
import json
import re

import model_server

SENTENCE = 'Hello from the mock model.'
COMMAND = 'echo from-tool > made.txt; cat made.txt'
SHELL = re.compile(r'^bash$|shell|exec', re.IGNORECASE)
PERDURE = re.compile(r'perdure_+bash$', re.IGNORECASE)


def tool_call(said, tools):
    """(name, arguments as JSON) of the tool that is to be called, or None."""
    names = [tool.get('name') or tool.get('function', {}).get('name', '') for tool in tools or []]
    for word, kind, arguments in (('RUN_SHELL', SHELL, {'command': COMMAND, 'description': 'make a file'}),
                                  ('RUN_PERDURE', PERDURE, {'command': 'sleep 300', 'description': 'sleep', 'run_in_background': True})):
        name = next((name for name in names if kind.search(name)), None)
        if word in said and name:
            return name, json.dumps(arguments)
    return None


class Answering(model_server.Answering):
    sentence = SENTENCE

    def do_POST(self):
        body = self.read_body()
        said = json.dumps(body.get('messages', []))
        last = json.dumps([m for m in body.get('messages', []) if m.get('role') in ('user', 'tool')][-1:])
        answered = 'tool_result' in said or '"role": "tool"' in said
        call = None if answered else tool_call(said, body.get('tools'))
        slow = re.search(r'BE_SLOW_(\d+)', last)
        # A client that gives up ends the wait, and so does the end of the test.
        if slow and 'BE_QUICK' not in last and body.get('tools'):
            self.server.model.closing.wait(int(slow.group(1)))
        try:
            if 'count_tokens' in self.path:
                self.whole({'input_tokens': 10})
            elif self.path.split('?')[0].endswith('/messages'):
                self.anthropic(body, call)
            elif 'chat/completions' in self.path:
                self.chat(body, call)
            else:
                self.send_error(404)
        except OSError:
            pass

    def do_GET(self):
        self.whole({'data': []})


class MockModel(model_server.ModelServer):
    """with MockModel() as model: model.url"""

    def __init__(self):
        super().__init__(Answering)
