"""What a model sees of Perdure, for each known client: names, shape and size (docs/reference/mcp.md, "Clients").

Every text is compared with tests/golden/CLIENT.txt, where ids, paths, pids and times are replaced, and has a budget in
characters (shared rules: tools.md section 4). PERDURE_UPDATE_GOLDEN=1 writes the files anew.
"""
import json
import os
import re
import sys
import time
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from build_logs import LOGS  # noqa: E402
from mcp_client import McpClient, modern_meta  # noqa: E402
from session import SessionTest, eventually  # noqa: E402

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden')
# clientInfo.name, prefix of tools, does the model see the text?
CLIENTS = {'claude-code': ('claude-code', 'mcp__perdure__', False), 'codex': ('codex-mcp-client', '', False),
           'gemini': ('gemini-cli-mcp-client', 'mcp_perdure_', True), 'opencode': ('opencode', 'perdure_', True),
           'qwen': ('qwen-cli-mcp-client-perdure', 'mcp__perdure__', True), 'kimi': ('kimi-code', 'mcp__perdure__', True)}
TOOLS_LIST, NOTIFICATION, LIST_OF_20, SMALL_OUTPUT, ENDED = 12_500, 700, 1_800, 160, 2_048 + 600
QUESTION = {'question': 'Which one?', 'header': 'Choice', 'options': [{'label': 'A', 'description': 'the first'},
                                                                      {'label': 'B', 'description': 'the second'}]}
BARE = re.compile(r'(?<![\w`])(TaskList|TaskOutput|TaskStop|WaitFor|TaskWrite|TaskDetach)\b')


def seen(result):
    """The part of a result that a model gets: the structured content instead of the text, where there is one."""
    if 'structuredContent' in result:
        return json.dumps(result['structuredContent'], ensure_ascii=False, separators=(',', ':'))
    return '\n'.join(block['text'] for block in result['content'] if block['type'] == 'text')


class View(SessionTest):
    def client(self, name='test-client', **capabilities):
        client = McpClient(self.session, cwd=self.scratch)
        self.addCleanup(client.__exit__)
        self.told = client.initialize(name=name, **capabilities)
        return client

    def start(self, client, command, description='a test', **arguments):
        """Without a look at the answer, whose shape depends on the client."""
        before = {task['taskId'] for task in self.json('list', '--all')}
        self.answer = client.call('Bash', command=command, run_in_background=True, description=description, **arguments)
        return ({task['taskId'] for task in self.json('list', '--all')} - before).pop()

    def ended(self, client, command, **arguments):
        self.gates = getattr(self, 'gates', 0) + 1  # one for each task: clients count alike
        gate = os.path.join(self.scratch, f'gate-{self.gates}')
        task = self.start(client, f'until [ -e {gate} ]; do sleep 0.01; done; {command}', **arguments)
        with open(gate, 'w', encoding='ascii'):
            pass
        self.perdure('wait', task)
        return task


