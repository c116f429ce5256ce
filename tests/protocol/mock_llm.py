"""A model on loopback, for agents that are to run whole turns without a network.

It speaks enough of Anthropic's /v1/messages and of OpenAI's /v1/chat/completions, streamed, for an agent to believe it. A
conversation that holds RUN_SHELL and no result of a tool yet gets a call of the shell tool; RUN_PERDURE of the same, that
of Perdure's own Bash, for a command in the background; BE_SLOW_<seconds> in the last message delays the answer, unless BE_QUICK is there, too (agents put a turn without an answer and the next one together);
everything else gets a sentence.
"""
import http.server
import json
import re
import threading

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


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get('Content-Length', 0))) or b'{}')
        said = json.dumps(body.get('messages', []))
        last = json.dumps([m for m in body.get('messages', []) if m.get('role') in ('user', 'tool')][-1:])
        answered = 'tool_result' in said or '"role": "tool"' in said
        call = None if answered else tool_call(said, body.get('tools'))
        slow = re.search(r'BE_SLOW_(\d+)', last)
        # A client that gives up ends the wait, and so does the end of the test.
        if slow and 'BE_QUICK' not in last and body.get('tools'):
            self.server.closing.wait(int(slow.group(1)))
        try:
            if 'count_tokens' in self.path:
                self.whole({'input_tokens': 10})
            elif self.path.split('?')[0].endswith('/messages'):
                self.anthropic(body, call)
            elif 'chat/completions' in self.path:
                self.openai(body, call)
            else:
                self.send_error(404)
        except OSError:
            pass

    def do_GET(self):
        self.whole({'data': []})

    def whole(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin_stream(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Connection', 'close')
        self.end_headers()
        self.close_connection = True

    def event(self, value, name=None):
        text = value if isinstance(value, str) else json.dumps(value)
        self.wfile.write((f'event: {name}\n' if name else '').encode() + f'data: {text}\n\n'.encode())
        self.wfile.flush()

    def anthropic(self, body, call):
        usage = {'input_tokens': 10, 'output_tokens': 20}
        if not body.get('stream'):
            return self.whole({'id': 'm', 'type': 'message', 'role': 'assistant', 'model': body.get('model'), 'usage': usage,
                               'content': [{'type': 'text', 'text': SENTENCE}], 'stop_reason': 'end_turn'})
        self.begin_stream()

        def send(kind, **fields):
            self.event({'type': kind, **fields}, kind)
        send('message_start', message={'id': 'msg_1', 'type': 'message', 'role': 'assistant', 'model': body.get('model'), 'content': [],
                                       'stop_reason': None, 'stop_sequence': None, 'usage': usage})
        if call:
            send('content_block_start', index=0, content_block={'type': 'tool_use', 'id': 'toolu_1', 'name': call[0], 'input': {}})
            send('content_block_delta', index=0, delta={'type': 'input_json_delta', 'partial_json': call[1]})
        else:
            send('content_block_start', index=0, content_block={'type': 'text', 'text': ''})
            send('content_block_delta', index=0, delta={'type': 'text_delta', 'text': SENTENCE})
        send('content_block_stop', index=0)
        send('message_delta', delta={'stop_reason': 'tool_use' if call else 'end_turn', 'stop_sequence': None}, usage={'output_tokens': 20})
        return send('message_stop')

    def openai(self, body, call):
        self.begin_stream()

        def send(delta, finish=None, **more):
            self.event({'id': 'c', 'object': 'chat.completion.chunk', 'created': 1, 'model': body.get('model'),
                        'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}], **more})
        if call:
            send({'role': 'assistant', 'tool_calls': [{'index': 0, 'id': 'call_1', 'type': 'function',
                                                       'function': {'name': call[0], 'arguments': call[1]}}]})
        else:
            send({'role': 'assistant', 'content': SENTENCE})
        usage = {'prompt_tokens': 10, 'completion_tokens': 20, 'total_tokens': 30}
        send({}, 'tool_calls' if call else 'stop', usage=usage)
        self.event('[DONE]')


class MockModel:
    """with MockModel() as model: model.url"""

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Answering)
        self.server.daemon_threads = True
        self.server.closing = threading.Event()
        self.url = f'http://127.0.0.1:{self.server.server_address[1]}'
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
