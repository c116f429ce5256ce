"""Real MCP clients with a scripted model on loopback: set up by `perdure setup`, killed, started again; what the model saw.

Each request that a client sends to its model is kept by scripted_model.py. PERDURE_CLIENT_REPORT=FILE appends a line for
each text, with its characters: the table of docs/reference/mcp.md.
"""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import unittest
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
sys.path.insert(0, HERE)
import node_tools  # noqa: E402
from build_logs import LOGS  # noqa: E402
from scripted_model import SCRIPT, SENTENCE, ScriptedModel  # noqa: E402
from session import BIN, PERDURE, SessionTest, eventually, is_alive, processes_with  # noqa: E402

MODULES = os.path.join(os.path.abspath(node_tools.BUILD), 'real_clients', 'node_modules')
PATIENCE = 180
# Shared rules (tools.md section 4); what a client adds of its own to a result is not counted.
NOTIFICATION, SMALL_OUTPUT, LIST_LINE, STARTED = 700, 160, 80, 480
TOOLS = {'Bash', 'Agent', 'TaskList', 'TaskOutput', 'TaskStop', 'WaitFor', 'TaskDetach', 'TaskWrite', 'AskUserQuestion'}

BARE = re.compile(r'(?<![\w`])(TaskList|TaskOutput|TaskStop|WaitFor|TaskWrite|TaskDetach)\b')
QUESTION = {'question': 'Which one?', 'header': 'Choice', 'options': [{'label': 'A', 'description': 'the first'},
                                                                      {'label': 'B', 'description': 'the second'}]}


def setUpModule():
    node_tools.install()  # Node itself
    try:
        node_tools.install('real_clients')
    except node_tools.CannotInstall as error:
        print(f'the clients can not be had: {error}')
        sys.exit(77)


def soon(condition, what):
    """Clients take seconds of processor time to start, and many to answer where others run."""
    return eventually(condition, what, PATIENCE)


def call(tool, **arguments):
    return f'CALL {tool} {json.dumps(arguments)}'


