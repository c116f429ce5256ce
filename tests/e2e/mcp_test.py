"""`perdure mcp` over its pipes: both eras, the tools, tasks, resources; docs/reference/mcp.md."""
import json
import os
import re
import shutil
import signal
import socket
import sys
import time
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import mcp_client  # noqa: E402
from mcp_client import P, TASKS, McpClient, modern_meta  # noqa: E402
from session import SessionTest, eventually, is_alive  # noqa: E402

SANITIZED = 'ASAN_OPTIONS' in os.environ or 'TSAN_OPTIONS' in os.environ
TOOLS = ['Bash', 'Agent', 'TaskList', 'TaskOutput', 'TaskStop', 'WaitFor', 'TaskDetach', 'TaskWrite', 'AskUserQuestion']


def text_of(result):
    return result['content'][0]['text']


class McpTest(SessionTest):
    def client(self, *options, **more):
        client = McpClient(self.session, *options, **more)
        self.addCleanup(client.__exit__)
        return client

    def legacy(self, *options, version='2025-11-25', name='test-client', capabilities=None, **more):
        client = self.client(*options, **more)
        client.initialize(version, name, **(capabilities or {}))
        return client

    def background(self, client, command, **arguments):
        return client.call('Bash', command=command, run_in_background=True, description='a test',
                           **arguments)['structuredContent']['task_id']


class Eras(McpTest):
    def test_initialize_agrees_on_every_legacy_version_and_offers_the_newest_for_others(self):
        for asked, answered in (('2025-11-25', '2025-11-25'), ('2025-06-18', '2025-06-18'), ('2025-03-26', '2025-03-26'),
                                ('2024-11-05', '2024-11-05'), ('1999-01-01', '2025-11-25')):
            with McpClient(self.session) as client:
                result = client.initialize(asked)
                self.assertEqual(result['protocolVersion'], answered)
                self.assertEqual(result['serverInfo']['name'], 'perdure')
                self.assertEqual('tasks' in result['capabilities'], answered == '2025-11-25')
                self.assertEqual(client.result('ping'), {})

    def test_fields_that_a_legacy_version_does_not_know_are_left_out(self):
        old = self.legacy(version='2024-11-05')
        tool = old.result('tools/list')['tools'][0]
        self.assertEqual(set(tool), {'name', 'description', 'inputSchema'})
        self.assertEqual(set(old.call('Bash', command='true')), {'content', 'isError'})

    def test_modern_requests_need_no_initialize(self):
        client = self.client()
        result = client.modern('server/discover')
        self.assertEqual(result['supportedVersions'], ['2026-07-28'])
        self.assertEqual(result['capabilities']['extensions'], {TASKS: {}})
        self.assertEqual(result['resultType'], 'complete')
        self.assertEqual((result['ttlMs'], result['cacheScope']), (0, 'private'))
        self.assertEqual(result['_meta'][P + 'serverInfo']['name'], 'perdure')
        tools = client.modern('tools/list')
        self.assertEqual([tool['name'] for tool in tools['tools']], TOOLS)
        self.assertEqual((tools['resultType'], tools['ttlMs']), ('complete', 0))

    def test_both_eras_on_one_pipe(self):
        client = self.legacy()
        self.assertNotIn('resultType', client.result('tools/list'))
        self.assertEqual(client.modern('tools/list')['resultType'], 'complete')

    def test_what_lacks_its_meta_or_names_another_version_is_refused(self):
        client = self.client()
        self.assertEqual(client.error('server/discover')['code'], -32602)
        for missing in ('protocolVersion', 'clientCapabilities'):
            meta = modern_meta()
            del meta[P + missing]
            self.assertEqual(client.error('server/discover', {'_meta': meta})['code'], -32602)
        unknown = client.error('tools/list', {'_meta': modern_meta() | {P + 'protocolVersion': '2030-01-01'}})
        self.assertEqual((unknown['code'], unknown['data']), (-32022, {'supported': ['2026-07-28'], 'requested': '2030-01-01'}))
        self.assertEqual(client.error('tools/list')['code'], -32600)  # neither era

    def test_methods_of_the_other_era_are_not_found(self):
        client = self.legacy()
        for method in ('ping', 'initialize', 'tasks/list', 'tasks/result', 'resources/subscribe', 'no/such'):
            self.assertEqual(client.error(method, {'_meta': modern_meta(), 'taskId': 'x', 'uri': 'x'})['code'], -32601)
        for method in ('subscriptions/listen', 'tasks/update', 'prompts/list', 'no/such'):
            self.assertEqual(client.error(method)['code'], -32601)

    def test_the_first_answer_comes_at_once_and_nothing_is_made_on_disk(self):
        times = []
        for _ in range(9):
            begun = time.monotonic()
            with McpClient(self.session) as client:
                client.modern('server/discover')
                times.append(time.monotonic() - begun)
        if not SANITIZED:
            self.assertLess(min(times), 0.02)
        self.assertFalse(os.path.exists(self.session))


