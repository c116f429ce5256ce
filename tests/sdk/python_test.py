#!/usr/bin/env python3
"""The Python module, in threads and in asyncio: what it does, and what it survives (V50)."""
import asyncio
import importlib.util
import inspect
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
from session import PERDURE, SOURCE, SessionTest, eventually  # noqa: E402

MODULE = os.path.join(SOURCE, 'sdk', 'python', 'perdure.py')
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location('perdure', MODULE)
perdure = importlib.util.module_from_spec(spec)
sys.modules['perdure'] = perdure
spec.loader.exec_module(perdure)


class SdkTest(SessionTest):
    def setUp(self):
        super().setUp()
        self.env = {**os.environ, 'XDG_CONFIG_HOME': self.config_home, 'XDG_STATE_HOME': self.scratch}

    def open(self, **kw):
        p = perdure.open(self.session, **{'binary': PERDURE, 'env': self.env, **kw})
        self.addCleanup(p.close)
        return p

    def kill(self, p):
        """Kills rpc, and waits until it was started again."""
        before = p.restarts
        os.kill(eventually(lambda: p.pid, 'a process'), signal.SIGKILL)
        eventually(lambda: p.restarts > before, 'started again')


class Sync(SdkTest):
    def test_a_task_from_start_to_end(self):
        with self.open(owner='me') as p:
            self.assertEqual(p.session, self.session)
            task = p.start('echo out; echo err >&2; exit 3', description='d', labels={'a': 'b'}, timeout_ms=60_000)
            self.assertEqual((task.info['owner'], task.info['labels'], task.info['timeoutMs']), ('me', {'a': 'b'}, 60000))
            ended = task.wait()
            self.assertEqual((ended.status, ended.info['exitCode'], ended.id), ('failed', 3, task.id))
            self.assertEqual(sorted(b''.join(task.output()).split()), [b'err', b'out'])
            self.assertEqual(p.list(filter={'status': ['failed']})[0].id, task.id)
            self.assertEqual(p.list(active=True), [])
            news = p.notifications()
            self.assertEqual(news[0]['tasks'], [task.id])
            p.acknowledge(news[0]['id'], via='told')
            self.assertEqual(p.notifications(), [])
            p.remove(task.id)
            with self.assertRaises(perdure.PerdureError) as refused:
                p.get(task.id)
            self.assertEqual((refused.exception.code, refused.exception.retryable), ('task.not_found', False))

    def test_argv_and_the_folder_of_the_caller(self):
        p = self.open()
        os.chdir(self.scratch)
        self.addCleanup(os.chdir, '/')
        task = p.start(['sh', '-c', 'pwd; printf "%s." "$@"', 'x', 'a b', 'c'])
        task.wait()
        self.assertEqual(task.text(), f'{self.scratch}\na b.c.')

    def test_output_is_followed_and_exact(self):
        p = self.open()
        task = p.start("printf 'a\\377'; sleep 0.2; printf '\\303\\274b'")
        self.assertEqual(b''.join(task.output(follow=True)), b'a\xff\xc3\xbcb')
        self.assertEqual(b''.join(task.output(at=2)), b'\xc3\xbcb')
        long = p.start('seq 1 200000')
        self.assertEqual(b''.join(long.output(follow=True)), ''.join(f'{n}\n' for n in range(1, 200001)).encode())
        self.assertEqual(long.text(tail_lines=2), '199999\n200000\n')

    def test_input_signals_and_deadlines(self):
        p = self.open()
        task = p.start('cat; exit 5', input='pipe', timeout_ms=50_000)
        task.write('grüße\n')
        self.assertEqual(task.extend(70_000).info['timeoutMs'], 70_000)
        task.write(b'\xff', eof=True)
        self.assertEqual(task.wait().info['exitCode'], 5)
        self.assertEqual(b''.join(task.output()), 'grüße\n'.encode() + b'\xff')
        other = p.start('echo up; exec sleep 60')
        other.wait(match='up')
        p.signal(other.id, signal.SIGINT)
        self.assertEqual(other.wait().info['signal'], signal.SIGINT)
        last = p.start('sleep 60')
        self.assertEqual(last.stop(reason='enough').info['stopReason'], 'enough')
        self.assertEqual(last.stop().info['stopReason'], 'enough', 'one that has ended is returned unchanged')

    def test_waits(self):
        p = self.open()
        slow, fast = p.start('echo ready; sleep 60'), p.start('exit 4')
        self.assertEqual(p.wait([slow.id, fast.id], mode='any').decisive.id, fast.id)
        self.assertTrue(p.wait(slow.id, match='^ready').met)
        waited = p.wait(slow.id, timeout_ms=20)
        self.assertEqual((waited.timed_out, waited.running[0].id), (True, slow.id))
        slow.stop()

    def test_questions(self):
        p = self.open()
        asked = p.ask([{'question': 'Which?', 'options': [{'label': 'a'}, {'label': 'b'}]}], deadline_ms=60_000)
        self.assertEqual(p.question(asked.id)['questions'][0]['question'], 'Which?')
        self.assertEqual(p.answer(asked.id, {'Which?': 'b'})['answer'], {'answers': {'Which?': 'b'}})
        self.assertEqual(p.answer(p.ask('Why?').id, dismiss=True, note='no')['answer']['note'], 'no')

    def test_events(self):
        p = self.open()
        events = p.events()
        task = p.start('echo bye')
        first, second = next(events), next(events)
        self.assertEqual([(e.type, e.task['taskId']) for e in (first, second)], [('task.started', task.id), ('task.terminated', task.id)])
        self.assertEqual(second.output_tail, 'bye\n')
        events.close()
        self.assertEqual(next(p.events(since=first.seq)).seq, second.seq)
        self.assertEqual([e.task['taskId'] for e in [next(p.events(since=0, filter={'ids': [task.id]}))]], [task.id])

    def test_errors(self):
        p = self.open()
        for code, call in (('task.not_found', lambda: p.stop('bash-00000000')), ('task.id_empty', lambda: p.get('')),
                           ('rpc.-32601', lambda: p.call('no.such')), ('rpc.-32602', lambda: p.call('task.get')),
                           ('task.launch_failed', lambda: p.start(['/no/such']))):
            with self.assertRaises(perdure.PerdureError) as refused:
                call()
            self.assertEqual(refused.exception.code, code)
        with self.assertRaises(perdure.PerdureError) as refused:
            perdure.open(self.session, binary='/no/such')
        self.assertEqual(refused.exception.code, 'connection.lost')
        before, os.environ['PATH'] = os.environ['PATH'], '/nowhere'
        given = os.environ.pop('PERDURE_BINARY', None)
        try:
            with self.assertRaises(perdure.PerdureError) as refused:
                perdure.open(self.session)
            self.assertEqual(refused.exception.code, 'binary.not_found')
        finally:
            os.environ['PATH'] = before
            if given:
                os.environ['PERDURE_BINARY'] = given

    def test_a_closed_client_says_so_and_ends_no_task(self):
        p = self.open()
        task = p.start('sleep 60')
        events, told = p.events(), []
        waiter = threading.Thread(target=lambda: told.append(list(events)))
        waiter.start()
        p.close()
        waiter.join(10)
        self.assertEqual(told, [[]])
        with self.assertRaises(perdure.PerdureError) as refused:
            p.get(task.id)
        self.assertEqual(refused.exception.code, 'connection.closed')
        again = self.open()
        self.assertEqual(again.get(task.id).status, 'running')
        again.stop(task.id)

    def test_over_a_socket(self):
        path = os.path.join(self.scratch, 's')
        server = subprocess.Popen([PERDURE, 'rpc', '--socket', path], env=self.env, stderr=subprocess.PIPE)
        try:
            self.assertIn(b'serving', server.stderr.readline())
            with self.open(socket=path) as p:
                self.assertEqual(p.start('exit 6').wait().info['exitCode'], 6)
                self.assertIsNone(p.pid)
        finally:
            server.terminate()
            server.wait()
            server.stderr.close()

    def test_the_example(self):
        done = subprocess.run([sys.executable, os.path.join(SOURCE, 'examples', 'python', 'agent_loop.py'), self.session], text=True,
                              env={**self.env, 'PERDURE_BINARY': PERDURE, 'PYTHONPATH': os.path.dirname(MODULE), 'PYTHONDONTWRITEBYTECODE': '1'},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(r"it printed: 'building\ndone\n'", done.stdout)
        self.assertEqual({t['status'] for t in self.json('list', '--all')}, {'failed', 'killed'})


class Killed(SdkTest):
    """V50: rpc is killed."""

    def test_reads_are_repeated_and_starts_are_not_doubled(self):
        p = self.open()
        task = p.start('sleep 60')
        self.kill(p)
        self.assertEqual(p.get(task.id).status, 'running')
        waited = []
        waiter = threading.Thread(target=lambda: waited.append(task.wait()))
        waiter.start()
        time.sleep(0.1)
        self.kill(p)
        task.stop()
        waiter.join(30)
        self.assertEqual(waited[0].status, 'killed')

    def test_events_go_on_without_a_gap(self):
        p = self.open()
        events = p.events()
        first = p.start('true')
        self.assertEqual(next(events).task['taskId'], first.id)
        self.finished(first.id)
        os.kill(p.pid, signal.SIGSTOP)  # nothing more comes from this one
        second = self.sh('true')
        self.finished(second)
        self.kill(p)
        told = [next(events) for _ in range(3)]
        self.assertEqual([(e.type, e.task['taskId']) for e in told],
                         [('task.terminated', first.id), ('task.started', second), ('task.terminated', second)])
        self.assertEqual(len({e.seq for e in told}), 3)

    def test_output_goes_on(self):
        p = self.open()
        task = p.start('for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done')
        got = b''
        for chunk in task.output(follow=True):
            got += chunk
            if got in (b'1\n', b'1\n2\n3\n'):
                self.kill(p)
        self.assertEqual(got, b'1\n2\n3\n4\n5\n6\n7\n8\n')

    def test_others_say_what_happened(self):
        p = self.open()
        stubborn = p.start('trap "" TERM; echo up; while :; do sleep 0.05; done', grace_ms=2_000)
        stubborn.wait(match='up')
        deaf = p.start('exec sleep 60', input='pipe')
        for call, retryable, uncertain in ((stubborn.stop, True, False), (lambda: deaf.write(b'x' * 1_000_000), False, True)):
            failed = []

            def run(call=call, failed=failed):
                try:
                    call()
                except perdure.PerdureError as error:
                    failed.append(error)
            caller = threading.Thread(target=run)
            caller.start()
            time.sleep(0.2)
            self.kill(p)
            caller.join(30)
            self.assertEqual([(e.code, e.retryable, e.uncertain) for e in failed], [('connection.lost', retryable, uncertain)])
        deaf.stop()
        self.assertEqual(stubborn.wait().status, 'killed')

    def test_a_server_that_can_not_be_started_again(self):
        binary = os.path.join(self.scratch, 'perdure')
        shutil.copy(PERDURE, binary)
        p = self.open(binary=binary)
        os.remove(binary)
        perdure._MOST_RESTARTS, before = 3, perdure._MOST_RESTARTS
        try:
            os.kill(p.pid, signal.SIGKILL)
            with self.assertRaises(perdure.PerdureError) as refused:
                p.list()
        finally:
            perdure._MOST_RESTARTS = before
        self.assertEqual((refused.exception.code, refused.exception.retryable), ('connection.lost', True))


class Async(SdkTest):
    def run_async(self, main):
        async def run():
            async with self.open() as p:
                await asyncio.wait_for(main(p), 60)
        asyncio.run(run())

    def test_the_same_in_asyncio(self):
        async def main(p):
            task = await p.astart('echo a; sleep 0.1; echo b; exit 2')
            got = b''
            async for chunk in task.aoutput(follow=True):
                got += chunk
            self.assertEqual(got, b'a\nb\n')
            ended = await task.await_()
            self.assertEqual((ended.status, ended.info['exitCode']), ('failed', 2))
            self.assertEqual([t.id for t in await p.alist()], [task.id])
            asked = await p.aask('Q?')
            self.assertEqual((await p.aanswer(asked.id, {'Q?': 'yes'}))['answer']['answers'], {'Q?': 'yes'})
            with self.assertRaises(perdure.PerdureError):
                await p.aget('bash-00000000')
            tasks = await asyncio.gather(*(p.astart(f'exit {n}') for n in range(5)))
            waited = await p.await_([t.id for t in tasks])
            self.assertEqual(sorted(t.info['exitCode'] for t in waited.ended), [0, 1, 2, 3, 4])
        self.run_async(main)

    def test_events_in_asyncio(self):
        async def main(p):
            async def watch():
                seen = []
                async for event in p.aevents(since=0):
                    seen.append(event.type)
                    if len(seen) == 4:
                        return seen
            watching = asyncio.ensure_future(watch())
            await (await p.astart('true')).await_()
            self.kill(p)
            await (await p.astart('true')).await_()
            self.assertEqual(await watching, ['task.started', 'task.terminated'] * 2)
        self.run_async(main)

    def test_cancelling_a_call_ends_no_task(self):
        async def main(p):
            task = await p.astart('sleep 60')
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(task.await_(), 0.05)
            self.assertEqual((await task.arefresh()).status, 'running')
            self.assertEqual((await task.astop()).status, 'killed')
        self.run_async(main)


class Surface(unittest.TestCase):
    def test_every_public_thing_is_documented_and_has_its_twin(self):
        methods = {name: f for name, f in vars(perdure.Perdure).items() if not name.startswith('_') and inspect.isfunction(f)}
        for name, method in methods.items():
            self.assertTrue(method.__doc__, name)
            if name != 'close' and not (name.startswith('a') and name not in ('answer', 'acknowledge', 'ask')):
                self.assertIn({'wait': 'await_'}.get(name, 'a' + name), methods)

    def test_the_oldest_python(self):
        """It compiles as Python 3.9 does, and runs on it where there is one."""
        old = shutil.which('python3.9')
        if old and subprocess.run([old, '--version'], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            subprocess.run([old, '-c', 'import sys; sys.dont_write_bytecode = True; import perdure'], check=True, cwd=os.path.dirname(MODULE))
        import ast
        with open(MODULE, encoding='utf-8') as f:
            ast.parse(f.read(), feature_version=(3, 9))


if __name__ == '__main__':
    unittest.main()