class Terminal(subprocess.Popen):
    """A program on a terminal of 200x50; what it shows is kept in a file."""

    def __init__(self, command, cwd, env, log):
        self.log = log
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 200, 0, 0))
        super().__init__(command, cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.file = open(log, 'wb', buffering=0)
        self.reader = threading.Thread(target=self.keep)
        self.reader.start()

    def keep(self):
        with self.file as log:
            while True:
                try:
                    part = os.read(self.master, 65536)
                except OSError:
                    return
                if not part:
                    return
                log.write(part)

    def shown(self, text):
        """How often: words are put on the screen one by one, with movements of the cursor between them."""
        with open(self.log, encoding='utf-8', errors='replace') as f:
            screen = re.sub(r'\x1b(\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)', '', f.read())
        return re.sub(r'\s', '', screen).count(re.sub(r'\s', '', text))

    def type(self, text):
        os.write(self.master, text.encode())

    def close(self):
        if self.poll() is None:
            self.kill()
            self.wait()
        self.reader.join(10)
        os.close(self.master)


class RealClient:
    """The same for each client; the classes below say how it is configured, started and resumed."""
    name = ''           # for `perdure setup`
    prefix = ''         # before a tool's name, as the model sees it
    around = re.compile('')  # what the client puts before each result
    repeats_itself = False   # a resumed conversation has each answer twice
    declines_forms = False   # it says that it can show forms, and has no terminal for them
    takes_stdin = False      # the prompt is its standard input

    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.scratch, 'home')
        self.work = os.path.join(self.scratch, 'work')
        for folder in (self.home, os.path.join(self.work, '.git')):
            os.makedirs(folder)
        self.model = ScriptedModel(self.prefix).__enter__()
        self.addCleanup(self.model.__exit__)
        path = ':'.join([os.path.abspath(BIN), os.path.dirname(node_tools.NODE), os.environ['PATH']])
        kept = {k: v for k, v in os.environ.items() if k in ('LANG', 'USER', 'LOGNAME', 'SHELL', 'TMPDIR')}
        self.env = {**kept, 'HOME': self.home, 'PATH': path, 'PERDURE_SESSION': self.session, 'TERM': 'xterm-256color',
                    'NO_PROXY': '*', 'no_proxy': '*', **self.variables()}
        self.number = 0
        self.configure()
        self.set_up()

    # What differs ---------------------------------------------------------------------------------------------------------

    def variables(self):
        return {}

    def configure(self):
        """Its own files, before Perdure is added to them."""

    def command(self, prompt, resume):
        raise NotImplementedError

    def has_saved(self, task):
        """Waits until its conversation is on disk, where it could not be resumed else."""

    # What they share ------------------------------------------------------------------------------------------------------

    def write(self, path, value):
        path = os.path.join(self.home, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(value if isinstance(value, str) else json.dumps(value, indent=2))

    def set_up(self):
        done = subprocess.run([PERDURE, 'setup', self.name, '--yes', '--json'], env=self.env, cwd=self.work, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)['agents'][0]['status'], 'set_up', done.stdout)

    def begin(self, prompt, resume=False):
        self.number += 1
        prompt = SCRIPT + prompt
        log = os.path.join(self.scratch, f'client-{self.number}.log')
        with open(log, 'wb') as out:
            client = subprocess.Popen(self.command(prompt, resume), cwd=self.work, env=self.env, stdout=out, stderr=subprocess.STDOUT,
                                      stdin=subprocess.PIPE if self.takes_stdin else subprocess.DEVNULL, start_new_session=True)
        client.log = log
        if self.takes_stdin:
            client.stdin.write(prompt.encode())
            client.stdin.close()
        return client

    def said(self, client):
        with open(client.log, encoding='utf-8', errors='replace') as f:
            return f.read()[-4000:]

    def ask(self, *calls, resume=False):
        """One whole run of the client; the requests that it made."""
        before = len(self.model.requests)
        client = self.begin('\n'.join(calls), resume)
        try:
            client.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill(client)
            self.fail(f'it did not end: {self.said(client)}\n{self.model.requests[-1:] and self.model.requests[-1].entries[-4:]}')
        self.assertIn(SENTENCE, self.said(client))
        made = self.model.requests[before:]
        self.assertTrue(made, self.said(client))
        last = max(made, key=lambda request: len(request.entries))
        self.assertEqual(len(last.answers()), len(calls), last.entries)
        for answer in last.answers() if self.prefix else []:
            self.assertIsNone(BARE.search(answer.replace(self.prefix, '_')), answer)
        return made

    @staticmethod
    def last(requests):
        return max(requests, key=lambda request: len(request.entries))

    def ours(self, answer):
        """A result without what the client adds."""
        return self.around.sub('', answer)

    def kill(self, client):
        """The client and all that it started, but for what is a task: nothing of it gets to say goodbye."""
        for pid in [client.pid, *(p for p in processes_with('HOME=' + self.home) if not self.is_of_task(p))]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        client.wait()

    @staticmethod
    def is_of_task(pid):
        try:
            with open(f'/proc/{pid}/environ', 'rb') as f:
                if b'\0PERDURE_TASK_ID=' in b'\0' + f.read():
                    return True
            with open(f'/proc/{pid}/comm', encoding='utf-8') as f:
                return f.read().startswith('perdure-runner')
        except OSError:
            return True

    def tearDown(self):
        self.perdure('stop', '--all')
        for pid in processes_with('HOME=' + self.home):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        super().tearDown()

    def report(self, what, text):
        if folder := os.environ.get('PERDURE_CLIENT_REQUESTS'):
            for n, request in enumerate(self.model.requests):
                with open(os.path.join(folder, f'{self.id().split(".")[-1]}-{type(self).__name__}-{n}.json'), 'w', encoding='utf-8') as f:
                    json.dump(request.body, f, indent=1, ensure_ascii=False)
        if path := os.environ.get('PERDURE_CLIENT_REPORT'):
            with open(path, 'a', encoding='utf-8') as f:
                f.write(f'{type(self).__name__}\t{what}\t{len(text)}\t{text[:400]!r}\n')

    def told(self, requests, task):
        """How often the end of the task was told unasked, in the whole conversation that a model sees."""
        texts = [entry.text for entry in self.last(requests).entries]
        if self.repeats_itself:
            texts = [text for n, text in enumerate(texts) if n == 0 or text != texts[n - 1]]
        return len(re.findall(self.mark(task), '\n'.join(texts).replace('\\"', '"')))

    @staticmethod
    def mark(task):
        return rf'<notification [^>]*{task}|"source_id": ?"{task}"|<summary>MCP task {task}'

    def news(self, requests, task):
        """The text by which the end of the task was told."""
        entry = next(e for e in self.last(requests).entries if re.search(self.mark(task), e.text.replace('\\"', '"')))
        self.report('the entry with the notification', entry.text)
        return entry.text

    def running(self, description):
        found = soon(lambda: [t for t in self.json('list') if t['description'] == description and t['status'] == 'running'],
                     'the client started it')
        return found[0]['taskId']

    def test_a_task_outlives_the_killed_client_and_its_end_is_told_once(self):
        gate = os.path.join(self.scratch, 'gate')
        line = f'until [ -e {gate} ]; do sleep 0.05; done; echo the end of the build'
        client = self.begin('\n'.join([call('Bash', command=line, run_in_background=True, description='the build', timeout=3600),
                                       call('WaitFor', timeout=600)]))
        task = self.running('the build')
        started = self.model.await_request(lambda r: len(r.answers()) == 1, 'the answer of Bash')
        self.check_names(started)
        shown = self.ours(started.answers()[0])
        self.report('background start', shown)
        self.assertIn(task, shown)
        self.assertLessEqual(len(shown), STARTED)
        self.assertNotIn('automatic_notification', shown)
        soon(lambda: any(b'mcp' in self.command_of(p) for p in processes_with('HOME=' + self.home)), 'the server runs')
        self.has_saved(task)
        self.kill(client)
        self.assertEqual(self.record(task)['status'], 'running')
        with open(gate, 'w', encoding='ascii'):
            pass
        self.assertEqual(self.finished(task)['status'], 'completed')

        requests = self.ask(call('TaskList', active_only=False), call('TaskOutput', task_id=task), resume=True)
        listed, output = map(self.ours, self.last(requests).answers())
        self.report('TaskList with a notification', listed)
        self.assertIn(task, listed)
        self.assertEqual(self.told(requests, task), 1, self.last(requests).entries)
        self.assertIn('the end of the build', self.news(requests, task))
        self.assertLessEqual(len(listed), 2 * LIST_LINE + NOTIFICATION + 40)
        self.report('TaskOutput', output)
        self.assertIn('the end of the build', output)
        self.assertLessEqual(len(output), SMALL_OUTPUT)
        again = self.ask(call('TaskList'), resume=True)
        self.report('TaskList, none', self.last(again).answers()[0])
        self.assertEqual(self.told(again, task), 1, 'it was told once more: ' + repr(self.last(again).entries))

    @staticmethod
    def command_of(pid):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                return f.read()
        except OSError:
            return b''

    def check_names(self, request):
        """Every tool is offered under the name that our texts give it."""
        ours = {name for namespace, name, _ in request.tools if 'perdure' in f'{namespace or ""}{name}'}
        self.report('tools', ' '.join(sorted(ours)))
        self.assertLessEqual({self.prefix + tool for tool in self.offered()}, ours)
        definitions = json.dumps([d for n, name, d in request.tools if name in ours], ensure_ascii=False)
        self.report('tools, as offered', definitions)
        for tool in TOOLS - {'Bash', 'Agent', 'AskUserQuestion'}:
            for at in re.finditer(rf'(?<!Stopped by )\b{tool}\b', definitions) if self.prefix else []:
                self.fail(f'{tool} without its prefix: {definitions[max(0, at.start() - 60):at.end() + 20]}')

    def offered(self):
        return TOOLS

    def test_a_question_is_open_until_a_person_answers_it(self):
        client = self.begin('\n'.join([call('AskUserQuestion', questions=[QUESTION]), call('WaitFor', timeout=120)]))
        asked = self.model.await_request(lambda r: len(r.answers()) == 1, 'the answer of AskUserQuestion')
        shown = self.ours(asked.answers()[0])
        self.report('question', shown)
        if self.declines_forms:
            self.assertIn('declined the form by itself', shown)
            self.assertNotIn('dismissed', shown)
        else:
            self.check_question(shown)
        self.assertEqual(client.wait(PATIENCE), 0)

    def check_question(self, shown):
        """It is an open task, and the model knows what to do next."""
        task = re.search(r'question-[0-9a-z]{8}', shown)[0]
        self.assertIn(self.prefix + 'WaitFor', shown)
        self.perdure('answer', task, '--choice', 'B', check=0)
        told = self.model.await_request(lambda r: len(r.answers()) == 2, 'the answer of WaitFor').answers()[1]
        self.report('WaitFor, answered', told)
        self.assertIn('B', told)
        self.assertIn(task, told)

    def test_the_error_of_twelve_builds_is_visible_to_the_model(self):
        tasks = {}
        for tool, (log, _) in LOGS.items():
            path = os.path.join(self.scratch, tool + '.log')
            with open(path, 'w', encoding='utf-8') as f:
                f.writelines(f'[{n}/2000] Building the object number {n} of 2000\n' for n in range(200))
                f.write(log)
                f.writelines(f'[{n}/2000] Still building the independent object number {n}\n' for n in range(600))
            tasks[tool] = self.sh(f'cat {path}; exit 1', '--owner', 'builder')
            self.perdure('wait', tasks[tool])
        answers = self.last(self.ask(*(call('TaskOutput', task_id=task, all_owners=True) for task in tasks.values()))).answers()
        for (tool, (_, cause)), shown in zip(LOGS.items(), answers):
            self.report(f'failed {tool}', shown)
            # Once more escaped where the client shows JSON, or JSON in JSON.
            escaped = [json.dumps(cause, ensure_ascii=False)[1:-1], json.dumps(json.dumps(cause, ensure_ascii=False)[1:-1])[1:-1]]
            self.assertTrue(any(c in shown for c in (cause, *escaped)), (tool, shown[-3000:]))


