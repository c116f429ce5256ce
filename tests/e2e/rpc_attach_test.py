#!/usr/bin/env python3
"""JSON-RPC: writes that are repeated (V50), live output and input (task.attach, I06), sessions and executors."""
import base64
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from rpc_client import Failed, Rpc  # noqa: E402
from session import FIXTURES, SessionTest, eventually  # noqa: E402


class Case(SessionTest):
    def rpc(self, session=None, **kw):
        rpc = Rpc(session or self.session, env={'XDG_CONFIG_HOME': self.config_home, 'XDG_STATE_HOME': self.scratch, 'HOME': self.scratch}, **kw)
        self.addCleanup(rpc.__exit__)
        return rpc

    def start(self, rpc, command, **kw):
        return rpc.call('task.start', command=command, **kw)['task']['taskId']

    def text(self, rpc, task):
        return rpc.call('task.output', id=task)['data']

    def refused(self, code, rpc, method, **params):
        with self.assertRaises(Failed) as refused:
            rpc.call(method, **params)
        self.assertEqual(refused.exception.data.get('code', refused.exception.code), code, refused.exception.error)
        return refused.exception

    def until_ended(self, rpc, attachment, seconds=30):
        """(bytes that came, the last notification)"""
        data, chunks = b'', []
        while True:
            name, params = rpc.next(timeout=seconds)
            if params.get('attachment') != attachment:
                continue
            if name == 'task.attachment.ended':
                return data, params, chunks
            self.assertEqual(name, 'task.chunk')
            chunks.append(params)
            data += base64.b64decode(params['data'])

    def until(self, rpc, text, seconds=30):
        data = b''
        while text not in data:
            name, params = rpc.next(timeout=seconds)
            self.assertEqual(name, 'task.chunk', params)
            data += base64.b64decode(params['data'])
        return data