class Sizes(View):
    def test_tools_list_fits_and_names_every_tool_as_the_client_does(self):
        for name, (client_name, prefix, text_only) in {**CLIENTS, 'other': ('other', '', False)}.items():
            client = self.client(client_name)
            tools = client.result('tools/list')['tools']
            listed = json.dumps(tools, ensure_ascii=False, separators=(',', ':'))
            self.assertLessEqual(len(listed), TOOLS_LIST, name)
            self.assertNotIn('@', listed)
            self.assertEqual(any('outputSchema' in tool for tool in tools), name == 'other', name)
            words = ' '.join([self.told['instructions'], *(tool['description'] for tool in tools),
                              *(p['description'] for tool in tools for p in tool['inputSchema']['properties'].values())])
            if prefix:
                self.assertEqual(BARE.findall(words.replace(prefix, '_')), [], name)
                self.assertIn(prefix + 'TaskOutput', words)
            self.assertEqual('know them' in self.told['instructions'], name != 'other')
            bash = tools[0]
            self.assertEqual('know them' in bash['description'], name == 'kimi', 'it shows no instructions')
            self.assertEqual(bash.get('_meta', {}).get('anthropic/alwaysLoad', False), name == 'claude-code')
            client.end()

    def test_a_small_output_costs_160_characters_and_comes_first(self):
        for name, (client_name, _, text_only) in CLIENTS.items():
            client = self.client(client_name)
            task = self.ended(client, 'echo 12345678901234567890')
            shown = seen(client.call('TaskOutput', task_id=task))
            self.assertLessEqual(len(shown), SMALL_OUTPUT, (name, shown))
            self.assertTrue(shown.startswith('12345678901234567890\n' if text_only else '{"output":"12345678901234567890\\n"'), shown)
            self.assertLessEqual(shown.count('\n'), 6, 'the output and at most five lines')
            for fact in ('success', 'completed', 'exit_code'):
                self.assertIn(fact, shown)

    def test_a_list_of_20_tasks_has_one_line_each(self):
        client = self.client('maker')
        for n in range(20):
            self.start(client, 'exit 3', f'run the {n}th of the many integration tests of the backend, slowly and with ünïcödé')
        client.call('WaitFor', timeout=60)
        for name, (client_name, _, _) in CLIENTS.items():
            client = McpClient(self.session, '--owner', self.json('list', '--all')[0]['owner'])
            self.addCleanup(client.__exit__)
            client.initialize(name=client_name)
            shown = seen(client.call('TaskList', active_only=False))
            self.assertLessEqual(len(shown), LIST_OF_20, name)
            lines = shown.strip().split('\n')
            self.assertEqual(len(lines), 21, name)
            for line in lines:
                self.assertLessEqual(len(line), 80)
            self.assertRegex(lines[1], r'^bash-\w{8} failed \(exit 3\), ended (now|\d+ s ago): run the \d+th')
        other = self.client('maker').call('TaskList', active_only=False)['structuredContent']['tasks'][0]
        self.assertEqual(set(other), {'task_id', 'status', 'exit_code', 'started', 'ended', 'description'})

    def test_a_notification_costs_700_characters_with_status_duration_and_last_lines(self):
        build = 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); printf "\\rstep $i"; done; echo; echo "x.c:3: error: <no> & more"; ' \
                'i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "cleaning up the file number $i"; done; echo the last line; exit 2'
        for name, (client_name, prefix, _) in CLIENTS.items():
            client = self.client(client_name)
            task = self.ended(client, build, description='a' * 300)
            result = client.call('TaskList')
            if 'structuredContent' in result:
                notes = result['structuredContent']['notifications']
                self.assertEqual(len(notes), 1)
                shown = json.dumps(notes[0], ensure_ascii=False, separators=(',', ':'))
            else:
                shown = re.search('<notification .*</notification>', seen(result), re.S)[0]
            self.assertLessEqual(len(shown), NOTIFICATION, (name, shown))
            for word in (task, 'exit code 2', 'after ', 'the last line', 'x.c:3: error:', prefix + 'TaskOutput'):
                self.assertIn(word, shown, name)
            self.assertNotIn('perdure output', shown, 'a model has tools')
            self.assertNotIn('step 2999', shown)

    def test_a_notification_that_is_all_to_be_escaped_fits_too(self):
        evil = '"\\<&>\t' * 60
        for client_name in ('claude-code', 'test-client', 'gemini-cli'):
            client = self.client(client_name)
            task = self.start(client, f"printf '%s\\n' '{evil}'; sleep 300", evil)
            eventually(lambda t=task: self.log(t), 'it has printed')
            self.perdure('stop', task, '--reason', evil, check=0)
            running = self.start(self.client('other'), 'sleep 300')
            result = client.call('TaskDetach', task_id=running, all_owners=True)
            self.perdure('stop', running, check=0)
            if 'structuredContent' in result:
                for note in result['structuredContent']['notifications']:
                    self.assertLessEqual(len(json.dumps(note, ensure_ascii=False, separators=(',', ':'))), NOTIFICATION)
            for note in re.findall('<notification .*?</notification>', result['content'][0]['text'], re.S):
                self.assertLessEqual(len(note), NOTIFICATION)
                xml.etree.ElementTree.fromstring(note)
            self.assertIn(task, json.dumps(result))

    def test_A4_an_end_that_is_told_by_the_protocol_has_two_kilobytes_of_the_end(self):
        client = McpClient(self.session)
        self.addCleanup(client.__exit__)
        for name in ('claude-code', 'test-client'):
            meta = modern_meta(name=name)
            call = {'name': 'Bash', 'arguments': {'command': 'seq 1 20000; echo "FATAL at the very end"; exit 2', 'run_in_background': True,
                                                  'description': 'x'}, '_meta': meta}
            task = client.result('tools/call', call)['taskId']
            got = eventually(lambda t=task, m=meta: (a := client.result('tasks/get', {'taskId': t, '_meta': m}))['status'] != 'working' and a, 'ended')
            self.assertEqual(got['result']['isError'], name == 'test-client', 'A3: a known client flattens and cuts it')
            shown = seen(got['result'])
            self.assertLessEqual(len(shown), ENDED + 500)
            for word in ('FATAL at the very end', '"exit_code":2', 'output_path', 'TaskOutput with offset=0'):
                self.assertIn(word, shown)
            self.assertLessEqual(len(got['result']['content'][0]['text']), ENDED)

    def test_A10_a_failed_command_is_no_error_of_the_tool_for_known_clients(self):
        for name, (client_name, _, _) in CLIENTS.items():
            client = self.client(client_name)
            self.assertFalse(client.call('Bash', command='exit 3')['isError'], name)
            self.assertTrue(client.call('Bash', command='x', timeout=301)['isError'], name)
            self.assertTrue(client.call('TaskOutput', task_id='bash-00000000')['isError'], name)
        self.assertTrue(self.client('other').call('Bash', command='exit 3')['isError'])

    def test_A7_an_automatic_notification_is_promised_only_where_the_connection_can_push(self):
        for client_name, _, _ in CLIENTS.values():
            client = self.client(client_name)
            task = self.start(client, 'sleep 300')
            self.assertNotIn('automatic_notification', json.dumps(self.answer))
            self.assertIn('next call', seen(self.answer))
            client.call('TaskStop', task_id=task)