class Codex(RealClient, SessionTest):
    name, prefix = 'codex', ''
    declines_forms = True
    around = re.compile(r'^Wall time: [\d.]+ seconds\nOutput:\n')

    def variables(self):
        return {'MOCK_KEY': 'dummy'}

    def configure(self):
        self.write('.codex/config.toml', f'''model = "gpt-5"
model_provider = "mock"

[model_providers.mock]
name = "mock"
base_url = "{self.model.url}/v1"
env_key = "MOCK_KEY"
wire_api = "responses"
''')

    def command(self, prompt, resume):
        codex = os.path.join(MODULES, 'codex-linux-x64', 'vendor', 'x86_64-unknown-linux-musl', 'bin', 'codex')
        options = ['--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox']
        return [codex, 'exec', *(['resume', '--last'] if resume else []), *options, prompt]

    def test_A9_its_server_gets_no_variable_of_ours_and_finds_the_session_in_its_entry(self):
        client = self.begin('\n'.join([call('Bash', command='sleep 300', run_in_background=True, description='long'),
                                       call('WaitFor', timeout=600)]))
        task = self.running('long')  # in the session that PERDURE_SESSION named when it was set up
        servers = [p for p in processes_with('HOME=' + self.home) if b'perdure\0mcp\0--session\0' + self.session.encode() in self.command_of(p)]
        self.assertEqual(len(servers), 1)
        with open(f'/proc/{servers[0]}/environ', 'rb') as f:
            names = {pair.partition(b'=')[0] for pair in f.read().split(b'\0')}
        self.assertIn(b'HOME', names)
        self.assertNotIn(b'PERDURE_SESSION', names)
        self.kill(client)
        self.assertEqual(self.record(task)['status'], 'running')