class Writes(Case):
    def test_V50_a_write_that_is_repeated_is_typed_once(self):
        one, other = self.rpc(), self.rpc()
        self.assertTrue(one.hello['capabilities']['writeId'])
        task = self.start(one, 'exec cat', input='pipe')
        for rpc in (one, other, one):
            self.assertEqual(rpc.call('task.write', id=task, data='grüße\n', writeId='w1'), {'bytes': 8})
        self.assertEqual(other.call('task.write', id=task, data='again\n', writeId='w2'), {'bytes': 6})
        self.assertEqual(one.call('task.write', id=task, data='grüße\n', writeId='w1'), {'bytes': 8})
        self.assertIn('other data', str(self.refused('usage', one, 'task.write', id=task, data='else\n', writeId='w1')))
        last = {'id': task, 'data': 'end\n', 'writeId': 'w3', 'eof': True}
        self.assertEqual(one.call('task.write', **last), {'bytes': 4})
        one.call('task.wait', ids=[task])
        self.assertEqual(self.text(one, task), 'grüße\nagain\nend\n')
        self.refused('task.not_running', one, 'task.write', **last)

    def test_V50_the_end_of_the_input_may_be_repeated_too(self):
        rpc = self.rpc()
        task = self.start(rpc, 'cat; echo over; exec sleep 60', input='pipe')
        for _ in range(3):
            self.assertEqual(rpc.call('task.write', id=task, data='x\n', writeId='w', eof=True), {'bytes': 2})
        self.assertTrue(rpc.call('task.wait', ids=[task], match='^over$')['met'])
        self.assertEqual(self.text(rpc, task), 'x\nover\n')
        self.assertIn('was closed', str(self.refused('usage', rpc, 'task.write', id=task, data='y', writeId='v')))
        rpc.call('task.stop', id=task)

    def test_V50_on_a_terminal_the_end_is_typed_once(self):
        rpc = self.rpc()
        task = self.start(rpc, 'stty -echo; echo ready; cat; echo first; cat; echo second; exec sleep 60', terminal={})
        self.assertTrue(rpc.call('task.wait', ids=[task], match='ready')['met'])
        for _ in range(3):
            self.assertEqual(rpc.call('task.write', id=task, data='x\n', writeId='w', eof=True), {'bytes': 2})
        self.assertTrue(rpc.call('task.wait', ids=[task], match='first')['met'])
        self.assertFalse(rpc.call('task.wait', ids=[task], match='second', timeoutMs=150)['met'])
        rpc.call('task.write', id=task, data='', writeId='v', eof=True)
        self.assertTrue(rpc.call('task.wait', ids=[task], match='second')['met'])
        rpc.call('task.stop', id=task)

    def test_V50_a_server_that_is_killed_in_the_middle_of_a_write(self):
        """The command reads slowly: the first server dies with part of it written, and another one types the rest."""
        watcher = self.rpc()
        slow = ('import sys, time, zlib\nsum, size = 0, 0\nwhile data := sys.stdin.buffer.read1(4096):\n'
                ' sum, size = zlib.crc32(data, sum), size + len(data)\n time.sleep(0.002)\nprint(sum, size)')
        task = watcher.call('task.start', argv=[sys.executable, '-c', slow], input='pipe')['task']['taskId']
        data = ''.join(f'{n:07d}\n' for n in range(60_000))
        for kill in range(4):
            rpc = self.rpc()
            rpc.send('task.write', id=task, data=data, writeId='large')
            time.sleep(0.02 + kill * 0.03)
            rpc.process.send_signal(signal.SIGKILL)
            rpc.process.wait()
        self.assertEqual(self.rpc().call('task.write', id=task, data=data, writeId='large', eof=False), {'bytes': len(data)})
        watcher.call('task.write', id=task, data='', eof=True)
        watcher.call('task.wait', ids=[task])
        self.assertEqual(self.text(watcher, task), f'{zlib.crc32(data.encode())} {len(data)}\n')

    def test_V50_two_who_repeat_the_same_write_at_once(self):
        task = self.start(self.rpc(), 'exec cat', input='pipe')
        data = ''.join(f'{n:07d}\n' for n in range(100_000))
        clients = [self.rpc() for _ in range(3)]
        asked = [rpc.send('task.write', id=task, data=data, writeId='x' * 256, eof=True) for rpc in clients]
        results = []
        for rpc, request in zip(clients, asked):
            try:
                results.append(rpc.result(request))
            except Failed as failed:  # it came after the end
                self.assertEqual(failed.data['code'], 'task.not_running')
        self.assertIn({'bytes': len(data)}, results)
        clients[0].call('task.wait', ids=[task])
        with open(os.path.join(self.tasks, task, 'output.log'), encoding='utf-8') as log:
            self.assertEqual(log.read(), data)

    def test_V50_hostile_ids_and_many_of_them(self):
        rpc = self.rpc()
        task = self.start(rpc, 'exec cat >/dev/null', input='pipe')
        for bad in ('', 'x' * 257):
            self.assertIn('1 to 256', str(self.refused('usage', rpc, 'task.write', id=task, data='x', writeId=bad)))
        self.refused(-32602, rpc, 'task.write', id=task, data='x', writeId=7)
        for name in ('a b', 'ü' * 128, '\n', '"', '\0', '../..'):
            self.assertEqual(rpc.call('task.write', id=task, data='x', writeId=name), {'bytes': 1}, name)
        for n in range(300):
            rpc.call('task.write', id=task, data='x', writeId=f'n{n}')
        self.assertEqual(rpc.call('task.write', id=task, data='x', writeId='n299'), {'bytes': 1})
        # What no client of ours sends, on the runner's socket itself.
        control = socket.socket(socket.AF_UNIX)
        self.addCleanup(control.close)
        control.connect(os.path.join(self.tasks, task, 'control'))
        answers = control.makefile('r')
        self.addCleanup(answers.close)
        some, total = '0' * 32, '1' * 16
        for line, answer in ((f'type {some} {total} 5 6161', 'forgotten'), (f'type {some} {total} 0 6161', 'typed 2'), (f'type {some} {total} 0 6161', 'typed 2'),
                             (f'type {some} {total} 9 6161', 'error 22'), (f'type {some} {"2" * 16} 0 6161', 'differs'), (f'type {some} {total} 0 616', 'error 22'),
                             (f'type {some} {total} -1 61', 'error 22'), (f'type {some} {total} 0 ', 'error 22'), (f'type {some[1:]} {total} 0 61', 'error 22 expected: type ID SUM OFFSET HEX'),
                             (f'type {some} {total} 0 6G', 'error 22'), (f'type {some} {total} 0 {"61" * 3073}', 'error 22'), ('type', 'error 22 expected: type ID SUM OFFSET HEX')):
            control.sendall(line.encode() + b'\n')
            self.assertEqual(answers.readline().rstrip('\n'), answer, line[:80])
        rpc.call('task.stop', id=task)
        silent = self.start(rpc, 'exec sleep 60')
        self.assertIn('has no input', str(self.refused('usage', rpc, 'task.write', id=silent, data='x', writeId='w')))
        rpc.call('task.stop', id=silent)
        self.refused('task.not_found', rpc, 'task.write', id='bash-00000000', data='x', writeId='w')

    def test_a_write_with_an_id_that_is_cancelled_goes_on_where_it_was(self):
        rpc = self.rpc()
        task = self.start(rpc, 'until test -e go; do sleep 0.01; done; exec cksum', input='pipe', cwd=self.scratch)
        data = 'x' * 300_000
        request = rpc.send('task.write', id=task, data=data, writeId='w', eof=True)
        time.sleep(0.1)
        rpc.note('$/cancelRequest', id=request)
        with self.assertRaises(Failed) as refused:
            rpc.result(request)
        self.assertEqual(refused.exception.code, -32800)
        with open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8'):
            pass
        self.assertEqual(rpc.call('task.write', id=task, data=data, writeId='w', eof=True), {'bytes': len(data)})
        rpc.call('task.wait', ids=[task])
        wanted = subprocess.run(['cksum'], input=data.encode(), stdout=subprocess.PIPE, check=True).stdout.decode()
        self.assertEqual(self.text(rpc, task).split()[:2], wanted.split()[:2])


