#!/usr/bin/env python3
"""An agent that speaks the Agent Client Protocol and does what its prompt says, word by word: for tests.

    say TEXT            the final message: all words up to the end
    sleep SECONDS       until then, or until it is cancelled
    ignore-cancel late-end late-refusal late-error
                        what it does about a cancel: nothing; or it answers with an end of its own
    refuse max-tokens fail crash garbage
    permission fs terminal elicit mcp child holder updates unknown
    flood MEGABYTES     of updates
    options a,b         kinds of the options of the next `permission`

Environment: ACP_STORE (its conversations, a JSON file), ACP_MARKER (a file touched at the start), ACP_SESSION_ID (the only id
it gives), ACP_CAPS=none|load (what it can resume with; both if unset), ACP_AUTH (a method without which it does nothing),
ACP_HANG=initialize|new|reading (never answers that; or reads no more once there is a conversation), ACP_LOG (all that it
reads, a line each).
"""
import json
import os
import queue
import subprocess
import sys
import threading
import time

STORE = os.environ.get('ACP_STORE')
KINDS = {'a': 'allow_once', 'A': 'allow_always', 'r': 'reject_once', 'R': 'reject_always'}


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Cancelled(Exception):
    pass


class Agent:
    def __init__(self):
        self.write_lock = threading.Lock()
        self.answers, self.last_id = {}, 0
        self.cancelled = threading.Event()
        self.logged_in = 'ACP_AUTH' not in os.environ
        self.options = 'a,A,r'
        self.final = None

    # -- the wire
    def send(self, message):
        with self.write_lock:
            sys.stdout.write(json.dumps({'jsonrpc': '2.0', **message}) + '\n')
            sys.stdout.flush()

    def request(self, method, **params):
        self.last_id += 1
        answer = self.answers[self.last_id] = queue.Queue()
        self.send({'id': self.last_id, 'method': method, 'params': {'sessionId': self.session, **params}})
        return answer.get()

    def update(self, session_update, **fields):
        self.send({'method': 'session/update', 'params': {'sessionId': self.session, 'update': {'sessionUpdate': session_update, **fields}}})

    def text(self, kind, text, **fields):
        self.update(kind, content={'type': 'text', 'text': text}, **fields)

    def serve(self):
        for line in sys.stdin:
            if 'ACP_LOG' in os.environ:
                with open(os.environ['ACP_LOG'], 'a', encoding='utf-8') as log:
                    log.write(line)
            message = json.loads(line)
            if 'method' not in message:
                self.answers.pop(message['id']).put(message)
            elif message['method'] == 'session/cancel':
                self.cancelled.set()
            elif message['method'] == 'session/prompt':
                threading.Thread(target=self.answer, args=(message,), daemon=True).start()
            elif 'id' in message:
                self.answer(message)
                if message['method'] == 'session/new' and os.environ.get('ACP_HANG') == 'reading':
                    time.sleep(1e6)

    def answer(self, message):
        name = 'on_' + message['method'].replace('/', '_')
        try:
            if message['method'].split('/')[-1] == os.environ.get('ACP_HANG'):
                return
            if not hasattr(self, name):
                raise Refused(-32601, 'no such method: ' + message['method'])
            self.send({'id': message['id'], 'result': getattr(self, name)(message['params'])})
        except Refused as refused:
            self.send({'id': message['id'], 'error': {'code': refused.code, 'message': str(refused)}})
        except Exception as bug:  # of this script: the test is to hear of it at once
            self.send({'id': message['id'], 'error': {'code': -32603, 'message': repr(bug)}})

    # -- conversations
    def stored(self):
        try:
            with open(STORE, encoding='utf-8') as f:
                return json.load(f)
        except (FileNotFoundError, TypeError):
            return {}

    def keep(self, **change):
        all_of_them = self.stored()
        all_of_them.setdefault(self.session, {'history': []}).update(change)
        if STORE:
            with open(f'{STORE}.{os.getpid()}', 'w', encoding='utf-8') as f:
                json.dump(all_of_them, f)
            os.rename(f'{STORE}.{os.getpid()}', STORE)

    def remember(self, who, text):
        history = self.stored().get(self.session, {}).get('history', [])
        self.keep(history=[*history, [who, text]])

    # -- requests
    def on_initialize(self, _):
        caps = os.environ.get('ACP_CAPS')
        methods = [{'id': os.environ['ACP_AUTH'], 'name': 'Log in'}] if 'ACP_AUTH' in os.environ else []
        return {'protocolVersion': int(os.environ.get('ACP_VERSION', '1')), 'agentInfo': {'name': 'scripted', 'version': '1.0'}, 'authMethods': methods,
                'agentCapabilities': {'loadSession': caps != 'none', 'sessionCapabilities': {'close': {}, **({} if caps else {'resume': {}})}}}

    def on_authenticate(self, params):
        if params['methodId'] != os.environ.get('ACP_AUTH'):
            raise Refused(-32602, 'no such method of authentication')
        self.logged_in = True
        return {}

    def about(self):
        options = [{'id': 'model', 'name': 'Model', 'category': 'model', 'type': 'select', 'currentValue': 'small',
                    'options': [{'value': 'small', 'name': 'Small'}, {'value': 'big', 'name': 'Big'}]}]
        modes = {'currentModeId': 'ask', 'availableModes': [{'id': 'ask', 'name': 'Ask'}, {'id': 'code', 'name': 'Code'}]}
        return {'configOptions': options, 'modes': modes}

    def on_session_new(self, params):
        if not self.logged_in:
            raise Refused(-32000, 'Authentication required')
        self.session = os.environ.get('ACP_SESSION_ID') or f'sess_{os.getpid()}_{time.time_ns()}'
        self.cwd, self.servers = params['cwd'], params['mcpServers']
        self.keep()
        return {'sessionId': self.session, **self.about()}

    def on_session_resume(self, params):
        if os.environ.get('ACP_CAPS'):
            raise Refused(-32601, 'session/resume is not offered')
        self.session = params['sessionId']
        if self.session not in self.stored():
            raise Refused(-32002, 'no such conversation')
        self.cwd, self.servers = params['cwd'], params['mcpServers']
        return self.about()

    def on_session_load(self, params):
        self.session = params['sessionId']
        if self.session not in self.stored():
            raise Refused(-32002, 'no such conversation')
        self.cwd, self.servers = params['cwd'], params['mcpServers']
        for who, text in self.stored()[self.session]['history']:
            self.text('user_message_chunk' if who == 'user' else 'agent_message_chunk', text)
        return None

    def on_session_close(self, _):
        return {}

    def on_session_set_mode(self, params):
        self.keep(mode=params['modeId'])
        self.update('current_mode_update', currentModeId=params['modeId'])
        return {}

    def on_session_set_config_option(self, params):
        self.keep(**{params['configId']: params['value']})
        options = self.about()['configOptions']
        options[0]['currentValue'] = params['value']
        return {'configOptions': options}

    def on_session_prompt(self, params):
        words = ' '.join(block.get('text', '') for block in params['prompt']).split()
        self.remember('user', ' '.join(words))
        self.cancelled.clear()
        late = [w for w in words if w in ('ignore-cancel', 'late-end', 'late-refusal', 'late-error')]
        try:
            return self.turn([w for w in words if w not in late], late)
        except Cancelled:
            if 'late-error' in late:
                raise Refused(-32603, 'it broke') from None
            if late and late[0] != 'ignore-cancel':
                self.text('agent_message_chunk', 'late words', messageId='late')
            return {'stopReason': {'late-end': 'end_turn', 'late-refusal': 'refusal'}.get(late[0] if late else '', 'cancelled')}

    def turn(self, words, late):
        stop = 'end_turn'
        while words:
            word = words.pop(0)
            if word == 'say':
                rest = ' '.join(words)
                words = []
                for part in (rest[:3], rest[3:]):
                    self.text('agent_message_chunk', part, messageId='final')
                self.remember('agent', rest)
            elif word == 'sleep':
                seconds = float(words.pop(0))
                if 'ignore-cancel' in late:
                    time.sleep(seconds)
                elif self.cancelled.wait(seconds):
                    raise Cancelled
            elif word in ('refuse', 'max-tokens'):
                stop = {'refuse': 'refusal', 'max-tokens': 'max_tokens'}[word]
            elif word == 'fail':
                raise Refused(-32603, 'the model is not there')
            elif word == 'options':
                self.options = words.pop(0)
            elif word == 'flood':
                self.flood(int(words.pop(0)))
            elif hasattr(self, 'do_' + word.replace('-', '_')):
                getattr(self, 'do_' + word.replace('-', '_'))()
        return {'stopReason': stop, 'usage': {'totalTokens': 30, 'inputTokens': 20, 'outputTokens': 10}}

    # -- what a prompt can have it do
    def do_crash(self):
        sys.stderr.write('about to crash\n')
        sys.stderr.flush()
        os._exit(7)

    def do_garbage(self):
        with self.write_lock:
            sys.stdout.write('Segmentation fault, maybe\n')
            sys.stdout.flush()

    def do_permission(self):
        self.update('tool_call', toolCallId='call_1', title='Delete everything', kind='delete', status='pending', rawInput={'path': 'a.txt'})
        kinds = self.options.split(',')
        options = [{'optionId': f'o{n}', 'name': KINDS[k].replace('_', ' '), 'kind': KINDS[k]} for n, k in enumerate(kinds)]
        outcome = self.request('session/request_permission', toolCall={'toolCallId': 'call_1'}, options=options)['result']['outcome']
        chosen = outcome.get('optionId')
        kind = KINDS[kinds[int(chosen[1:])]] if chosen else outcome['outcome']
        self.text('agent_message_chunk', f'permission {kind}', messageId='permission')
        if kind == 'cancelled' and self.cancelled.is_set():
            raise Cancelled

    def do_permission_content(self):
        """As kimi asks: the command is in the content of the request only."""
        options = [{'optionId': k, 'name': k, 'kind': k} for k in ('allow_once', 'reject_once')]
        call = {'toolCallId': 'call_2', 'title': 'Bash', 'kind': 'execute', 'locations': [{'path': '/etc/passwd', 'line': 7}],
                'content': [{'type': 'content', 'content': {'type': 'text', 'text': 'Requesting approval to Running: rm -rf /precious'}},
                            {'type': 'diff', 'path': '/etc/hosts', 'oldText': 'a\nb\n', 'newText': 'a\nc\n'}]}
        outcome = self.request('session/request_permission', toolCall=call, options=options)['result']['outcome']
        self.text('agent_message_chunk', f'permission {outcome.get("optionId", outcome["outcome"])}', messageId='permission')

    def do_fs(self):
        path = os.path.join(self.cwd, 'a.txt')
        read = self.request('fs/read_text_file', path=path, line=2, limit=1)
        wrote = self.request('fs/write_text_file', path=os.path.join(self.cwd, 'deep', 'b.txt'), content='new')
        outside = self.request('fs/read_text_file', path='/etc/passwd')
        climbing = self.request('fs/write_text_file', path=os.path.join(self.cwd, '..', 'c.txt'), content='x')
        self.text('agent_message_chunk', json.dumps([read.get('result'), 'result' in wrote, 'error' in outside, 'error' in climbing]), messageId='fs')

    def do_terminal(self):
        terminal = self.request('terminal/create', command='sh', args=['-c', 'echo $X; exit 3'], cwd=self.cwd,
                                env=[{'name': 'X', 'value': 'hi'}], outputByteLimit=1000)['result']['terminalId']
        ended = self.request('terminal/wait_for_exit', terminalId=terminal)['result']
        output = self.request('terminal/output', terminalId=terminal)['result']
        self.request('terminal/release', terminalId=terminal)
        gone = self.request('terminal/output', terminalId=terminal)
        endless = self.request('terminal/create', command='sleep', args=['1000'])['result']['terminalId']
        self.request('terminal/kill', terminalId=endless)
        killed = self.request('terminal/wait_for_exit', terminalId=endless)['result']
        self.text('agent_message_chunk', json.dumps([ended, output, 'error' in gone, killed]), messageId='terminal')

    def do_elicit(self):
        schema = {'type': 'object', 'required': ['branch'], 'properties': {'branch': {'type': 'string', 'enum': ['main', 'dev']}}}
        answer = self.request('elicitation/create', mode='form', message='Which branch?', requestedSchema=schema)
        self.text('agent_message_chunk', json.dumps(answer.get('result')), messageId='elicit')

    def do_updates(self):
        self.update('plan', entries=[{'content': 'do it', 'priority': 'high', 'status': 'in_progress'}])
        self.text('agent_thought_chunk', 'hm')
        self.text('user_message_chunk', 'echo')
        self.update('tool_call', toolCallId='call_9', title='Look', kind='read', status='in_progress', locations=[{'path': '/a', 'line': 1}])
        self.update('tool_call_update', toolCallId='call_9', status='completed', rawOutput={'x': 'y' * 10_000})
        self.update('available_commands_update', availableCommands=[])
        self.update('current_mode_update', currentModeId='code')
        self.update('config_option_update', configOptions=self.about()['configOptions'])
        self.update('session_info_update', title='A title')
        self.update('usage_update', used=1, size=2, cost={'amount': 0.01, 'currency': 'USD'})
        self.update('notice', severity='info', title='Note')
        self.update('compaction_update', compactionId='c', status='completed')

    def do_unknown(self):
        self.update('something_new', x=1)
        for params in ({}, None, [1]):
            self.send({'method': '_vendor/notify', 'params': params})
        self.update('tool_call_update', toolCallId='deep', rawOutput=json.loads('[' * 100 + ']' * 100))
        self.text('agent_thought_chunk', 'half a character: \ud83d')
        refused = self.request('_vendor/ask')
        self.text('agent_message_chunk', str(refused['error']['code']), messageId='unknown')

    def do_child(self):
        subprocess.Popen(['setsid', 'sh', '-c', 'trap "" TERM HUP; while :; do sleep 0.1; done'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def do_holder(self):
        subprocess.Popen(['setsid', 'sh', '-c', 'trap "" HUP; while :; do sleep 0.1; done'], stdin=subprocess.DEVNULL)

    def do_mcp(self):
        server = self.servers[0]
        peer = subprocess.Popen([server['command'], *server['args']], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                env={**os.environ, **{v['name']: v['value'] for v in server['env']}})
        def call(number, method, params):
            peer.stdin.write(json.dumps({'jsonrpc': '2.0', 'id': number, 'method': method, 'params': params}) + '\n')
            peer.stdin.flush()
            return json.loads(peer.stdout.readline())
        call(1, 'initialize', {'protocolVersion': '2025-11-25', 'capabilities': {}, 'clientInfo': {'name': 'scripted', 'version': '1'}})
        call(2, 'tools/call', {'name': 'Bash', 'arguments': {'command': 'sleep 1000', 'run_in_background': True, 'description': 'x'}})

    def flood(self, megabytes):
        chunk = 'x' * 65_000
        for n in range(megabytes * 16):
            self.text('agent_message_chunk' if n % 2 else 'agent_thought_chunk', chunk, messageId='flood')


def main():
    if 'ACP_MARKER' in os.environ:
        with open(os.environ['ACP_MARKER'], 'a', encoding='ascii'):
            pass
    Agent().serve()


if __name__ == '__main__':
    main()