class Gemini(RealClient, SessionTest):
    name, prefix = 'gemini', 'mcp_perdure_'
    around = re.compile(r'^<untrusted_context>\n|\n</untrusted_context>$')
    repeats_itself = True

    def variables(self):
        return {'GEMINI_API_KEY': 'dummy', 'GOOGLE_GEMINI_BASE_URL': self.model.url, 'GEMINI_CLI_TRUST_WORKSPACE': 'true'}

    def configure(self):
        self.write('.gemini/settings.json', {'security': {'auth': {'selectedType': 'gemini-api-key'}}, 'general': {'enableAutoUpdate': False},
                                             'privacy': {'usageStatisticsEnabled': False}, 'telemetry': {'enabled': False}})

    def command(self, prompt, resume):
        script = os.path.join(MODULES, '@google', 'gemini-cli', 'bundle', 'gemini.js')
        return [node_tools.NODE, script, '--yolo', '--skip-trust', '-m', 'gemini-2.5-flash', *(['--resume', 'latest'] if resume else []),
                '-p', prompt]


class OpenCode(RealClient, SessionTest):
    name, prefix = 'opencode', 'perdure_'
    takes_stdin = True  # a prompt on the command line arrives in quotation marks

    def configure(self):
        provider = {'npm': '@ai-sdk/openai-compatible', 'name': 'Mock', 'options': {'baseURL': self.model.url + '/v1', 'apiKey': 'dummy'},
                    'models': {'m': {'name': 'm'}}}
        self.write('.config/opencode/opencode.json', {'provider': {'mock': provider}, 'model': 'mock/m', 'small_model': 'mock/m',
                                                      'autoupdate': False, 'share': 'disabled'})

    def command(self, prompt, resume):
        return [os.path.join(MODULES, 'opencode-linux-x64', 'bin', 'opencode'), 'run', *(['--continue'] if resume else [])]


