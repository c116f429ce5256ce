"""What the built programs and the library show to their users, as sets of lines (see check.py)."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

# Their keys are the user's own words, not ours.
FREE_FORM = {'labels', 'details', 'answers'}
# What `show` adds to a record.
BESIDES = {'output', 'questions', 'answer'}


def collect(build, source):
    program = Program(build)
    try:
        scenario = Scenario(program)
        return {
            'verbs': ('verbs and options of the command line', verbs(program)),
            'json_keys': ('keys of what --json prints', scenario.keys()),
            'exit_codes': ('exit statuses of the command line', scenario.statuses()),
            'error_codes': ('error codes', error_codes(source) | scenario.codes()),
            'sizes': ('sizes of the structs of include/perdure', sizes(build, source)),
            'symbols': ('public symbols of libperdure.so', symbols(build / 'lib' / 'libperdure.so')),
        }
    finally:
        program.close()


class Program:
    """The command line, on a scratch session and with nothing of the caller's in its environment."""

    def __init__(self, build):
        self.path = build / 'bin' / 'perdure'
        self.scratch = tempfile.mkdtemp(prefix='surface-')
        self.environment = {'PATH': os.environ['PATH'], 'HOME': self.scratch, 'NO_COLOR': '1', 'LC_ALL': 'C.UTF-8'}

    def run(self, *arguments):
        return subprocess.run([self.path, '--session', f'{self.scratch}/session', *arguments],
                              env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60, check=False)

    def start(self, *arguments):
        done = self.run('run', *arguments)
        if done.returncode != 0:
            raise SystemExit(f'perdure run {" ".join(arguments)} exited with {done.returncode}: {done.stderr}')
        return done.stdout.strip()

    def close(self):
        self.run('stop', '--all', '--grace', '0')
        shutil.rmtree(self.scratch, ignore_errors=True)


# --- verbs and options, from the help -------------------------------------------------------------------------

def listed_verbs(help_text):
    """The first words of the indented lines below a heading like `Commands:`."""
    found, inside = [], False
    for line in help_text.splitlines():
        if re.match(r'\S.*:?$', line):
            inside = bool(re.search(r'(?i)\b(sub)?commands?\b', line)) and not re.match(r'(?i)usage', line)
        elif inside and (verb := re.match(r' {1,4}([a-z][a-z-]*)(\s{2,}|\s*$|,|\s+\S)', line)):
            found.append(verb.group(1))
    return found


def listed_options(help_text):
    """`--long` and `-s` of lines that begin with an option, before the two blanks that end its column."""
    found = set()
    for line in help_text.splitlines():
        if re.match(r'\s+-', line):
            column = re.split(r'\s{2,}', line.strip())[0]
            found |= set(re.findall(r'(?<![\w-])(--[a-z][\w-]*|-[A-Za-z])(?![\w-])', column))
    return found


def verbs(program):
    lines = set()
    top = program.run('--help').stdout
    everywhere = listed_options(top)
    lines |= {f'perdure {option}' for option in everywhere}
    for verb in listed_verbs(top):
        lines.add(f'perdure {verb}')
        text = program.run(verb, '--help').stdout
        lines |= {f'perdure {verb} {option}' for option in listed_options(text) - everywhere}
        for below in listed_verbs(text):
            lines.add(f'perdure {verb} {below}')
            inner = program.run(verb, below, '--help').stdout
            lines |= {f'perdure {verb} {below} {option}' for option in listed_options(inner) - everywhere}
    if len(lines) < 10:
        raise SystemExit(f'found no verbs in the help of {program.path}:\n{top}')
    return lines


# --- what real tasks show -------------------------------------------------------------------------------------

def documents(text):
    """All JSON documents of a text, in order: verbs that go on for a while print more than one."""
    values, decoder = [], json.JSONDecoder()
    text = text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:].lstrip()
    return values


