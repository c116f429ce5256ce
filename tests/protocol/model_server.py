"""What the mock models share: an HTTP server on loopback, and answers as Anthropic and OpenAI stream them."""
import http.server
import json
import threading


class Answering(http.server.BaseHTTPRequestHandler):
    """A call is (name of the tool, arguments as JSON), or None: then the model says `sentence`."""
    protocol_version = 'HTTP/1.1'
    sentence = ''

    def log_message(self, *_):
        pass

    def read_body(self):
        """ValueError where it is no JSON."""
        return json.loads(self.rfile.read(int(self.headers.get('Content-Length', 0))) or b'{}')

    def whole(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        if self.command != 'HEAD':
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

    def call_id(self):
        return f'call_{self.server.next_number()}'

    def anthropic(self, body, call):
        usage = {'input_tokens': 10, 'output_tokens': 20}
        if not body.get('stream'):
            return self.whole({'id': 'm', 'type': 'message', 'role': 'assistant', 'model': body.get('model'), 'usage': usage,
                               'content': [{'type': 'text', 'text': self.sentence}], 'stop_reason': 'end_turn', 'stop_sequence': None})
        self.begin_stream()

        def send(kind, **fields):
            self.event({'type': kind, **fields}, kind)
        send('message_start', message={'id': 'msg_' + self.call_id(), 'type': 'message', 'role': 'assistant', 'model': body.get('model'),
                                       'content': [], 'stop_reason': None, 'stop_sequence': None, 'usage': usage})
        if call:
            send('content_block_start', index=0, content_block={'type': 'tool_use', 'id': 'toolu_' + self.call_id(), 'name': call[0],
                                                                'input': {}})
            send('content_block_delta', index=0, delta={'type': 'input_json_delta', 'partial_json': call[1]})
        else:
            send('content_block_start', index=0, content_block={'type': 'text', 'text': ''})
            send('content_block_delta', index=0, delta={'type': 'text_delta', 'text': self.sentence})
        send('content_block_stop', index=0)
        send('message_delta', delta={'stop_reason': 'tool_use' if call else 'end_turn', 'stop_sequence': None}, usage={'output_tokens': 20})
        return send('message_stop')

    def chat(self, body, call):
        usage = {'prompt_tokens': 10, 'completion_tokens': 20, 'total_tokens': 30}
        if not body.get('stream'):
            return self.whole({'id': 'c', 'object': 'chat.completion', 'created': 1, 'model': body.get('model'), 'usage': usage,
                               'choices': [{'index': 0, 'message': {'role': 'assistant', 'content': self.sentence}, 'finish_reason': 'stop'}]})
        self.begin_stream()

        def send(delta, finish=None, **more):
            self.event({'id': 'c', 'object': 'chat.completion.chunk', 'created': 1, 'model': body.get('model'),
                        'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}], **more})
        if call:
            send({'role': 'assistant', 'tool_calls': [{'index': 0, 'id': self.call_id(), 'type': 'function',
                                                       'function': {'name': call[0], 'arguments': call[1]}}]})
        else:
            send({'role': 'assistant', 'content': self.sentence})
        send({}, 'tool_calls' if call else 'stop', usage=usage)
        return self.event('[DONE]')


class ModelServer:
    """with ModelServer(Handler) as model: model.url. Handlers see it as `server.model`."""

    def __init__(self, handler):
        self.handler = handler
        self.closing = threading.Event()

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), self.handler)
        self.server.daemon_threads = True
        self.server.model = self
        numbers, lock = iter(range(1, 1 << 30)), threading.Lock()

        def next_number():
            with lock:
                return next(numbers)
        self.server.next_number = next_number
        self.url = f'http://127.0.0.1:{self.server.server_address[1]}'
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