class Qwen(RealClient, SessionTest):
    name, prefix = 'qwen', 'mcp__perdure__'

    def variables(self):
        return {'OPENAI_API_KEY': 'dummy', 'OPENAI_BASE_URL': self.model.url + '/v1', 'OPENAI_MODEL': 'm'}

    def command(self, prompt, resume):
        script = os.path.join(MODULES, '@qwen-code', 'qwen-code', 'cli.js')
        return [node_tools.NODE, script, '--auth-type=openai', '--yolo', *(['--continue'] if resume else []), '-p', prompt]


class Kimi(RealClient, SessionTest):
    name, prefix = 'kimi', 'mcp__perdure__'
    around = re.compile(r'^Wall time: [\d.]+ seconds\n')

    def configure(self):
        self.write('.kimi-code/config.toml', f'''default_model = "m"

[providers.mock]
type = "openai"
base_url = "{self.model.url}/v1"
api_key = "dummy"

[models.m]
provider = "mock"
model = "m"
max_context_size = 200000
''')

    def command(self, prompt, resume):
        script = os.path.join(MODULES, '@moonshot-ai', 'kimi-code', 'dist', 'main.mjs')
        return [node_tools.NODE, script, *(['--continue'] if resume else []), '-p', prompt]


class Claude(RealClient):
    name, prefix = 'claude', 'mcp__perdure__'
    print_only = []

    def variables(self):
        return {'IS_SANDBOX': '1', 'ANTHROPIC_BASE_URL': self.model.url, 'ANTHROPIC_API_KEY': 'dummy', 'DISABLE_AUTOUPDATER': '1',
                'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC': '1'}

    def configure(self):
        self.conversation = str(uuid.uuid4())
        self.write('.claude.json', {'hasCompletedOnboarding': True, 'customApiKeyResponses': {'approved': ['dummy'], 'rejected': []},
                                    'projects': {self.work: {'hasTrustDialogAccepted': True}}})

    def command(self, prompt, resume):
        claude = os.path.join(MODULES, '@anthropic-ai', 'claude-code-linux-x64', 'claude')
        return [claude, '--resume' if resume else '--session-id', self.conversation, '--dangerously-skip-permissions', *self.print_only, prompt]


class ClaudePrint(Claude, SessionTest):
    print_only = ['-p']
    declines_forms = True

    def test_A6_a_task_that_runs_does_not_keep_the_client_from_ending(self):
        last = self.last(self.ask(call('Bash', command='sleep 300', run_in_background=True, description='long')))
        self.assertIn('bash-', last.answers()[0])
        self.assertEqual(self.record(self.running('long'))['status'], 'running')


