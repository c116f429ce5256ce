"""A model on loopback that follows a script in its prompts, and keeps what clients send to it.

It speaks Anthropic's /v1/messages, OpenAI's /v1/chat/completions and /v1/responses, and Gemini's streamGenerateContent. A
prompt begins with the line SCRIPT and names calls, one a line: `CALL Bash {"command": "make"}`. The model makes them one
after the other and then says a sentence. Tools are those of the server perdure, by whichever name the client gives them (`names` maps them).
"""
import json
import re
import threading

import model_server

SENTENCE = 'Hello from the scripted model.'
SCRIPT = 'SCRIPT\n'
CUT = '[Tool call interrupted: '  # what Claude Code puts in the place of an answer that it was killed before
CALL = re.compile(r'^CALL (\w+) (\{.*\})$', re.MULTILINE)


class Entry:
    """One part of a conversation: what the person typed (`user`), a tool answered (`tool`), the model said (`model`)."""

    def __init__(self, role, text):
        self.role, self.text = role, text

    def __repr__(self):
        return f'{self.role}: {self.text[:3000]}'


def text_of(content):
    """The text of a string, a block, or a list of them."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return content.get('text') or text_of(content.get('content', ''))
    return '\n'.join(text_of(part) for part in content or [])


def anthropic_entries(body):
    for message in body.get('messages', []):
        content = message['content']
        for block in [{'type': 'text', 'text': content}] if isinstance(content, str) else content:
            if block['type'] == 'tool_result':
                yield Entry('tool', text_of(block.get('content', '')))
            elif block['type'] == 'text':
                yield Entry('user' if message['role'] == 'user' else 'model', block['text'])


def chat_entries(body):
    for message in body.get('messages', []):
        role = {'user': 'user', 'tool': 'tool', 'assistant': 'model'}.get(message['role'])
        if role and message.get('content'):
            yield Entry(role, text_of(message['content']))


def responses_entries(body):
    for item in body.get('input', []):
        if item.get('type') == 'function_call_output':
            yield Entry('tool', text_of(item.get('output', '')))
        elif item.get('role') in ('user', 'assistant'):
            yield Entry('user' if item['role'] == 'user' else 'model', text_of(item.get('content', '')))


def gemini_entries(body):
    for content in body.get('contents', []):
        for part in content.get('parts', []):
            if 'functionResponse' in part:
                answer = part['functionResponse'].get('response', {})
                shown = answer.get('output', answer.get('error', answer))
                yield Entry('tool', shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False))
            elif 'text' in part:
                yield Entry('user' if content.get('role') == 'user' else 'model', part['text'])


def tools_of(body):
    """(namespace or None, name, definition) of each tool that the request offers."""
    for tool in body.get('tools') or []:
        if 'functionDeclarations' in tool:
            yield from ((None, one['name'], one) for one in tool['functionDeclarations'])
        elif tool.get('type') == 'namespace':
            yield from ((tool['name'], one['name'], one) for one in tool.get('tools', []))
        elif 'function' in tool:
            yield None, tool['function']['name'], tool['function']
        elif 'name' in tool:
            yield None, tool['name'], tool


class Request:
    def __init__(self, path, body):
        self.path, self.body = path, body
        wire = (anthropic_entries if '/messages' in path else chat_entries if 'chat/completions' in path
                else responses_entries if '/responses' in path else gemini_entries)
        self.entries = list(wire(body))
        self.tools = list(tools_of(body))

    def system(self):
        """What the client says besides the conversation."""
        body = self.body
        told = text_of(body.get('system') or body.get('instructions') or '')
        told += json.dumps(body.get('systemInstruction', ''), ensure_ascii=False).encode().decode('unicode_escape', 'replace') \
            if body.get('systemInstruction') else ''
        return told + '\n'.join(text_of(m.get('content', '')) for m in [*body.get('messages', []), *body.get('input', [])]
                                if isinstance(m, dict) and m.get('role') in ('system', 'developer'))

    def script(self):
        """The calls of the newest script, and what the tools answered since. A client that was killed may put two prompts together."""
        at = next((i for i in reversed(range(len(self.entries))) if self.entries[i].role == 'user' and SCRIPT in self.entries[i].text), None)
        if at is None:
            return [], []
        newest = self.entries[at].text.rpartition(SCRIPT)[2]
        return CALL.findall(newest), [entry.text for entry in self.entries[at + 1:] if entry.role == 'tool' and CUT not in entry.text]

    def next_call(self):
        """(tool, arguments) that the script wants now, or None."""
        calls, answers = self.script()
        return calls[len(answers)] if len(answers) < len(calls) else None

    def answers(self):
        return self.script()[1]


class Answering(model_server.Answering):
    sentence = SENTENCE

    def do_GET(self):
        self.whole({'data': [], 'models': []})

    def do_HEAD(self):
        self.whole({})

    def do_POST(self):
        try:
            body = self.read_body()
        except ValueError:
            return self.whole({})
        try:
            if 'count_tokens' in self.path or 'countTokens' in self.path:
                return self.whole({'input_tokens': 10, 'totalTokens': 10})
            for mark, answer in (('/messages', self.anthropic), ('chat/completions', self.chat), ('/responses', self.openai_responses),
                                 ('enerateContent', self.gemini)):
                if mark in self.path:
                    request = Request(self.path, body)
                    if request.tools:  # without them: a title, a summary
                        self.server.model.note(request)
                    wanted = request.next_call() if request.tools else None
                    namespace, name = self.server.model.named(request, wanted[0]) if wanted else (None, '')
                    self.namespace = namespace
                    return answer(body, wanted and (name, wanted[1]))
            return self.whole({})
        except OSError:
            return None

    def openai_responses(self, _, call):
        self.begin_stream()
        if call:
            item = {'type': 'function_call', 'call_id': self.call_id(), 'name': call[0], 'arguments': call[1],
                    **({'namespace': self.namespace} if self.namespace else {})}
        else:
            item = {'type': 'message', 'role': 'assistant', 'id': 'msg_1', 'content': [{'type': 'output_text', 'text': SENTENCE}]}
        usage = {'input_tokens': 10, 'input_tokens_details': None, 'output_tokens': 20, 'output_tokens_details': None, 'total_tokens': 30}
        for value in ({'type': 'response.created', 'response': {'id': 'resp_1'}},
                      {'type': 'response.output_item.done', 'output_index': 0, 'item': item},
                      {'type': 'response.completed', 'response': {'id': 'resp_1', 'usage': usage}}):
            self.event(value, value['type'])

    def gemini(self, _, call):
        part = {'functionCall': {'name': call[0], 'args': json.loads(call[1])}} if call else {'text': SENTENCE}
        value = {'candidates': [{'content': {'role': 'model', 'parts': [part]}, 'finishReason': 'STOP', 'index': 0}],
                 'usageMetadata': {'promptTokenCount': 10, 'candidatesTokenCount': 20, 'totalTokenCount': 30}, 'modelVersion': 'm'}
        if 'stream' not in self.path:
            return self.whole(value)
        self.begin_stream()
        return self.event(value)


class ScriptedModel(model_server.ModelServer):
    """with ScriptedModel(prefix) as model: model.url. `prefix`: before a tool's name where the client offers it only on search."""

    def __init__(self, prefix=''):
        super().__init__(Answering)
        self.prefix = prefix
        self.requests = []
        self.changed = threading.Condition()

    def note(self, request):
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def named(self, request, tool):
        """(namespace or None, name) of a tool of the server perdure."""
        for namespace, name, _ in request.tools:
            whole = f'{namespace or ""}_{name}'
            if 'perdure' in whole and re.search(rf'(^|_){tool}$', name):
                return namespace, name
        return None, self.prefix + tool

    def await_request(self, condition, what, seconds=180):
        """The first request that holds, of those that came and come."""
        with self.changed:
            found = self.changed.wait_for(lambda: next((r for r in self.requests if condition(r)), None), seconds)
        if not found:
            raise AssertionError(f'not within {seconds} s: {what}; last: {self.requests[-1:] and self.requests[-1].entries}')
        return found