class Pipe(McpTest):
    def test_what_is_malformed_gets_the_right_error_and_the_next_request_its_answer(self):
        client = self.legacy()
        for data, code in ((b'{"jsonrpc":"2.0","id":1,', -32700), (b'\xff\xfe', -32700), (b'"\xc3("', -32700),
                           (b'[' * 100_000, -32700), (b'{"a":' * 1000 + b'1' + b'}' * 1000, -32700), (b'nonsense', -32700),
                           (b'42', -32600), (b'null', -32600), (b'[]', -32600), (b'{}', -32600),
                           (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', -32600), (b'{"jsonrpc":"2.0","id":8,"method":9}', -32600),
                           (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600), (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
                           (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600), (b'{"jsonrpc":"2.0","id":9,"method":"ping","params":[]}', -32602),
                           (b'x' * (17 << 20), -32600)):
            client.send_bytes(data + b'\n')
            message = re.match(rb'.*"id":(\d)[,}]', data)
            got = client.answer(int(message.group(1)) if message and code != -32700 else None)
            self.assertEqual(got['error']['code'], code, data[:80])
        self.assertEqual(client.result('ping'), {})

    def test_wrong_types_in_params_are_told(self):
        client = self.legacy()
        for method, params in (('tools/call', {}), ('tools/call', {'name': 7}), ('tools/call', {'name': 'Bash', 'arguments': []}),
                               ('tools/call', {'name': 'NoSuchTool'}), ('resources/read', {'uri': 7}), ('resources/subscribe', {}),
                               ('tasks/get', {}), ('tasks/get', {'taskId': 5}), ('tasks/list', {'cursor': 'x'}), ('initialize', {})):
            self.assertEqual(client.error(method, params)['code'], -32602, (method, params))

    def test_an_id_that_is_being_worked_on_is_refused(self):
        client = self.legacy()
        task = self.background(client, 'sleep 300')
        first = client.begin('tools/call', {'name': 'WaitFor', 'arguments': {'timeout': 600, 'task_id': task}})
        client.send({'jsonrpc': '2.0', 'id': first, 'method': 'tools/list'})
        client.send({'jsonrpc': '2.0', 'id': str(first), 'method': 'ping'})  # another id
        self.assertEqual(client.answer(str(first))['result'], {})
        eventually(lambda: client.answers.get(str(first)) or client.begin('ping') and None, 'a refusal')
        self.assertEqual(client.answer(first)['error']['code'], -32600)
        client.call('TaskStop', task_id=task)
        self.assertEqual(client.answer(first)['result']['structuredContent']['wait_status'], 'completed')

    def test_unknown_responses_and_notifications_are_ignored(self):
        client = self.legacy()
        client.send({'jsonrpc': '2.0', 'id': 77, 'result': {}})
        client.send({'jsonrpc': '2.0', 'id': 78, 'error': {'code': 1, 'message': 'x'}})
        client.notify('notifications/cancelled', {'requestId': 'never'})
        client.notify('notifications/nonsense')
        self.assertEqual(client.result('ping'), {})
        self.assertEqual(client.answers, {json.dumps(client.last): []} | {k: [] for k in client.answers})

    def test_a_cancelled_wait_gets_no_answer_and_ends_no_task(self):
        client = self.legacy()
        task = self.background(client, 'sleep 300')
        waiting = client.begin('tools/call', {'name': 'WaitFor', 'arguments': {'timeout': 600, 'task_id': task}})
        client.notify('notifications/cancelled', {'requestId': waiting})
        # The same id is free again once the call has gone.
        def free():
            client.send({'jsonrpc': '2.0', 'id': waiting, 'method': 'ping'})
            return 'result' in client.answer(waiting)
        eventually(free, 'the call ended')
        self.assertEqual(self.record(task)['status'], 'running')
        client.call('TaskStop', task_id=task)

    def test_the_end_of_input_ends_the_server_within_200_ms_and_no_task(self):
        took = []
        for _ in range(5):  # the quickest counts: the machine may be busy
            client = self.legacy()
            task = self.background(client, 'sleep 600', timeout=600)
            client.begin('tools/call', {'name': 'WaitFor', 'arguments': {'timeout': 600, 'task_id': task}})
            client.begin('tools/call', {'name': 'Bash', 'arguments': {'command': 'sleep 600', 'timeout': 300}})
            eventually(lambda c=client: c.call('TaskList')['structuredContent']['count'] == 2, 'both commands run')
            begun = time.monotonic()
            client.process.stdin.close()
            self.assertEqual(client.process.wait(timeout=30), 0)
            took.append(time.monotonic() - begun)
            self.assertTrue(is_alive(self.record(task)['pid']))
            self.perdure('stop', '--all', '--grace', '0', check=0)
        if not SANITIZED:
            self.assertLess(min(took), 0.2)

    def test_configured_otherwise_its_tasks_end_with_it(self):
        os.makedirs(self.session)
        os.makedirs(os.path.join(self.scratch, 'perdure'))
        with open(os.path.join(self.scratch, 'perdure', 'config.toml'), 'w', encoding='utf-8') as f:
            f.write('[task]\nkeep_alive_on_exit = false\n')
        client = self.legacy(env={'XDG_CONFIG_HOME': self.scratch})
        task = self.background(client, 'sleep 600')
        self.assertEqual(client.end(), 0)
        self.assertEqual((self.record(task)['status'], self.record(task)['stopReason']), ('killed', 'Session closed'))

    def test_a_killed_server_leaves_its_tasks_and_another_reads_them_to_the_end(self):
        first = self.legacy()
        task = self.background(first, 'echo one; until test -e go; do sleep 0.01; done; echo two', cwd=self.scratch)
        first.process.kill()
        first.process.wait()
        open(os.path.join(self.scratch, 'go'), 'w').close()
        second = self.legacy()
        self.assertEqual([t['task_id'] for t in second.call('TaskList', active_only=False)['structuredContent']['tasks']], [task])
        self.assertEqual(second.call('WaitFor', timeout=60, task_id=task)['structuredContent']['finished'][0]['output'], 'one\ntwo\n')


class Tools(McpTest):
    def test_every_tool_has_schema_title_description_and_all_annotations(self):
        client = self.legacy()
        tools = {tool['name']: tool for tool in client.result('tools/list')['tools']}
        self.assertEqual(list(tools), TOOLS)
        for name, tool in tools.items():
            self.assertEqual(tool['inputSchema']['type'], 'object')
            self.assertTrue(tool['title'] and len(tool['description']) > 40)
            self.assertEqual(set(tool['annotations']), {'title', 'readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'})
            self.assertEqual(tool['annotations']['readOnlyHint'], name in ('TaskList', 'TaskOutput', 'WaitFor'))
            self.assertEqual(tool['annotations']['destructiveHint'], name in ('Bash', 'Agent', 'TaskStop'))
            self.assertNotEqual(tool['execution']['taskSupport'], 'required')
            for property_name, schema in tool['inputSchema']['properties'].items():
                self.assertTrue(schema['description'], (name, property_name))

    def test_foreground_bash_tells_output_and_exit_code_and_leaves_nothing(self):
        client = self.legacy()
        good = client.call('Bash', command='echo out; echo err >&2')
        self.assertEqual(text_of(good), 'out\nerr\nExit code: 0\n')
        self.assertEqual(good['structuredContent'], {'status': 'completed', 'exit_code': 0, 'output': 'out\nerr\n'})
        bad = client.call('Bash', command='exit 3')
        self.assertTrue(bad['isError'])
        self.assertEqual(bad['structuredContent']['exit_code'], 3)
        self.assertEqual([name for name in self.task_names() if name.startswith('bash')], [])

    def test_the_command_has_a_fresh_shell_and_a_quiet_environment(self):
        client = self.legacy(env={'TERM': 'xterm-kept'}, cwd=self.scratch)
        done = client.call('Bash', command='pwd; cat; echo $NO_COLOR $TERM $GIT_TERMINAL_PROMPT ${SHELL:+shell}')
        self.assertEqual(done['structuredContent']['output'], f'{self.scratch}\n1 xterm-kept 0 shell\n')
        self.assertEqual(client.call('Bash', command='pwd', cwd='/')['structuredContent']['output'], '/\n')

    def test_bash_that_outlasts_its_patience_moves_to_the_background_and_says_so(self):
        client = self.legacy()
        moved = client.call('Bash', command='echo early; sleep 300', timeout=1)
        self.assertFalse(moved['isError'])
        told = moved['structuredContent']
        self.assertEqual((told['status'], told['foreground_output']), ('running', 'early\n'))
        self.assertIn('within 1 second', told['moved_because'])
        self.assertIn(told['task_id'], text_of(moved))
        self.assertIn('early', text_of(moved))
        self.assertTrue(is_alive(told['pid']))
        self.assertEqual(client.call('TaskStop', task_id=told['task_id'])['structuredContent']['status'], 'killed')

    def test_a_foreground_command_is_released_by_detaching_it(self):
        client = self.legacy()
        waiting = client.begin('tools/call', {'name': 'Bash', 'arguments': {'command': 'echo early; sleep 300', 'timeout': 300}})
        running = eventually(lambda: client.call('TaskList')['structuredContent']['tasks'], 'it is listed')
        task = running[0]['task_id']
        self.assertTrue(running[0]['foreground'])
        client.call('WaitFor', timeout=60, task_id=task, match='early')
        detached = client.call('TaskDetach', task_id=task)['structuredContent']
        self.assertEqual((detached['status'], detached['detached']), ('running', True))
        told = client.answer(waiting)['result']['structuredContent']
        self.assertEqual((told['task_id'], told['foreground_output']), (task, 'early\n'))
        self.assertEqual(client.call('TaskDetach', task_id=task)['structuredContent']['task_id'], task)
        client.call('TaskStop', task_id=task)
        self.assertEqual(client.call('TaskDetach', task_id=task)['structuredContent']['status'], 'killed')

    def test_F7_a_dialogue_with_a_terminal_takes_one_call_a_turn(self):
        client = self.legacy()
        task = self.background(client, 'tput cols; read -p "name? " n; read -sp "word? " w; echo; echo "$n:$w:$TERM"; read -rsn3 k; printf %q "$k"; sleep 300',
                               pty=True)
        client.call('WaitFor', timeout=60, task_id=task, match='120')
        told = client.call('TaskWrite', task_id=task, text='Ada', keys=['enter'], wait_for='word\\?', timeout=60)['structuredContent']
        self.assertEqual((told['matched'], told['output'], told['status']), (True, 'word? \n', 'running'))
        told = client.call('TaskWrite', task_id=task, text='secret\n', wait_for='Ada:', timeout=60)['structuredContent']
        self.assertEqual(told['output'].strip(), 'Ada:secret:xterm-256color')
        told = client.call('TaskWrite', task_id=task, keys=['up'], wait_for=r'\[A', timeout=60)['structuredContent']
        self.assertTrue(told['matched'], told)
        self.assertFalse(client.call('TaskWrite', task_id=task, text='x', wait_for='never', timeout=1)['structuredContent']['matched'])
        client.call('TaskWrite', task_id=task, keys=['ctrl-c'])
        self.assertEqual(client.call('WaitFor', timeout=60, task_id=task)['structuredContent']['finished'][0]['signal'], signal.SIGINT)

    def test_I08_a_prompt_that_waits_is_reported_as_a_guess(self):
        client = self.legacy()
        asking = self.background(client, 'read -p "Continue? [y/N] " x; read -sp "Password: " y; sleep 300', pty=True)
        working = self.background(client, 'echo working; sleep 300', pty=True)
        screen = self.background(client, 'printf "\\033[?1049hmenu: "; sleep 300', pty=True)
        piped = self.background(client, 'printf "name? "; read -r x; sleep 300', stdin='pipe')

        def guess(task):
            got = client.call('TaskOutput', task_id=task)['structuredContent']
            return got.get('maybe_waiting_for_input', False), got.get('asks_secret', False)
        eventually(lambda: guess(asking) == (True, False), 'it is noticed')
        self.assertIn('maybe_waiting_for_input: true', text_of(client.call('TaskOutput', task_id=asking)))
        for other in (working, screen, piped):
            self.assertEqual(guess(other), (False, False), self.log(other))
        self.assertEqual(client.call('WaitFor', timeout=1)['structuredContent']['maybe_waiting_for_input'], [asking])
        client.call('TaskWrite', task_id=asking, keys=['y', 'enter'])
        eventually(lambda: guess(asking) == (True, True), 'a secret is asked for')
        self.perdure('stop', '--all', check=0)

    def test_F7_stdin_pipe_is_what_TaskWrite_sends(self):
        client = self.legacy()
        task = self.background(client, 'while read -r line; do echo "got $line"; done', stdin='pipe')
        told = client.call('TaskWrite', task_id=task, text='one', keys=['enter'], wait_for='got', timeout=60)['structuredContent']
        self.assertEqual(told['output'], 'got one\n')
        self.assertTrue(client.call('TaskWrite', task_id=task, eof=True)['structuredContent']['closed'])
        self.assertEqual(client.call('WaitFor', timeout=60, task_id=task)['structuredContent']['finished'][0]['exit_code'], 0)
        for arguments, said in (({}, 'text: is required'), ({'keys': ['hyper-x']}, 'hyper-x'), ({'text': 'x', 'wait_for': '('}, 'not a valid regular')):
            refused = client.call('TaskWrite', task_id=self.background(client, 'cat', stdin='pipe'), **arguments)
            self.assertTrue(refused['isError'])
            self.assertIn(said, text_of(refused))
        self.perdure('stop', '--all', check=0)

    def test_TaskWrite_gives_a_command_something_to_read(self):
        client = self.legacy()
        task = self.sh('cat; echo end', '--stdin', 'pipe')
        told = client.call('TaskWrite', task_id=task, text='one\n', all_owners=True)['structuredContent']
        self.assertEqual((told['written_bytes'], told['closed']), (4, False))
        self.assertTrue(client.call('TaskWrite', task_id=task, text='two\n', eof=True, all_owners=True)['structuredContent']['closed'])
        self.finished(task)
        self.assertEqual(self.log(task), b'one\ntwo\nend\n')
        for refused in (task, self.sh('sleep 300'), 'bash-00000000'):
            self.assertTrue(client.call('TaskWrite', task_id=refused, text='x', all_owners=True)['isError'], refused)
        self.assertTrue(client.call('TaskWrite', task_id=task, text='x')['isError'], 'L43: it has another owner')
        self.perdure('stop', '--all', check=0)

    def test_cut_output_names_its_task_and_log(self):
        client = self.legacy()
        done = client.call('Bash', command='seq 1 20000')
        told = done['structuredContent']
        self.assertEqual(told['output_size_bytes'], 108894)
        self.assertTrue(told['output'].endswith('20000\n'))
        self.assertLessEqual(len(told['output']), 32768)
        with open(told['output_path'], encoding='utf-8') as log:
            self.assertEqual(len(log.read()), 108894)
        self.assertIn(told['output_path'], text_of(done))
        self.assertEqual(done['content'][1]['uri'], f'task://{told["task_id"]}/output')
        claude = self.legacy(name='claude-code')
        self.assertLessEqual(len(claude.call('Bash', command='seq 1 20000')['structuredContent']['output']), 20000)

    def test_arguments_over_their_maximum_or_unknown_are_errors_that_say_so(self):
        client = self.legacy()
        for tool, arguments, said in (
                ('Bash', {}, 'command: is required'), ('Bash', {'command': 'x', 'timeout': 301}, 'maximum of 300'),
                ('Bash', {'command': 'x', 'timeout': 86401, 'run_in_background': True, 'description': 'x'}, 'maximum of 86400'),
                ('Bash', {'command': 'x', 'run_in_background': True}, 'description: is required with run_in_background'),
                ('Bash', {'command': 7}, 'command: must be a string'), ('Bash', {'command': 'x', 'wait': 1}, 'wait: there is no such argument'),
                ('TaskList', {'limit': 101}, 'maximum of 100'), ('TaskList', {'limit': 0}, 'minimum of 1'),
                ('WaitFor', {'timeout': 601}, 'maximum of 600'), ('WaitFor', {}, 'timeout: is required'),
                ('WaitFor', {'timeout': 1, 'mode': 'some'}, 'any, all, first_failure'),
                ('TaskOutput', {'task_id': 'bash-00000000', 'timeout': 3601}, 'maximum of 3600'),
                ('TaskOutput', {'task_id': 'bash-00000000'}, 'bash-00000000'), ('TaskStop', {'task_id': '../x'}, '../x'),
                ('WaitFor', {'timeout': 1, 'task_ids': ['bash-00000000']}, 'bash-00000000')):
            result = client.call(tool, **arguments)
            self.assertTrue(result['isError'], (tool, arguments))
            self.assertIn(said, text_of(result))
        self.assertFalse(os.path.exists(self.session))

    def test_numbers_that_are_whole_may_be_written_otherwise(self):
        self.assertEqual(self.legacy().call('WaitFor', timeout=1.0)['structuredContent']['wait_status'], 'no_tasks')

    def test_output_is_read_by_offset_from_one_answer_to_the_next(self):
        client = self.legacy()
        task = self.background(client, "printf 'a%.0s' $(seq 5); printf 'ü%.0s' $(seq 5)")
        client.call('WaitFor', timeout=60, task_id=task)
        read, offset, eof = '', 0, False
        while not eof:
            told = client.call('TaskOutput', task_id=task, offset=offset, limit=4)['structuredContent']
            read, offset, eof = read + told['output'], told['next_offset'], told['eof']
        self.assertEqual(read, 'aaaaaüüüüü')
        self.assertEqual(client.call('TaskOutput', task_id=task, tail=2)['structuredContent']['output'], 'ü')
        self.assertEqual(client.call('TaskOutput', task_id=task, tail=0)['structuredContent']['output'], '')

    def test_output_of_a_running_task_is_not_ready_and_block_waits(self):
        client = self.legacy()
        task = self.background(client, 'echo x; until test -e go; do sleep 0.01; done', cwd=self.scratch)
        self.assertEqual(client.call('TaskOutput', task_id=task)['structuredContent']['retrieval_status'], 'not_ready')
        self.assertEqual(client.call('TaskOutput', task_id=task, block=True, timeout=0)['structuredContent']['retrieval_status'], 'timeout')
        open(os.path.join(self.scratch, 'go'), 'w').close()
        told = client.call('TaskOutput', task_id=task, block=True, timeout=60)['structuredContent']
        self.assertEqual((told['retrieval_status'], told['exit_code'], told['eof']), ('success', 0, True))

    def test_stop_is_safe_on_ended_tasks(self):
        client = self.legacy()
        task = self.background(client, 'sleep 300')
        first = client.call('TaskStop', task_id=task, reason='enough')['structuredContent']
        self.assertEqual(first, {'task_id': task, 'status': 'killed', 'reason': 'enough'})
        self.assertEqual(client.call('TaskStop', task_id=task, reason='again')['structuredContent'], first)
        self.assertEqual(client.call('TaskOutput', task_id=task)['structuredContent']['terminal_reason'], 'stopped')

    def test_list_shows_running_ones_first_then_the_newest_and_says_what_it_left_out(self):
        client = self.legacy()
        running = self.background(client, 'sleep 300')
        ended = [self.background(client, 'true') for _ in range(3)]
        client.call('WaitFor', timeout=60, task_ids=ended)
        told = client.call('TaskList', active_only=False, limit=2)['structuredContent']
        self.assertEqual((told['count'], told['omitted']), (2, 2))
        self.assertEqual(told['tasks'][0]['task_id'], running)
        self.assertIn(told['tasks'][1]['task_id'], ended)
        self.assertEqual(client.call('TaskList')['structuredContent']['count'], 1)
        client.call('TaskStop', task_id=running)

    def test_L43_every_tool_sees_the_callers_own_tasks_unless_told_otherwise(self):
        mine, other = self.legacy(name='one'), self.legacy(name='two')
        task = self.background(mine, 'sleep 300')
        self.assertEqual(self.record(task)['owner'].split('@')[0], 'one')
        self.assertEqual(other.call('TaskList')['structuredContent']['count'], 0)
        self.assertEqual(other.call('WaitFor', timeout=1)['structuredContent']['wait_status'], 'no_tasks')
        for tool, more in (('TaskOutput', {}), ('TaskStop', {}), ('WaitFor', {'timeout': 1})):
            self.assertIn('another owner', text_of(other.call(tool, task_id=task, **more)))
        self.assertEqual(other.call('TaskList', all_owners=True)['structuredContent']['count'], 1)
        self.assertEqual(other.call('TaskStop', task_id=task, all_owners=True)['structuredContent']['status'], 'killed')
        owned = self.legacy('--owner', 'me')
        self.assertEqual(self.record(self.background(owned, 'true'))['owner'], 'me')
        owned.call('WaitFor', timeout=60)

    def test_L43_a_wait_inside_a_task_never_waits_for_that_task(self):
        script = os.path.join(self.scratch, 'inside.py')
        with open(script, 'w', encoding='utf-8') as f:
            f.write(f'''import os, sys
sys.path.insert(0, {os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support')!r})
from mcp_client import McpClient
with McpClient(os.environ['PERDURE_SESSION']) as client:
    client.initialize()
    print(client.call('WaitFor', timeout=600, all_owners=True)['structuredContent']['wait_status'])
    print(client.call('WaitFor', timeout=600, all_owners=True, task_id=os.environ['PERDURE_TASK_ID'])['content'][0]['text'])
    inner = client.call('Bash', command='true', run_in_background=True, description='inner')['structuredContent']['task_id']
    print(client.call('WaitFor', timeout=600, task_id=inner)['structuredContent']['finished'][0]['task_id'])
''')
        outer = self.sh(f'{sys.executable} {script}')
        self.perdure('wait', outer, '--timeout', '60s', check=0)
        lines = self.log(outer).decode().splitlines()
        self.assertEqual(lines[0], 'no_tasks')
        self.assertIn('task.wait_cycle', lines[1])
        self.assertEqual(self.record(lines[2])['owner'], outer)  # what a task starts is its own


class Waiting(McpTest):
    def test_modes_and_what_is_told(self):
        client = self.legacy()
        good, bad, slow = self.background(client, 'true'), self.background(client, 'exit 4'), self.background(client, 'sleep 300')
        client.call('WaitFor', timeout=60, task_ids=[good, bad])
        told = client.call('WaitFor', timeout=60, mode='any', task_ids=[slow, good])['structuredContent']
        self.assertEqual((told['wait_status'], told['still_running']), ('completed', [slow]))
        self.assertEqual(told['completed_during_wait'], [])
        told = client.call('WaitFor', timeout=60, mode='first_failure', task_ids=[slow, good, bad])['structuredContent']
        self.assertEqual({task['task_id'] for task in told['finished']}, {good, bad})
        told = client.call('WaitFor', timeout=1)
        self.assertFalse(told['isError'])
        self.assertEqual((told['structuredContent']['wait_status'], told['structuredContent']['still_running']), ('timed_out', [slow]))
        self.assertGreaterEqual(told['structuredContent']['waited_ms'], 1000)
        client.call('TaskStop', task_id=slow)

    def test_match_and_ready(self):
        client = self.legacy()
        task = self.background(client, 'echo starting; echo listening on port 1; sleep 300')
        told = client.call('WaitFor', timeout=60, task_id=task, match='listening on port [0-9]+')['structuredContent']
        self.assertEqual((told['matched'], told['matched_line'], told['still_running']), (True, 'listening on port 1', [task]))
        self.assertIn('not a valid regular expression', text_of(client.call('WaitFor', timeout=1, task_id=task, match='(')))
        self.assertIn('tcp:PORT', text_of(client.call('WaitFor', timeout=1, task_id=task, ready='http:1')))
        self.assertTrue(client.call('WaitFor', timeout=1, match='x', ready='tcp:1')['isError'])
        client.call('TaskStop', task_id=task)
        told = client.call('WaitFor', timeout=60, task_id=task, match='never')['structuredContent']
        self.assertEqual((told['matched'], told['wait_status']), (False, 'completed'))
        server = self.background(client, f'{sys.executable} -c "import socket,time; s=socket.socket(); s.bind((\'127.0.0.1\',0)); '
                                         's.listen(); print(s.getsockname()[1],flush=True); time.sleep(300)"')
        line = client.call('WaitFor', timeout=60, task_id=server, match='[0-9]+')['structuredContent']['matched_line']
        self.assertTrue(client.call('WaitFor', timeout=60, task_id=server, ready=f'tcp:{line}')['structuredContent']['matched'])
        client.call('TaskStop', task_id=server)

    def test_L64_a_start_returns_when_the_command_can_be_used(self):
        client = self.legacy()
        start = {'run_in_background': True, 'description': 'a server'}
        told = client.call('Bash', command='echo starting; sleep 0.2; echo listening on 1; sleep 300', match='listening on [0-9]+', **start)
        self.assertFalse(told['isError'])
        got = told['structuredContent']
        self.assertEqual((got['matched'], got['matched_line'], got['status']), (True, 'listening on 1', 'running'))
        self.assertIn(got['task_id'], text_of(told))
        late = client.call('Bash', command='sleep 300', match='never', ready_timeout=1, **start)['structuredContent']
        self.assertEqual((late['matched'], late['status']), (False, 'running'))
        early = client.call('Bash', command='echo "address already in use"; exit 1', match='listening', **start)
        self.assertTrue(early['isError'])
        got = early['structuredContent']
        self.assertEqual((got['matched'], got['status'], got['exit_code'], got['output']), (False, 'failed', 1, 'address already in use\n'))
        server = client.call('Bash', command=f'{sys.executable} -c "import socket,time; s=socket.socket(); s.bind((\'127.0.0.1\',0)); s.listen(); '
                                             'print(s.getsockname()[1],flush=True); time.sleep(300)"', match='[0-9]+', **start)
        port = server['structuredContent']['matched_line']
        other = client.call('Bash', command='echo up; sleep 300', match='up', ready=f'tcp:any:{port}', **start)['structuredContent']
        self.assertEqual((other['matched'], other['matched_line']), (True, 'up'))
        # N4, I12: the port is served by another task.
        foreign = client.call('Bash', command='sleep 300', ready=f'tcp:{port}', **start)
        self.assertTrue(foreign['isError'])
        self.assertIn(f'port {port} belonged already to', text_of(foreign))
        self.perdure('stop', text_of(foreign).split('task_id: ')[1].split()[0], check=0)
        for wrong, said in (({'match': '('}, 'not a valid regular'), ({'ready': 'http:1'}, 'tcp:PORT')):
            self.assertIn(said, text_of(client.call('Bash', command='sleep 300', **wrong, **start)))
        self.assertIn('run_in_background only', text_of(client.call('Bash', command='true', match='x')))
        self.assertEqual(len(self.json('list')), 4, 'nothing was started for a wrong condition')
        # Who has the protocol's tasks is told as well: a task could not say that it is ready.
        modern = self.client().modern('tools/call', name='Bash', arguments={'command': 'echo up; sleep 300', 'match': 'up', **start})
        self.assertTrue(modern['structuredContent']['matched'])
        waiting = client.begin('tools/call', {'name': 'Bash', 'arguments': {'command': 'sleep 300', 'match': 'never', **start}})
        running = eventually(lambda: len(self.json('list')) == 6 and self.json('list'), 'it runs')
        client.notify('notifications/cancelled', {'requestId': waiting})
        eventually(lambda: len(self.json('list')) == 5, 'who calls it off has no task')
        self.assertEqual(len(running), 6)
        self.perdure('stop', '--all', check=0)

    def test_I13_http_is_waited_for(self):
        client = self.legacy()
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        server = client.call('Bash', command=f'{sys.executable} -m http.server {port} --bind 127.0.0.1', ready=f'http://localhost:{port}/',
                             run_in_background=True, description='a server')['structuredContent']
        self.assertTrue(server['matched'])
        told = client.call('WaitFor', timeout=60, task_id=server['task_id'], ready=f'http://127.0.0.1:{port}/nowhere')
        self.assertTrue(told['structuredContent']['matched'])
        client.call('TaskStop', task_id=server['task_id'])

    def test_I41_the_screen_of_a_terminal(self):
        client = self.legacy()
        task = client.call('Bash', command=r"printf 'one\033[H\033[2Jtwo\033[3;5Hfour'; sleep 300", pty=True, match='four', run_in_background=True,
                           description='draws')['structuredContent']['task_id']
        self.assertEqual(client.call('TaskOutput', task_id=task, screen=True)['structuredContent']['output'], 'two\n\n    four\n')
        self.assertTrue(client.call('TaskOutput', task_id=task, screen=True, raw=True)['isError'])
        client.call('TaskStop', task_id=task)

    def test_I22_a_name_is_had_by_one_live_task(self):
        client = self.legacy()
        start = {'run_in_background': True, 'description': 'a server', 'name': 'dev'}
        first = client.call('Bash', command='sleep 300', **start)['structuredContent']
        again = client.call('Bash', command='sleep 300', **start)['structuredContent']
        self.assertEqual((again['task_id'], again['existing'], again['same_command']), (first['task_id'], True, True))
        other = client.call('Bash', command='sleep 301', **start)['structuredContent']
        self.assertEqual((other['task_id'], other['same_command']), (first['task_id'], False))
        self.assertIn('runs already', text_of(client.call('Bash', command='sleep 300', if_running='refuse', **start)))
        self.assertEqual(client.call('TaskOutput', task_id='dev')['structuredContent']['status'], 'running')
        second = client.call('Bash', command='sleep 302', if_running='replace', **start)['structuredContent']
        self.assertNotEqual(second['task_id'], first['task_id'])
        self.assertEqual(self.record(first['task_id'])['status'], 'killed')
        self.assertEqual(client.call('TaskStop', task_id='dev')['structuredContent']['task_id'], second['task_id'])
        self.assertIn('run_in_background', text_of(client.call('Bash', command='true', name='dev')))

    def test_progress_is_told_while_it_blocks(self):
        client = self.legacy()
        task = self.background(client, 'sleep 300')
        for tool, arguments in (('WaitFor', {'timeout': 3}), ('Bash', {'command': 'echo x; sleep 300', 'timeout': 3})):
            request = client.begin('tools/call', {'name': tool, 'arguments': arguments, '_meta': {'progressToken': tool}})
            # The call before may have told once more than was looked at.
            seen = []
            while len(seen) < 2:
                note = client.note('notifications/progress')
                seen += [note] if note['progressToken'] == tool else []
            self.assertLess(seen[0]['progress'], seen[1]['progress'])
            self.assertEqual(seen[0]['total'], 3)
            self.assertTrue(seen[0]['message'])
            got = client.answer(request)['result']['structuredContent']
            if 'task_id' in got:
                client.call('TaskStop', task_id=got['task_id'])
        client.call('TaskStop', task_id=task)


QUESTION = {'question': 'Which one?', 'header': 'Choice', 'options': [{'label': 'A', 'description': 'the first'},
                                                                      {'label': 'B', 'description': 'the second'}]}


DISMISSED = {'answers': {}, 'note': 'The person dismissed the question'}
READING = 1.1  # seconds: who declines sooner has not read the form


class Questions(McpTest):
    def open_task(self):
        return eventually(lambda: self.json('list'), 'it is open')[0]['taskId']

    def test_the_result_of_an_open_question_asks_a_legacy_client_with_a_form(self):
        client = self.legacy(capabilities={'elicitation': {}, 'tasks': {}})
        for action, content, told in (('accept', {'answer_1': 'A'}, {'answers': {'Which one?': 'A'}}),
                                      ('cancel', None, DISMISSED)):
            created = client.result('tools/call', {'name': 'AskUserQuestion', 'arguments': {'questions': [QUESTION]}, 'task': {}})
            task = created['task']['taskId']
            self.assertEqual(client.result('tasks/get', {'taskId': task})['status'], 'input_required')
            asking = client.begin('tasks/result', {'taskId': task})
            form = client.asked.get(timeout=30)
            self.assertEqual(form['method'], 'elicitation/create')
            self.assertEqual(form['params']['_meta'][P + 'related-task'], {'taskId': task})
            time.sleep(0 if content else READING)
            client.send({'jsonrpc': '2.0', 'id': form['id'], 'result': {'action': action, **({'content': content} if content else {})}})
            self.assertEqual(client.answer(asking)['result']['structuredContent'], told)
            self.assertEqual(client.result('tasks/get', {'taskId': task})['status'], 'completed')
        task = self.legacy().result('tools/call', {'name': 'AskUserQuestion', 'arguments': {'questions': [QUESTION]}, 'task': {}})['task']['taskId']
        self.assertEqual(self.legacy().result('tasks/get', {'taskId': task})['status'], 'working', 'who shows no form is not told that one is wanted')
        self.perdure('stop', task, check=0)

    def test_a_form_of_a_legacy_client_answers(self):
        client = self.legacy(capabilities={'elicitation': {}})
        for action, content, told in (('accept', {'answer_1': 'B'}, {'answers': {'Which one?': 'B'}}),
                                      ('accept', {'answer_1': 'B', 'own_words_1': 'neither'}, {'answers': {'Which one?': 'neither'}}),
                                      ('decline', None, DISMISSED)):
            asking = client.begin('tools/call', {'name': 'AskUserQuestion', 'arguments': {'questions': [QUESTION]}})
            form = client.asked.get(timeout=30)
            self.assertEqual(form['method'], 'elicitation/create')
            self.assertEqual(form['params']['requestedSchema']['properties']['answer_1']['enum'], ['A', 'B'])
            time.sleep(0 if content else READING)
            client.send({'jsonrpc': '2.0', 'id': form['id'], 'result': {'action': action, **({'content': content} if content else {})}})
            self.assertEqual(client.answer(asking)['result']['structuredContent'], told)

    def test_A14_a_form_that_is_declined_at_once_was_not_refused_by_the_person(self):
        client = self.legacy(capabilities={'elicitation': {}})
        asking = client.begin('tools/call', {'name': 'AskUserQuestion', 'arguments': {'questions': [QUESTION]}})
        client.send({'jsonrpc': '2.0', 'id': client.asked.get(timeout=30)['id'], 'result': {'action': 'decline'}})
        told = client.answer(asking)['result']['structuredContent']
        self.assertEqual(told['answers'], {})
        self.assertIn('declined the form by itself', told['note'])
        self.assertNotIn('dismissed', told['note'])
        client = self.client()
        call = {'name': 'AskUserQuestion', 'arguments': {'questions': [QUESTION]},
                '_meta': modern_meta() | {P + 'clientCapabilities': {'elicitation': {}}}}
        state = client.result('tools/call', call)['requestState']
        answer = {**call, 'inputResponses': {'answer': {'action': 'decline'}}}
        told = client.result('tools/call', {**answer, 'requestState': state})['structuredContent']
        self.assertIn('declined the form by itself', told['note'])
        time.sleep(READING)
        for kept in (state, 'asked:1', 'rubbish', 7):
            self.assertEqual(client.result('tools/call', {**answer, 'requestState': kept})['structuredContent'], DISMISSED)

    def test_a_modern_client_is_asked_in_rounds(self):
        client = self.client()
        meta = modern_meta() | {P + 'clientCapabilities': {'elicitation': {}}}
        call = {'name': 'AskUserQuestion', 'arguments': {'questions': [QUESTION]}, '_meta': meta}
        needed = client.result('tools/call', call)
        self.assertEqual(needed['resultType'], 'input_required')
        self.assertEqual(needed['inputRequests']['answer']['method'], 'elicitation/create')
        for response, told in (({'action': 'accept', 'content': {'answer_1': 'A'}}, {'answers': {'Which one?': 'A'}}),
                               ({'action': 'cancel'}, DISMISSED)):
            done = client.result('tools/call', {**call, 'inputResponses': {'answer': response}})
            self.assertEqual((done['resultType'], done['structuredContent']), ('complete', told))
        self.assertEqual(client.result('tools/call', {**call, 'inputResponses': {'other': {}}})['resultType'], 'input_required')

    def test_in_the_background_it_is_a_task_that_needs_input(self):
        client = self.client()
        meta = modern_meta() | {P + 'clientCapabilities': {'elicitation': {}, 'extensions': {TASKS: {}}}}
        ask = {'name': 'AskUserQuestion', 'arguments': {'questions': [QUESTION], 'background': True}, '_meta': meta}
        task = client.result('tools/call', ask)['taskId']
        asked = client.result('tasks/get', {'taskId': task, '_meta': meta})
        self.assertEqual((asked['status'], list(asked['inputRequests'])), ('input_required', ['answer']))
        self.assertEqual(client.result('tasks/get', {'taskId': task, '_meta': modern_meta()})['status'], 'working')
        for answer in ({'x': 1}, {'answer': {'action': 'accept', 'content': {'answer_1': 'B'}}}, {'answer': {'action': 'cancel'}}):
            self.assertEqual(set(client.result('tasks/update', {'taskId': task, 'inputResponses': answer, '_meta': meta})), {'resultType', '_meta'})
        done = client.result('tasks/get', {'taskId': task, '_meta': meta})
        self.assertEqual((done['status'], done['result']['structuredContent']), ('completed', {'answers': {'Which one?': 'B'}}))

    def test_without_forms_it_stays_open_and_the_command_line_answers(self):
        client = self.legacy()
        told = client.call('AskUserQuestion', questions=[QUESTION])
        task = told['structuredContent']['task_id']
        self.assertIn(f'perdure answer {task}', text_of(told))
        self.perdure('answer', task, 'A', check=0)
        told = client.call('TaskList')['structuredContent']['notifications']
        self.assertEqual([one['source_id'] for one in told], [task])

    def test_wrong_questions_are_told(self):
        client = self.legacy()
        for questions in ([], [QUESTION] * 2, [{**QUESTION, 'header': 'x' * 13}], [{**QUESTION, 'options': QUESTION['options'][:1]}], 'x'):
            self.assertTrue(client.call('AskUserQuestion', questions=questions)['isError'], questions)


class Delivery(McpTest):
    def ended(self, client, command='true', **arguments):
        """A task that ended after its start was answered: else the answer itself could bring the news."""
        gate = os.path.join(self.scratch, f'gate-{client.last}')
        task = self.background(client, f'until [ -e {gate} ]; do sleep 0.02; done; {command}', **arguments)
        open(gate, 'w', encoding='ascii').close()
        self.perdure('wait', task)
        return task

    def pending(self):
        return [one['source_id'] for one in self.json('notifications')]

    def test_L32_news_rides_along_on_the_next_result_once_and_is_acknowledged_when_it_is_written(self):
        client = self.legacy()
        task = self.ended(client, 'echo "</notification>"; exit 3')
        self.assertEqual(self.pending(), [task])
        result = client.call('TaskList')
        told = result['structuredContent']['notifications']
        self.assertEqual([(one['source_id'], one['status'], one['exitCode']) for one in told], [(task, 'failed', 3)])
        self.assertEqual(text_of(result).count('<notification '), 1)
        self.assertEqual(text_of(result).count('</notification>'), 1)
        eventually(lambda: not self.pending(), 'it is acknowledged')
        self.assertEqual(self.record(task)['notifiedVia'], 'mcp')
        self.assertNotIn('notifications', client.call('TaskList')['structuredContent'])

    def test_L32_news_survives_a_server_that_was_killed_before_it_told(self):
        first = self.legacy()
        task = self.ended(first)
        first.process.kill()
        first.process.wait()
        self.assertEqual(self.legacy().call('TaskList')['structuredContent']['notifications'][0]['source_id'], task)

    def test_L32_another_owner_gets_no_news(self):
        one, two = self.legacy(name='one'), self.legacy(name='two')
        task = self.ended(one)
        self.assertNotIn('notifications', two.call('TaskList', all_owners=True)['structuredContent'])
        self.assertEqual(self.pending(), [task])

    def test_L33_what_a_wait_or_an_output_told_is_no_news(self):
        client = self.legacy()
        for tool, arguments in (('WaitFor', {'timeout': 60}), ('TaskOutput', {})):
            task = self.ended(client)
            self.assertNotIn('notifications', client.call(tool, task_id=task, **arguments)['structuredContent'])
            eventually(lambda: not self.pending(), 'it is acknowledged')
        self.assertNotIn('notifications', client.call('TaskList')['structuredContent'])

    @unittest.skipUnless(shutil.which('strace') and not SANITIZED, 'needs strace')
    def test_L33_the_call_right_after_a_wait_does_not_tell_it_again(self):
        client = self.legacy()
        # The acknowledgement comes after the answer. Here it is slow, so that the next call is there before it.
        starter = self.legacy()
        task = self.ended(starter)
        slow = os.path.join(self.scratch, 'slow-perdure')
        with open(slow, 'w', encoding='ascii') as f:
            f.write(f'#!/bin/sh\nexec strace -f -o /dev/null -e trace=renameat,renameat2,rename '
                    f'-e inject=renameat,renameat2,rename:delay_enter=500000 {mcp_client.PERDURE} "$@"\n')
        os.chmod(slow, 0o755)
        with unittest.mock.patch('mcp_client.PERDURE', slow):
            client = self.legacy()
        client.call('WaitFor', timeout=60, task_id=task)
        self.assertNotIn('notifications', client.call('TaskList')['structuredContent'])
        eventually(lambda: not self.pending(), 'it is acknowledged')
        client.end()

    def test_L33_a_look_by_another_owner_acknowledges_nothing(self):
        one, two = self.legacy(name='one'), self.legacy(name='two')
        task = self.ended(one)
        two.call('WaitFor', timeout=60, task_id=task, all_owners=True)
        two.call('TaskOutput', task_id=task, all_owners=True)
        self.assertEqual(self.pending(), [task])

    def test_L33_tasks_get_of_an_ended_task_counts_and_pollers_are_not_told_twice(self):
        client = self.client()
        task = client.modern('tools/call', name='Bash', arguments={'command': 'true', 'run_in_background': True, 'description': 'x'})['taskId']
        self.perdure('wait', task)
        self.assertNotIn('notifications', client.modern('tools/call', name='TaskList', arguments={})['structuredContent'])
        self.assertEqual(self.pending(), [task])
        client.modern('tasks/get', taskId=task)
        eventually(lambda: not self.pending(), 'it is acknowledged')

    def test_L15_L45_what_the_model_stopped_is_no_news(self):
        client = self.legacy()
        task = self.background(client, 'sleep 300')
        client.call('TaskStop', task_id=task)
        self.assertEqual(self.pending(), [])
        self.assertNotIn('notifications', client.call('TaskList')['structuredContent'])


class Extension(McpTest):
    def start(self, client, command, **arguments):
        return client.modern('tools/call', name='Bash', arguments={'command': command, 'run_in_background': True,
                                                                   'description': 'x', **arguments})

    def ended(self, client, task):
        return eventually(lambda: (got := client.modern('tasks/get', taskId=task))['status'] != 'working' and got, 'it ended')

    def test_a_call_becomes_a_task_that_every_process_resolves(self):
        client = self.client()
        created = self.start(client, 'echo out')
        self.assertEqual(created['resultType'], 'task')
        self.assertFalse({'task', 'result', 'error', 'inputRequests', 'requestState', 'ttl', 'pollInterval', 'content'} & set(created))
        self.assertIsNone(created['ttlMs'])
        self.assertRegex(created['createdAt'], r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$')
        self.assertTrue(os.path.exists(self.path(created['taskId'])))
        client.process.kill()
        client.process.wait()
        done = self.ended(self.client(), created['taskId'])
        self.assertEqual((done['status'], done['resultType'], done['result']['isError']), ('completed', 'complete', False))
        self.assertEqual(done['result']['structuredContent']['output'], 'out\n')
        self.assertEqual(done['result']['content'][1]['uri'], f'task://{created["taskId"]}/output')
        self.assertNotIn('error', done)

    def test_a_failed_command_is_completed_with_an_error_result_and_a_lost_one_failed(self):
        client = self.client()
        done = self.ended(client, self.start(client, 'exit 3')['taskId'])
        self.assertEqual((done['status'], done['result']['isError']), ('completed', True))
        lost = self.start(client, 'sleep 300')['taskId']
        os.kill(self.record(lost)['runner']['pid'], signal.SIGKILL)
        done = self.ended(client, lost)  # asking settles it: nobody else may be there to
        self.assertEqual((done['status'], done['error']['code']), ('failed', -32603))
        self.assertNotIn('result', done)

    def test_cancel_is_acknowledged_and_idempotent(self):
        client = self.client()
        task = self.start(client, 'sleep 300')['taskId']
        for _ in range(2):
            acknowledged = client.modern('tasks/cancel', taskId=task)
            self.assertEqual(set(acknowledged), {'resultType', '_meta'})
        done = client.modern('tasks/get', taskId=task)
        self.assertEqual(done['status'], 'cancelled')
        self.assertFalse({'result', 'error'} & set(done))
        self.assertEqual(self.record(task)['stopReason'], 'Cancelled by the client')
        self.assertEqual(set(client.modern('tasks/update', taskId=task, inputResponses={'x': {}})), {'resultType', '_meta'})

    def test_errors(self):
        client = self.client()
        for method in ('tasks/get', 'tasks/cancel', 'tasks/update'):
            params = {'taskId': 'bash-00000000', 'inputResponses': {}}
            self.assertEqual(client.error(method, {**params, '_meta': modern_meta()})['code'], -32602)
            undeclared = client.error(method, {**params, '_meta': modern_meta(tasks=False)})
            self.assertEqual((undeclared['code'], undeclared['data']), (-32021, {'requiredCapabilities': {'extensions': {TASKS: {}}}}))

    def test_without_the_extension_the_same_call_is_answered_at_once(self):
        client = self.client()
        result = client.modern('tools/call', _tasks=False, name='Bash',
                               arguments={'command': 'true', 'run_in_background': True, 'description': 'x'})
        self.assertEqual(result['resultType'], 'complete')
        self.assertNotIn('taskId', result)
        client.modern('tools/call', name='WaitFor', arguments={'timeout': 60, 'task_id': result['structuredContent']['task_id']})

    def test_a_listener_is_told_of_the_end(self):
        client = self.client()
        task = self.start(client, 'until test -e go; do sleep 0.01; done; echo done', cwd=self.scratch)['taskId']
        listening = client.begin('subscriptions/listen', {'notifications': {'taskIds': [task, 'bash-00000000'], 'toolsListChanged': True},
                                                          '_meta': modern_meta()})
        acknowledged = client.note('notifications/subscriptions/acknowledged')
        self.assertEqual(acknowledged, {'_meta': {P + 'subscriptionId': listening}, 'notifications': {'taskIds': [task]}})
        open(os.path.join(self.scratch, 'go'), 'w').close()
        while (told := client.note('notifications/tasks'))['status'] == 'working':
            pass
        self.assertEqual((told['taskId'], told['result']['structuredContent']['output']), (task, 'done\n'))
        self.assertEqual(told['_meta'], {P + 'subscriptionId': listening})
        client.begin('subscriptions/listen', {'notifications': {'taskIds': [task]}, '_meta': modern_meta()})
        self.assertEqual(client.note('notifications/tasks')['status'], 'completed')  # ended before
        undeclared = client.error('subscriptions/listen', {'notifications': {'taskIds': [task]}, '_meta': modern_meta(tasks=False)})
        self.assertEqual(undeclared['code'], -32021)


class LegacyTasks(McpTest):
    def test_a_call_as_a_task_its_status_and_its_result(self):
        client = self.legacy()
        created = client.result('tools/call', {'name': 'Bash', 'arguments': {'command': 'echo out'}, 'task': {'ttl': 60000}})
        task = created['task']
        self.assertEqual((task['status'], task['ttl']), ('working', None))
        self.assertIn('io.modelcontextprotocol/model-immediate-response', created['_meta'])
        result = client.result('tasks/result', {'taskId': task['taskId'], 'task': {'ttl': 1}})
        self.assertEqual(result['structuredContent']['output'], 'out\n')
        self.assertEqual(result['_meta'], {P + 'related-task': {'taskId': task['taskId']}})
        self.assertEqual(client.result('tasks/get', {'taskId': task['taskId']})['status'], 'completed')
        while (told := client.note('notifications/tasks/status'))['status'] == 'working':
            pass
        self.assertEqual((told['taskId'], told['status']), (task['taskId'], 'completed'))
        self.assertEqual([t['taskId'] for t in client.result('tasks/list')['tasks']], [task['taskId']])

    def test_a_failed_command_is_failed_and_an_ended_one_cannot_be_cancelled(self):
        client = self.legacy()
        task = client.result('tools/call', {'name': 'Bash', 'arguments': {'command': 'exit 3'}, 'task': {}})['task']['taskId']
        self.assertTrue(client.result('tasks/result', {'taskId': task})['isError'])
        self.assertEqual(client.result('tasks/get', {'taskId': task})['status'], 'failed')
        self.assertEqual(client.error('tasks/cancel', {'taskId': task})['code'], -32602)
        task = client.result('tools/call', {'name': 'Bash', 'arguments': {'command': 'sleep 300'}, 'task': {}})['task']['taskId']
        self.assertEqual(client.result('tasks/cancel', {'taskId': task})['status'], 'cancelled')
        self.assertEqual(client.error('tasks/get', {'taskId': 'bash-00000000'})['code'], -32602)
        self.assertEqual(client.error('tools/call', {'name': 'TaskList', 'task': {}})['code'], -32601)

    def test_the_list_comes_in_pages(self):
        client = self.legacy('--owner', 'pages')
        for _ in range(52):
            self.background(client, 'true')
        first = client.result('tasks/list')
        second = client.result('tasks/list', {'cursor': first['nextCursor']})
        self.assertEqual((len(first['tasks']), len(second['tasks'])), (50, 2))
        self.assertNotIn('nextCursor', second)
        client.call('WaitFor', timeout=60)

    def test_versions_before_have_no_tasks(self):
        client = self.legacy(version='2025-06-18')
        self.assertEqual(client.error('tasks/list')['code'], -32601)
        self.assertIn('content', client.result('tools/call', {'name': 'Bash', 'arguments': {'command': 'true'}, 'task': {}}))


class Resources(McpTest):
    def test_a_task_and_its_output_are_listed_and_read(self):
        client = self.legacy()
        task = self.background(client, 'echo out')
        client.call('WaitFor', timeout=60, task_id=task)
        listed = {r['uri']: r for r in client.result('resources/list')['resources']}
        self.assertEqual(set(listed), {f'task://{task}', f'task://{task}/output'})
        log = listed[f'task://{task}/output']
        self.assertEqual((log['size'], log['mimeType']), (4, 'text/plain'))
        self.assertRegex(log['annotations']['lastModified'], r'Z$')
        templates = client.result('resources/templates/list')['resourceTemplates']
        self.assertEqual([t['uriTemplate'] for t in templates], ['task://{taskId}/output', 'task://{taskId}'])
        self.assertEqual(client.result('resources/read', {'uri': f'task://{task}/output'})['contents'],
                         [{'uri': f'task://{task}/output', 'mimeType': 'text/plain', 'text': 'out\n'}])
        record = json.loads(client.result('resources/read', {'uri': f'task://{task}'})['contents'][0]['text'])
        self.assertEqual((record['task_id'], record['exit_code']), (task, 0))
        modern = client.modern('resources/read', uri=f'task://{task}')
        self.assertEqual((modern['resultType'], modern['ttlMs'], modern['cacheScope']), ('complete', 0, 'private'))

    def test_what_is_not_there_is_an_error_of_its_era(self):
        client = self.legacy()
        for uri in ('task://bash-00000000', 'task://bash-00000000/output', 'file:///etc/passwd', 'task://../x'):
            error = client.error('resources/read', {'uri': uri})
            self.assertEqual((error['code'], error['data']), (-32002, {'uri': uri}))
            error = client.error('resources/read', {'uri': uri, '_meta': modern_meta()})
            self.assertEqual((error['code'], error['data']), (-32602, {'uri': uri}))

    def test_subscribers_of_both_eras_are_told_when_output_grows_and_the_task_ends(self):
        client = self.legacy()
        task = self.background(client, 'until test -e one; do sleep 0.01; done; echo x; until test -e two; do sleep 0.01; done', cwd=self.scratch)
        uri = f'task://{task}/output'
        self.assertEqual(client.result('resources/subscribe', {'uri': uri}), {})
        self.assertEqual(client.result('resources/subscribe', {'uri': uri}), {})
        self.assertEqual(client.result('resources/subscribe', {'uri': f'task://{task}'}), {})
        other = self.client()
        listening = other.begin('subscriptions/listen', {'notifications': {'resourceSubscriptions': [uri]}, '_meta': modern_meta()})
        self.assertEqual(other.note('notifications/subscriptions/acknowledged')['notifications'], {'resourceSubscriptions': [uri]})
        # Acknowledged is not yet watched: what comes in between is told by the end.
        open(os.path.join(self.scratch, 'one'), 'w').close()
        self.assertEqual(client.note('notifications/resources/updated'), {'uri': uri})
        open(os.path.join(self.scratch, 'two'), 'w').close()
        told = {client.note('notifications/resources/updated')['uri'] for _ in range(2)}
        self.assertEqual(told, {uri, f'task://{task}'})
        self.assertEqual(other.note('notifications/resources/updated'), {'_meta': {P + 'subscriptionId': listening}, 'uri': uri})
        self.assertEqual(client.result('resources/unsubscribe', {'uri': uri}), {})
        self.assertEqual(client.result('resources/unsubscribe', {'uri': 'task://never'}), {})
        other.notify('notifications/cancelled', {'requestId': listening})
        self.assertEqual(other.end(), 0)


if __name__ == '__main__':
    unittest.main()