class Readable(View):
    def test_F6_progress_frames_colours_and_repeats_are_collapsed_and_the_exact_log_is_one_call_away(self):
        client = self.client()
        frames = 'i=0; while [ $i -lt 5000 ]; do i=$((i+1)); printf "\\rprogress $i%%"; done; echo; ' \
                 'for i in 1 2 3 4 5 6 7 8 9; do echo "waiting for the database"; done; printf "\\033[31mred\\033[0m\\n"'
        shown = 'progress 5000%\nwaiting for the database\n[the line above 8 more times]\nred\n'
        result = client.call('Bash', command=frames)
        told = result['structuredContent']
        self.assertEqual(told['output'], shown)
        self.assertIn('4,999 redraws and 8 repeated lines', told['collapsed'])
        self.assertTrue(result['content'][0]['text'].startswith(shown))
        raw = client.call('TaskOutput', task_id=told['task_id'], raw=True)['structuredContent']['output']
        self.assertTrue(raw.endswith('waiting for the database\n\x1b[31mred\x1b[0m\n'))
        with open(told['output_path'], encoding='utf-8', newline='') as log:
            self.assertTrue(log.read().endswith(raw), 'the last part of the log as it is')
        task = self.ended(client, frames)
        told = client.call('TaskOutput', task_id=task)['structuredContent']
        self.assertEqual((told['output'], told['next_offset'] if 'next_offset' in told else None), (shown, None))
        whole, offset, eof = '', 0, False
        while not eof:
            part = client.call('TaskOutput', task_id=task, offset=offset, raw=True)['structuredContent']
            whole, offset, eof = whole + part['output'], part['next_offset'], part['eof']
        self.assertEqual(whole, self.log(task).decode())
        finished = client.call('WaitFor', timeout=60, task_id=task)['structuredContent']['finished'][0]
        self.assertEqual(finished['output'], shown)

    def test_the_error_of_twelve_builds_is_visible_in_every_answer(self):
        for name, (client_name, _, _) in CLIENTS.items():
            client = self.client(client_name)
            for tool, (log, cause) in LOGS.items():
                path = os.path.join(self.scratch, tool + '.log')
                for before, behind in ((1500, 0), (200, 600)):
                    with open(path, 'w', encoding='utf-8') as f:
                        f.writelines(f'[{n}/2000] Building the object number {n} of {before}\n' for n in range(before))
                        f.write(log)
                        f.writelines(f'[{n}/2000] Still building the independent object number {n}\n' for n in range(behind))
                    task = self.ended(client, f'cat {path}; exit 1')
                    shown = json.loads(json.dumps(seen(client.call('TaskOutput', task_id=task))))
                    self.assertIn(json.dumps(cause, ensure_ascii=False)[1:-1] if shown.startswith('{') else cause, shown, (name, tool, behind))

    def test_F2_what_a_foreground_command_left_behind_is_named(self):
        told = self.client().call('Bash', command='sleep 100 >/dev/null 2>&1 & echo up')
        self.assertEqual(told['structuredContent']['leftovers'], 1)
        self.assertIn('TaskStop', told['content'][0]['text'])
        self.perdure('stop', told['structuredContent']['task_id'], check=0)