class Attach(Case):
    def test_I06_output_input_and_size_of_a_terminal(self):
        rpc = self.rpc()
        task = self.start(rpc, 'stty -echo; echo ready; while read line; do echo "<$line>"; stty size; done', terminal={'rows': 30, 'columns': 90})
        began = rpc.call('task.attach', id=task, at=0)
        self.assertEqual((began['input'], began['terminal'], began['offset']), ('terminal', {'rows': 30, 'columns': 90}, 0))
        attachment = began['attachment']
        self.until(rpc, b'ready\r\n')
        rpc.call('task.input', attachment=attachment, data='grüße\n')
        self.assertIn('<grüße>\r\n30 90\r\n'.encode(), self.until(rpc, b'30 90\r\n'))
        self.assertEqual(rpc.call('task.resize', attachment=attachment, rows=7, columns=41), {})
        rpc.call('task.input', attachment=attachment, data=base64.b64encode(b'\xff\n').decode(), encoding='base64')
        self.assertIn(b'<\xff>', self.until(rpc, b'7 41\r\n'))
        rpc.call('task.input', attachment=attachment, data='', eof=True)
        data, ended, _ = self.until_ended(rpc, attachment)
        self.assertEqual((data, ended['task']['status']), (b'', 'completed'))
        self.refused('usage', rpc, 'task.input', attachment=attachment, data='x')
        self.assertEqual(rpc.call('task.leave', attachment=attachment), {'left': False})

    def test_I06_one_types_and_any_number_watch(self):
        typing, others = self.rpc(), [self.rpc() for _ in range(3)]
        task = self.start(typing, 'exec cat', input='pipe')
        attachment = typing.call('task.attach', id=task)['attachment']
        error = self.refused('task.input_held', others[0], 'task.attach', id=task)
        self.assertEqual(error.data['details']['holder'], str(typing.process.pid))
        self.refused('task.input_held', others[0], 'task.write', id=task, data='x')
        self.refused('task.input_held', others[0], 'task.write', id=task, data='x', writeId='w')
        watching = [rpc.call('task.attach', id=task, readOnly=True) for rpc in others]
        self.assertEqual([w['input'] for w in watching], ['none'] * 3)
        self.refused('usage', others[0], 'task.input', attachment=watching[0]['attachment'], data='x')
        self.refused('usage', others[0], 'task.resize', attachment=watching[0]['attachment'], rows=1, columns=1)
        typing.call('task.input', attachment=attachment, data='hello\n')
        for rpc in [typing, *others]:
            self.assertEqual(self.until(rpc, b'\n'), b'hello\n')
        # Left, and free at once; then killed, and free at once.
        self.assertEqual(typing.call('task.leave', attachment=attachment), {'left': True})
        self.assertEqual(others[0].call('task.attach', id=task)['input'], 'pipe')
        others[0].process.kill()
        others[0].process.wait()
        last = typing.call('task.attach', id=task)['attachment']
        typing.call('task.input', attachment=last, data='', eof=True)
        self.assertEqual(self.until_ended(typing, last)[1]['task']['status'], 'completed')
        self.assertEqual(self.until_ended(others[1], watching[1]['attachment'])[1]['task']['taskId'], task)

    def test_I06_keys_are_typed_in_the_order_in_which_they_were_sent(self):
        rpc = self.rpc()
        task = self.start(rpc, 'exec cat', input='pipe')
        attachment = rpc.call('task.attach', id=task)['attachment']
        wanted = ''.join(f'{n}\n' for n in range(150))
        asked = [rpc.send('task.input', attachment=attachment, data=f'{n}\n') for n in range(150)]
        for request in asked:
            rpc.result(request)
        rpc.call('task.input', attachment=attachment, data='', eof=True)
        self.assertEqual(self.until_ended(rpc, attachment)[0].decode(), wanted)

    def test_I06_where_the_chunks_begin(self):
        rpc = self.rpc()
        task = self.start(rpc, 'echo one; echo two; read x; echo three', input='pipe')
        self.assertTrue(rpc.call('task.wait', ids=[task], match='two')['met'])
        self.refused('usage', rpc, 'task.attach', id=task, at=1, tailBytes=2)
        self.refused(-32602, rpc, 'task.attach', id=task, tailBytes=1 << 30)
        began = {name: rpc.call('task.attach', id=task, readOnly=True, **kw) for name, kw in
                 {'now': {}, 'all': {'at': 0}, 'tail': {'tailBytes': 4}, 'behind': {'at': 10}}.items()}
        self.assertEqual({k: v['offset'] for k, v in began.items()}, {'now': 8, 'all': 0, 'tail': 4, 'behind': 10})
        got = {v['attachment']: b'' for v in began.values()}
        rpc.call('task.write', id=task, data='\n')
        ended = set()
        while len(ended) < 4:
            name, params = rpc.next()
            if name == 'task.chunk':
                got[params['attachment']] += base64.b64decode(params['data'])
            else:
                ended.add(params['attachment'])
        self.assertEqual({k: got[v['attachment']] for k, v in began.items()},
                         {'now': b'three\n', 'all': b'one\ntwo\nthree\n', 'tail': b'two\nthree\n', 'behind': b'ree\n'})

    def test_I06_a_task_that_has_ended_can_be_watched_and_not_typed_into(self):
        rpc = self.rpc()
        task = self.start(rpc, 'echo done; exit 3', input='pipe')
        rpc.call('task.wait', ids=[task])
        self.refused('task.not_running', rpc, 'task.attach', id=task)
        attachment = rpc.call('task.attach', id=task, readOnly=True, at=0)['attachment']
        data, ended, _ = self.until_ended(rpc, attachment)
        self.assertEqual((data, ended['task']['exitCode']), (b'done\n', 3))
        silent = self.start(rpc, 'sleep 60')
        self.assertIn('has no input', str(self.refused('usage', rpc, 'task.attach', id=silent)))
        rpc.call('task.stop', id=silent)
        self.refused('task.not_found', rpc, 'task.attach', id='bash-00000000')
        self.refused('task.id_invalid', rpc, 'task.attach', id='../x', readOnly=True)

    def test_I06_what_was_dropped_is_told(self):
        rpc = self.rpc()
        task = self.start(rpc, 'head -c 3000000 /dev/zero | tr "\\0" x; echo end', outputLimit=200_000)
        rpc.call('task.wait', ids=[task])
        attachment = rpc.call('task.attach', id=task, readOnly=True, at=0)['attachment']
        data, _, chunks = self.until_ended(rpc, attachment)
        gaps = [chunk['gap'] for chunk in chunks if 'gap' in chunk]
        self.assertEqual(len(gaps), 1, gaps)
        self.assertEqual(len(data) + gaps[0]['bytes'], 3_000_004)
        self.assertTrue(data.endswith(b'end\n'))
        at = 0
        for chunk in chunks:
            self.assertEqual(chunk['offset'], at + chunk.get('gap', {}).get('bytes', 0))
            at = chunk['nextOffset']

    def test_I06_a_client_that_does_not_read_costs_no_memory(self):
        """V31 for attachments: 40 MB are printed, and the server holds a window of them."""
        reader = self.rpc()
        task = self.start(reader, 'read x; yes "$(printf %079d 0)" | head -c 40000000; echo end; exec sleep 600', input='pipe')
        slow = self.rpc()
        # From here on nothing is read of what it sends.
        taken = threading.Event()
        slow.told = Dam(taken)
        for _ in range(2):
            slow.call('task.attach', id=task, readOnly=True)
        before = memory(slow.process.pid)
        reader.call('task.write', id=task, data='\n')
        self.assertTrue(reader.call('task.wait', ids=[task], match='^end$', timeoutMs=60000)['met'])
        growth = memory(slow.process.pid) - before
        self.assertLess(growth, 8 << 20)
        taken.set()
        attachments = {}
        while len([a for a in attachments.values() if a >= 40_000_004]) < 2:
            _, params = slow.told.get(timeout=60)
            self.assertEqual(params['offset'], attachments.get(params['attachment'], 0) + params.get('gap', {'bytes': 0})['bytes'])
            attachments[params['attachment']] = params['nextOffset']
        print(f'2 attachments that are not read, 40 MB: the server grew by {growth >> 10} KiB', file=sys.stderr)
        reader.call('task.stop', id=task)

    def test_I06_hostile_parameters(self):
        rpc = self.rpc()
        task = self.start(rpc, 'exec cat', input='pipe')
        attachment = rpc.call('task.attach', id=task)['attachment']
        for method, params in (('task.attach', {}), ('task.attach', {'id': 5}), ('task.attach', {'id': task, 'at': -1}), ('task.input', {'attachment': attachment}),
                               ('task.input', {'data': 'x'}), ('task.input', {'attachment': [], 'data': 'x'}), ('task.resize', {'attachment': attachment, 'rows': 0, 'columns': 5}),
                               ('task.resize', {'attachment': attachment, 'rows': 1, 'columns': 70000}), ('task.leave', {'attachment': None})):
            self.refused(-32602, rpc, method, **params)
        self.refused('usage', rpc, 'task.input', attachment=attachment, data='x!', encoding='base64')
        self.refused('usage', rpc, 'task.resize', attachment=attachment, rows=5, columns=5)
        for name in ('', 'a99', 's1', '\0', '../a1'):
            self.refused('usage', rpc, 'task.input', attachment=name, data='x')
            self.assertEqual(rpc.call('task.leave', attachment=name), {'left': False})
        # An event subscription is no attachment.
        subscription = rpc.call('events.subscribe')['subscription']
        self.assertEqual(rpc.call('task.leave', attachment=subscription), {'left': False})
        self.assertEqual(rpc.call('events.unsubscribe', subscription=subscription), {'ended': True})
        for _ in range(63):
            rpc.call('task.attach', id=task, readOnly=True)
        self.refused('usage', rpc, 'task.attach', id=task, readOnly=True)
        rpc.call('task.leave', attachment=attachment)
        rpc.call('task.attach', id=task, readOnly=True)
        # 63 that watch hold nothing: another one may type.
        self.assertEqual(self.rpc().call('task.attach', id=task)['input'], 'pipe')
        rpc.call('task.stop', id=task)

    def test_I06_an_input_that_waits_is_cancelled_and_those_behind_it_go_on(self):
        rpc = self.rpc()
        task = self.start(rpc, 'exec sleep 60', input='pipe')
        attachment = rpc.call('task.attach', id=task)['attachment']
        stuck = rpc.send('task.input', attachment=attachment, data='x' * 1_000_000)
        behind = rpc.send('task.input', attachment=attachment, data='')
        time.sleep(0.1)
        rpc.note('$/cancelRequest', id=stuck)
        with self.assertRaises(Failed) as refused:
            rpc.result(stuck)
        self.assertEqual(refused.exception.code, -32800)
        self.assertEqual(rpc.result(behind), {'bytes': 0})
        rpc.call('task.stop', id=task)

    def test_V32_the_end_of_input_ends_an_attachment_at_once_and_no_task(self):
        rpc, other = self.rpc(), self.rpc()
        task = self.start(rpc, 'while :; do echo tick; sleep 0.01; done', terminal={})
        rpc.call('task.attach', id=task)
        began = time.monotonic()
        rpc.close()
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(other.call('task.get', id=task)['task']['status'], 'running')
        eventually(lambda: self.can_attach(other, task), 'its input is free')
        other.call('task.stop', id=task)

    def can_attach(self, rpc, task):
        try:
            return rpc.call('task.attach', id=task)
        except Failed:
            return None