class Scenario:
    """Tasks of every outcome, and what each verb says about them."""

    def __init__(self, program):
        self.program = program
        self._keys, self._statuses, self._codes = set(), set(), set()
        self._outcomes()
        self._statuses_of_errors()
        self._questions()
        self._lost()
        self._reports()

    def keys(self):
        return self._keys

    def statuses(self):
        return self._statuses

    def codes(self):
        return self._codes

    def _add_keys(self, verb, value, path=''):
        if isinstance(value, list):
            for item in value:
                self._add_keys(verb, item, path + '[]' if path or isinstance(item, dict) else path)
        elif isinstance(value, dict):
            if {'taskId', 'startedAt'} <= set(value) and verb != 'record':
                self._keys.add(f'{verb}: {path or "."} is a record')
                self._add_keys('record', {key: inner for key, inner in value.items() if key not in BESIDES})
                value = {key: inner for key, inner in value.items() if key in BESIDES}
            for key, inner in value.items():
                here = f'{path}.{key}' if path else key
                self._keys.add(f'{verb}: {here}')
                if key not in FREE_FORM:
                    self._add_keys(verb, inner, here)

    def _json(self, verb, *arguments, label=None):
        """Runs a verb with --json and notes the keys and, if it failed, the error's code."""
        done = self.program.run('--json', verb, *arguments)
        try:
            values = documents(done.stdout)
        except json.JSONDecodeError as error:
            raise SystemExit(f'perdure --json {verb} {" ".join(arguments)}: no JSON ({error}): {done.stdout!r} '
                             f'{done.stderr!r}') from error
        for value in values:
            if isinstance(value, dict) and set(value) == {'error'}:
                self._add_keys('error', value)
                self._codes.add(value['error']['code'])
            else:
                self._add_keys(label or verb, value)
        return values

    def _status(self, expected, what, done):
        if done.returncode != expected:
            raise SystemExit(f'exit_codes: {what}: expected {expected}, got {done.returncode}: {done.stderr}')
        self._statuses.add(f'{expected}: {what}')

    def _outcomes(self):
        run = self.program.run
        self._json('run', '--owner', 'someone', '--tool-call', 'call-1', '--label', 'a=b', '--idempotency-key', 'k',
                   '--description', 'one', '--timeout', '30s', '--on-end', 'true', '--wait', '-c', 'echo out')
        self._status(0, 'done', run('run', '--wait', '-c', 'true'))
        self._status(3, 'run --wait, wait: the exit code of the command, here 3', run('run', '--wait', '-c', 'exit 3'))
        self._status(124, 'run --wait, wait: timed out',
                     run('run', '--wait', '--timeout', '100ms', '--grace', '100ms', '-c', 'sleep 60'))
        self._status(128 + signal.SIGKILL, 'run --wait, wait: 128 + its own signal, here SIGKILL',
                     run('run', '--wait', '-c', 'kill -9 $$'))
        self._json('run', '--wait', '--output-limit', '1000', '--on-output-limit', 'stop', '-c',
                   'head -c 100000 /dev/zero; sleep 60')

        self._json('run', '--wait', '--memory-max', '8GiB', '--cpu-max', '64', '--pids-max', '9999', '-c', 'true')
        self._json('run', '--wait', '--idle-timeout', '100ms', '--grace', '0', '-c', 'sleep 60')
        stopped = self.program.start('--stdin', 'pipe', '-c', 'sleep 60')
        self._json('extend', stopped, '--timeout', '1h')
        self._json('write', stopped, '--eof')
        self._status(75, 'wait: its own time-out passed', run('wait', stopped, '--timeout', '10ms'))
        self._json('wait', stopped, '--timeout', '10ms')
        self._status(0, 'done', run('signal', stopped, 'CONT'))
        self._json('stop', stopped, '--reason', 'enough')
        self._status(143, 'wait: stopped', run('wait', stopped))
        one, two = self.program.start('-c', 'true'), self.program.start('-c', 'exit 1')
        self._status(1, 'wait: one of several did not complete', run('wait', one, two))
        self._json('wait', one, two)
        self._json('wait', one, '--any')

    def _statuses_of_errors(self):
        run = self.program.run
        self._status(2, 'bad usage', run('run', '--no-such-option'))
        self._status(127, 'run: the command was not found', run('run', '--', 'no-such-command-anywhere'))
        self._status(126, 'run: the command is not executable', run('run', '--', '/etc/passwd'))
        self._status(1, 'an operation failed', run('show', 'bash-00000000'))
        self._json('show', 'bash-00000000')
        self._json('show', '../x')
        self._json('run', '--', 'no-such-command-anywhere')

    def _questions(self):
        task = self._json('ask', 'Which?', '--choice', 'a=b', '--choice', 'c', '--header', 'h', '--default', 'a', '--tool-call', 'call')[0]['taskId']
        self._json('answer', task, '--choice', 'a')
        self._json('answer', task, 'late')
        self._json('show', task)
        self._status(1, 'answer: the question is closed', self.program.run('answer', task, 'x'))
        task = self._json('ask', 'Which?', '--deadline', '600s')[0]['taskId']
        self._json('answer', task, '--dismiss')
        self._json('ask', 'Which?', '--deadline', '1ms', '--default', 'x', '--wait')
        self._status(124, 'ask --wait: expired', self.program.run('ask', 'Which?', '--deadline', '1ms', '--wait'))

    def _lost(self):
        """Kills a runner: its task is lost, with evidence."""
        task = self.program.start('-c', 'sleep 60')
        record = json.loads(self.program.run('--json', 'show', task).stdout)
        os.kill(record['runner']['pid'], signal.SIGKILL)
        self._json('reconcile')
        self._status(125, 'wait: lost', self.program.run('wait', task))

    def _reports(self):
        bad = pathlib.Path(self.program.scratch, 'session', 'tasks', 'bash-aaaaaaaa.json')
        bad.write_text('{"taskId":"bash-aaaaaaaa"}')
        self._status(1, 'doctor: something is wrong', self.program.run('doctor'))
        self._json('doctor')
        self._json('show', 'bash-aaaaaaaa')
        bad.unlink()
        news = self._json('notifications')[0]
        self._json('notifications', 'ack', news[0]['id'])
        tasks = self._json('list', '--all')[0]
        for task in tasks:
            self._json('show', task['taskId'])
        printed = next(task['taskId'] for task in tasks if task.get('description') == 'one')
        self._json('output', printed)
        self._json('output', printed, '--tail', '2')
        for event in self._json('events', '--since', '0'):
            self._keys.add(f'events: type {event["type"]}')
        self._json('remove', printed)
        self._json('gc', '--keep', '3')
        self._json('config')
        self._json('version')


