"""10,000 mixed requests by four clients of `perdure mcp`, malformed ones between: each gets the right answer or the right
error, and memory stays flat."""
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from mcp_client import McpClient, modern_meta  # noqa: E402
from session import SessionTest  # noqa: E402

CLIENTS, REQUESTS, AT_A_TIME = 4, 2500, 24
MALFORMED = [(b'{', -32700), (b'\xff\xfe\xfd', -32700), (b'{"jsonrpc":"2.0","id":"\xed\xa0\x80"}', -32700), (b'[' * 10_000, -32700),
             (b'{"a":' * 500 + b'0' + b'}' * 500, -32700), (b'[1,2]', -32600), (b'true', -32600), (b'{"jsonrpc":"3.0"}', -32600),
             (b'{"jsonrpc":"2.0","id":[],"method":"ping"}', -32600), (b'{"jsonrpc":"2.0","id":null,"method":1}', -32600)]


def resident_bytes(pid):
    with open(f'/proc/{pid}/statm', encoding='ascii') as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


class Stress(SessionTest):
    def expected(self, number, known):
        """(method, params, what is wrong with an answer or None): the number decides, so that every run is the same."""
        def result(check=lambda r: True):
            return lambda a: None if 'result' in a and check(a['result']) else 'no such result'

        def error(code):
            return lambda a: None if a.get('error', {}).get('code') == code else f'not {code}'

        def tool(name, arguments, check):
            return 'tools/call', {'name': name, 'arguments': arguments}, result(check)

        def said(text):
            return lambda r: r['isError'] and text in r['content'][0]['text']

        task = known[number % len(known)] if known else 'bash-00000000'
        return [
            lambda: ('ping', {}, result(lambda r: r == {})),
            lambda: ('tools/list', {}, result(lambda r: len(r['tools']) >= 5)),
            lambda: ('tools/list', {'_meta': modern_meta()}, result(lambda r: r['resultType'] == 'complete')),
            lambda: tool('TaskList', {'limit': 1 + number % 100}, lambda r: r['structuredContent']['count'] >= 0),
            lambda: ('no/such/method', {}, error(-32601)),
            lambda: ('tools/call', {'name': number}, error(-32602)),
            lambda: ('tools/call', {'name': 'Bash', 'arguments': number}, error(-32602)),
            lambda: tool('Bash', {'command': number}, said('must be a string')),
            lambda: tool('TaskOutput', {'task_id': f'bash-{number % 10 ** 8:08d}'}, said('bash-')),
            lambda: ('tasks/get', {'taskId': 'bash-zzzzzzzz', '_meta': modern_meta()}, error(-32602)),
            lambda: ('tasks/get', {'taskId': 'x', '_meta': modern_meta(tasks=False)}, error(-32021)),
            lambda: ('server/discover', {'_meta': {}}, error(-32602)),
            lambda: ('resources/read', {'uri': f'test://{number}'}, error(-32002)),
            lambda: ('resources/templates/list', {}, result(lambda r: len(r['resourceTemplates']) == 2)),
            lambda: tool('Bash', {'command': f'echo {number}'}, lambda r: r['structuredContent'].get('output') == f'{number}\n')
            if number % 5 == 0 else ('ping', {}, result()),
            lambda: tool('Bash', {'command': f'echo {number}', 'run_in_background': True, 'description': str(number)},
                         lambda r: known.append(r['structuredContent']['task_id']) is None)
            if number % 10 == 5 else tool('TaskOutput', {'task_id': task}, lambda r: 'output' in r['structuredContent'] or r['isError'])
            if known else ('ping', {}, result()),
        ][number % 16]()

    def talk(self, index, wrong, sizes):
        with McpClient(self.session, '--owner', f'client-{index}') as client:
            client.initialize()
            known, number = [], 0
            while number < REQUESTS:
                batch, broken = [], []
                for number in range(number, min(number + AT_A_TIME, REQUESTS)):
                    if number % 25 == 7:
                        data, code = MALFORMED[(number // 25 + index) % len(MALFORMED)]
                        client.send_bytes(data + b'\n')
                        broken.append(code)
                    if number % 50 == 9:  # two with one id, the first of which takes a while
                        held = client.begin('tools/call', {'name': 'Bash', 'arguments': {'command': 'sleep 0.05'}})
                        client.send({'jsonrpc': '2.0', 'id': held, 'method': 'ping'})
                        codes = sorted(client.answer(held).get('error', {}).get('code', 0) for _ in range(2))
                        if codes != [-32600, 0]:
                            wrong.append((held, codes))
                    method, params, fault = self.expected(number, known)
                    batch.append((client.begin(method, params), fault))
                if number == REQUESTS // 2:
                    client.send_bytes(b'y' * (64 << 20) + b'\n')
                    broken.append(-32600)
                for request, fault in batch:
                    answer = client.answer(request)
                    if (why := fault(answer)) is not None:
                        wrong.append((why, answer))
                codes = [client.answer(None)['error']['code'] for _ in broken]
                if codes != broken:
                    wrong.append((codes, broken))
                number += 1
                if number >= REQUESTS // 5:
                    sizes.setdefault(index, []).append(resident_bytes(client.process.pid))
            leftover = {key: value for key, value in client.answers.items() if value}
            if leftover:
                wrong.append(('answers that nobody asked for', leftover))
            client.call('WaitFor', timeout=60)
            if client.end() != 0:
                wrong.append('exit status')

    def test_each_gets_the_right_answer_or_error_and_memory_is_flat(self):
        wrong, sizes = [], {}
        threads = [threading.Thread(target=self.talk, args=(index, wrong, sizes)) for index in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong[:3], [])
        self.assertEqual(len(sizes), CLIENTS, 'a client gave up')
        for seen in sizes.values():
            self.assertLess(seen[-1] - seen[0], 12 << 20, [size >> 20 for size in seen])
            self.assertLess(max(seen), 128 << 20)


if __name__ == '__main__':
    unittest.main()