class Dam(queue.Queue):
    """Lets nothing in until the event is set: who reads the answers of the calls is held up by a notification."""

    def __init__(self, opened):
        super().__init__()
        self.opened = opened

    def put(self, message, *args, **kw):
        self.opened.wait()
        super().put((message['method'], message['params']), *args, **kw)


def memory(pid):
    with open(f'/proc/{pid}/status', encoding='utf-8') as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith('VmRSS'))


class Places(Case):
    def config(self, text):
        os.makedirs(os.path.join(self.config_home, 'perdure'), exist_ok=True)
        with open(os.path.join(self.config_home, 'perdure', 'config.toml'), 'w', encoding='utf-8') as f:
            f.write(text)

    def test_sessions_of_the_configuration_and_of_other_programs_are_listed(self):
        away = os.path.join(self.scratch, 'away')
        self.perdure('run', '--wait', '-c', 'exit 3', session=away, check=3)
        foreign = os.path.join(self.scratch, '.kimi-code', 'sessions', 'wd_x_1', 'session_1')
        shutil.copytree(os.path.join(FIXTURES, '2.1.0', 'bash'), foreign)
        os.makedirs(os.path.join(self.scratch, '.kimi-code', 'sessions', 'wd_x_1', 'empty'))
        self.config(f'[rpc]\nsessions = ["{away}", "{self.scratch}/is-not-there", "~/never"]\n')
        rpc = self.rpc()
        listed = {s['path']: s for s in rpc.call('session.list')['sessions']}
        self.assertEqual(sorted(listed), sorted([self.session, away, foreign]))
        self.assertEqual((listed[away]['program'], listed[away]['counts']['failed']), ('perdure', 1))
        self.assertEqual(listed[foreign]['program'], 'kimi')
        self.assertGreater(sum(listed[foreign]['counts'].values()), 0)
        self.assertFalse(os.path.exists(os.path.join(self.scratch, 'is-not-there')), 'a look made a session')

    def test_L51_a_session_names_no_others_until_it_is_trusted(self):
        os.makedirs(self.session)
        away = os.path.join(self.scratch, 'away')
        self.perdure('run', '--wait', '-c', 'true', session=away, check=0)
        with open(os.path.join(self.session, 'perdure.toml'), 'w', encoding='utf-8') as f:
            f.write(f'[rpc]\nsessions = ["{away}"]\n')
        listed = [s['path'] for s in self.rpc().call('session.list')['sessions']]
        self.assertNotIn(away, listed)
        self.perdure('config', 'trust', check=0, env={'XDG_STATE_HOME': self.scratch, 'HOME': self.scratch})
        self.assertIn(away, [s['path'] for s in self.rpc().call('session.list')['sessions']])

    def test_executors_are_listed_as_on_the_command_line(self):
        self.config('[executors.box]\ntype = "ssh"\nhost = "box.example"\n[executors.hpc]\ntype = "slurm"\nfolder = "/shared"\n'
                    '[executors.pod]\ntype = "ssh"\ntransport = ["podman", "exec", "-i", "x"]\n')
        os.makedirs(self.session)
        with open(os.path.join(self.session, 'perdure.toml'), 'w', encoding='utf-8') as f:
            f.write('[executors.odd]\ntype = "ssh"\nhost = "\\u001b[31mred"\n')
        executors = self.rpc().call('executors.list')['executors']
        self.assertEqual([(e['name'], e['type'], e['place'], e['trusted']) for e in executors],
                         [('box', 'ssh', 'box.example', True), ('hpc', 'slurm', '/shared', True), ('odd', 'ssh', '\x1b[31mred', False),
                          ('pod', 'ssh', 'podman exec -i x', True)])
        self.assertEqual(executors, json.loads(self.perdure('--json', 'executors', check=0).stdout))


if __name__ == '__main__':
    unittest.main()