# --- the library ----------------------------------------------------------------------------------------------

def error_codes(source):
    """The words of perdure::name_of(ErrorCode), one for each enumerator of error.h."""
    header = (source / 'include/perdure/error.h').read_text()
    body = re.search(r'enum class ErrorCode \{(.*?)\};', header, re.S).group(1)
    enumerators = re.findall(r'^\s*(\w+),?\s*(?:///.*)?$', body, re.M)
    text = (source / 'src/base/error.cpp').read_text()
    words = re.findall(r'"([a-z_]+(?:\.[a-z_]+)?)"', re.search(r'kNames = \{(.*?)\};', text, re.S).group(1))
    if [word.replace('.', '_') for word in words] != enumerators:
        raise SystemExit('error_codes: the words of src/base/error.cpp are not the enumerators of error.h')
    return set(words)


def symbols(library):
    """Defined dynamic symbols in perdure:: that a user can name; any other namespace is a leak, and an error."""
    text = subprocess.run(['nm', '-DC', '--defined-only', library], capture_output=True, text=True, check=True).stdout
    found = {re.sub(r'^[0-9a-f]* \w ', '', line) for line in text.splitlines()}
    foreign = {name for name in found if not re.search(r'\bperdure::', name)}
    if foreign:
        raise SystemExit(f'symbols: {library} lets out what is not ours: {sorted(foreign)[:5]}')
    # SessionState is incomplete to users, and what takes it private, whatever the linker shows of it.
    return {name for name in found if 'SessionState' not in name}


def sizes(build, source):
    """sizeof of every complete struct and class of the public headers, as the compiler of the build has it."""
    headers = sorted((source / 'include/perdure').glob('*.h'))
    names = []
    for header in headers:
        text = header.read_text()
        outer = None
        for line in text.splitlines():
            found = re.match(r'(  )?(?:struct|class) (?:PERDURE_API |\[\[nodiscard\]\] )*(\w+)(?: : .*)? \{', line)
            if found and found[1]:
                names.append(f'{outer}::{found[2]}')
            elif found:
                outer = found[2]
                names.append(outer)
    names = [name for name in names if name not in ('Setting',)]  # a template
    cache = (build / 'CMakeCache.txt').read_text()
    compiler = re.search(r'^CMAKE_CXX_COMPILER:\w+=(.*)$', cache, re.M).group(1)
    program = ''.join(f'#include <perdure/{header.name}>\n' for header in headers) + '#include <cstdio>\nint main() {\n'
    program += ''.join(f'  std::printf("{name}: %zu bytes\\n", sizeof(perdure::{name}));\n' for name in names) + '}\n'
    with tempfile.TemporaryDirectory(prefix='surface-') as folder:
        pathlib.Path(folder, 'sizes.cpp').write_text(program)
        subprocess.run([compiler, '-std=c++23', f'-I{source}/include', 'sizes.cpp', '-o', 'sizes'], cwd=folder, check=True)
        return set(subprocess.run([f'{folder}/sizes'], capture_output=True, text=True, check=True).stdout.splitlines())