class ClaudeInteractive(Claude, SessionTest):
    """On a terminal, with the Tasks extension: it hears of an end by polling."""
    def configure(self):
        super().configure()
        self.write('.claude/settings.json', {'skipDangerousModePermissionPrompt': True})

    def has_saved(self, task):
        projects = os.path.join(self.home, '.claude', 'projects')

        def holds_it():
            for project in os.listdir(projects) if os.path.isdir(projects) else []:
                path = os.path.join(projects, project, self.conversation + '.jsonl')
                if os.path.exists(path):
                    with open(path, encoding='utf-8', errors='replace') as f:
                        return task in f.read()
            return False
        soon(holds_it, 'the conversation is on disk')

    def begin(self, prompt, resume=False):
        self.number += 1
        client = Terminal(self.command(SCRIPT + prompt, resume), self.work, self.env, os.path.join(self.scratch, f'client-{self.number}.log'))
        self.addCleanup(client.close)
        return client

    def test_a_question_is_open_until_a_person_answers_it(self):
        client = self.begin(call('AskUserQuestion', questions=[QUESTION]))
        soon(lambda: client.shown('In your own words'), 'its form is on the screen')
        client.type('\x1b[B')
        soon(lambda: client.shown('Type something'), 'the second field has the cursor')
        client.type('neither')
        soon(lambda: client.shown('neither'), 'it was typed')
        client.type('\r')
        soon(lambda: client.shown('❯ Accept'), 'the button has the cursor')
        client.type('\r')
        shown = self.model.await_request(lambda r: len(r.answers()) == 1, 'the answer').answers()[0]
        self.report('question', shown)
        self.assertEqual(json.loads(shown), {'answers': {'Which one?': 'neither'}})

    def test_A7_an_idle_session_is_woken_by_the_hook_that_setup_installed_where_it_does_not_poll(self):
        self.env['CLAUDE_CODE_DISABLE_MCP_TASKS'] = '1'
        self.wakes('<notification ')

    def test_A8_an_idle_session_that_polls_is_woken_by_its_client_and_not_by_the_hook_too(self):
        self.wakes('<summary>MCP task ')

    def test_A8_two_ends_at_once_are_each_told_once(self):
        gate = os.path.join(self.scratch, 'gate')
        line = f'until [ -e {gate} ]; do sleep 0.05; done; echo the end of the build'
        client = self.begin('\n'.join(call('Bash', command=line, run_in_background=True, description=name, timeout=3600)
                                      for name in ('the build', 'the tests')))
        tasks = [self.running('the build'), self.running('the tests')]
        soon(lambda: client.shown(SENTENCE), 'its turn has ended')
        with open(gate, 'w', encoding='ascii'):
            pass
        for task in tasks:
            self.model.await_request(lambda r, t=task: self.told([r], t), f'{task} is told')
        soon(lambda: not any(b'rewake' in self.command_of(p) for p in processes_with('HOME=' + self.home)), 'the hook has left')
        last = self.type_script(client, call('TaskList', active_only=False))
        self.assertEqual([self.told([last], task) for task in tasks], [1, 1], last.entries)

    def type_script(self, client, line):
        """Types a prompt with one call; the request that holds its answer."""
        client.type('\x1b[200~' + SCRIPT + line + '\x1b[201~')
        soon(lambda: client.shown('Pasted') or client.shown(line), 'it was typed')
        client.type('\r')
        tool = line.split()[1]
        return self.model.await_request(lambda r: r.script()[0] and r.script()[0][0][0] == tool and len(r.answers()) == 1, tool)

    def wakes(self, mark):
        gate = os.path.join(self.scratch, 'gate')
        client = self.begin(call('Bash', command=f'until [ -e {gate} ]; do sleep 0.05; done; echo the end of the build; exit 3',
                                 run_in_background=True, description='the build', timeout=3600))
        task = self.running('the build')
        self.model.await_request(lambda r: len(r.answers()) == 1, 'the answer of Bash')
        soon(lambda: client.shown(SENTENCE), 'its turn has ended')
        soon(lambda: any(b'rewake' in self.command_of(p) for p in processes_with('HOME=' + self.home)), 'the hook waits')
        before = len(self.model.requests)
        with open(gate, 'w', encoding='ascii'):
            pass
        woken = self.model.await_request(lambda r: self.told([r], task), 'it goes on by itself')
        self.assertIn(woken, self.model.requests[before:])
        told = next(e.text for e in woken.entries if mark + ('id="task:' if 'not' in mark else '') + task in e.text)
        self.report('what woke it', told)
        for word in ('exit code 3' if 'not' in mark else '"exit_code":3', 'the end of the build'):
            self.assertIn(word, told)
        # The waiter leaves when nothing runs; what a second channel had to tell would come with the next turn.
        soon(lambda: not any(b'rewake' in self.command_of(p) for p in processes_with('HOME=' + self.home)), 'the hook has left')
        soon(lambda: client.shown(SENTENCE) > 1, 'it has answered')
        last = self.type_script(client, call('TaskList', active_only=False))
        self.assertEqual(self.told([last], task), 1, last.entries)
        self.assertIn(task, last.answers()[0])

    def ask(self, *calls, resume=False):
        before = len(self.model.requests)
        client = self.begin('\n'.join(calls), resume)
        try:
            self.model.await_request(lambda r: r in self.model.requests[before:] and len(r.answers()) == len(calls), 'the answers')
            soon(lambda: client.shown(SENTENCE), 'it shows what the model said')
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.said(client)}') from error
        client.type('/exit\r')
        client.wait(PATIENCE)
        return self.model.requests[before:]


if __name__ == '__main__':
    unittest.main()