class Golden(View):
    """One file a client: each text under its name and budget."""

    def normal(self, text):
        text = text.replace(self.scratch, '/SCRATCH')
        text = re.sub(r'\b(bash|question)-[0-9a-z]{8}\b', r'\1-ID', text)
        text = re.sub(r'("?pid"?: ?)\d+', r'\1PID', text)
        text = re.sub(r'("?waited_ms"?: ?)\d+', r'\1N', text)
        text = re.sub(r'\bafter \d+(\.\d)? m?s\b', 'after TIME', text)
        text = re.sub(r'\b(now|\d+ s ago)\b', 'AGE', text)
        return text

    def texts(self, client_name):
        client = self.client(client_name)
        yield 'instructions', self.told['instructions'], 700
        yield 'foreground', seen(client.call('Bash', command='echo out; echo err >&2')), 120
        yield 'foreground, failed', seen(client.call('Bash', command='echo "x.c:3: error: no"; exit 2')), 160
        running = self.start(client, 'echo started; sleep 300', 'the server')
        eventually(lambda: self.log(running), 'it has printed')
        yield 'background start', seen(self.answer), 480
        yield 'TaskOutput, running', seen(client.call('TaskOutput', task_id=running)), 300
        yield 'TaskList', seen(client.call('TaskList')), 300
        yield 'WaitFor, timed out', seen(client.call('WaitFor', timeout=1, task_id=running)), 350
        failed = self.ended(client, 'seq 1 9000; echo "x.c:3: error: no"; exit 2', description='the build')
        result = client.call('TaskList')
        yield 'TaskList with a notification', seen(result), 300 + NOTIFICATION
        yield 'TaskOutput, failed', seen(client.call('TaskOutput', task_id=failed, tail=60)), 420
        yield 'WaitFor, ended', seen(client.call('WaitFor', timeout=60, task_id=self.ended(client, 'echo done'))), 400
        yield 'TaskDetach', seen(client.call('TaskDetach', task_id=running)), 150
        yield 'TaskStop', seen(client.call('TaskStop', task_id=running)), 150
        yield 'TaskOutput, stopped', seen(client.call('TaskOutput', task_id=running)), 220
        yield 'unknown id', seen(client.call('TaskOutput', task_id='bash-00000000')), 160
        yield 'wrong argument', seen(client.call('Bash', command='x', timeout=301)), 160
        yield 'open question', seen(client.call('AskUserQuestion', questions=[QUESTION])), 350
        if client_name == 'claude-code':
            yield from self.hook_texts(client)
        self.perdure('stop', '--all', check=0)

    def hook_texts(self, client):
        owner = self.json('list')[0]['owner']
        self.start(client, 'sleep 300', 'the server')
        for event in ('precompact', 'session-start', 'prompt', 'stop', 'rewake'):
            if event != 'precompact':
                self.ended(client, 'echo "x.c:3: error: no"; exit 2', description='the build')
            done = self.perdure('hook', 'claude-code', event, '--owner', owner, check=2 if event == 'rewake' else 0)
            text = done.stderr if event == 'rewake' else done.stdout
            if text.startswith('{'):
                told = json.loads(text)
                text = told.get('reason') or told['hookSpecificOutput']['additionalContext']
            yield f'hook {event}', text, 400 + NOTIFICATION * (event != 'precompact')

    def test_every_text_that_a_model_sees(self):
        for name, (client_name, _, _) in {**CLIENTS, 'other': ('other', '', False)}.items():
            parts = []
            for title, text, budget in self.texts(client_name):
                self.assertLessEqual(len(text), budget + (len(self.scratch) + 30) * ('output_path' in text or 'output-file' in text),
                                     (name, title, text))
                parts.append(f'=== {title} (at most {budget})\n{self.normal(text).rstrip()}\n')
            path = os.path.join(GOLDEN, name + '.txt')
            shown = '\n'.join(parts)
            if os.environ.get('PERDURE_UPDATE_GOLDEN'):
                with open(path, 'w', encoding='utf-8') as f:
                    f.write(shown)
            with open(path, encoding='utf-8') as f:
                self.assertEqual(shown, f.read(), f'tests/golden/{name}.txt')


if __name__ == '__main__':
    unittest.main()
