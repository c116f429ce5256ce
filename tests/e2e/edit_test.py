#!/usr/bin/env python3
"""A task that waits in the queue is changed before it starts, and started again over JSON-RPC (L05, I23, L61)."""
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest
from shlex import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'sdk', 'python'))
from rpc_client import Failed, Rpc  # noqa: E402
from session import PERDURE, SessionTest, eventually, processes_with  # noqa: E402


class EditTest(SessionTest):
    def setUp(self):
        super().setUp()
        self.env = {**os.environ, 'PERDURE_MAX_RUNNING_TASKS': '1', 'XDG_CONFIG_HOME': self.config_home}
        self.out = os.path.join(self.scratch, 'out')
        self.go = os.path.join(self.scratch, 'go')

    def blocker(self):
        return self.sh(f'until [ -e {quote(self.go)} ]; do sleep 0.01; done', env=self.env)

    def let_go(self):
        with open(self.go, 'w', encoding='utf-8'):
            pass

    def queued(self, text, *options):
        return self.sh(f'echo {text} >> {quote(self.out)}', '--queue', *options, env=self.env)

    def edit(self, *args, check=0):
        return self.perdure('edit', *args, check=check, env=self.env)

    def said(self):
        with open(self.out, encoding='utf-8') as f:
            return f.read().split()

    def entries(self):
        return sorted(n for n in os.listdir(os.path.join(self.session, 'queue')) if n.endswith('.json'))

    def runner_of(self, task):
        return eventually(lambda: processes_with(f'PERDURE_RUNNER={task}@'), 'its runner lives')[0]

    def drain(self):
        self.let_go()
        self.perdure('wait', '--drain', env=self.env)


class Edit(EditTest):
    def test_L05_another_command_runs_under_the_same_id(self):
        self.blocker()
        task = self.queued('old', '--owner', 'me', '--label', 'k=v')
        self.edit(task, '-c', f'echo new >> {quote(self.out)}; exit 5', '--timeout', '1h', '--memory-max', '1GiB', '--idle-timeout', '1h')
        waits = self.json('show', task)
        self.assertEqual((waits['status'], waits['queuePlace'], waits['owner'], waits['labels']), ('queued', 1, 'me', {'k': 'v'}))
        self.assertTrue(waits['command'].startswith('echo new'))
        self.assertTrue(waits['description'].startswith('echo new'))
        self.drain()
        ended = self.record(task)
        self.assertEqual((ended['status'], ended['exitCode'], ended['timeoutMs'], ended['memoryMax'], ended['idleTimeoutMs']),
                         ('failed', 5, 3_600_000, 1 << 30, 3_600_000))
        self.assertEqual(self.said(), ['new'])
        again = self.perdure('rerun', task, check=0, env=self.env).stdout.strip()
        self.finished(again)
        self.assertEqual(self.said(), ['new', 'new'], 'rerun starts what was changed')

    def test_L05_places(self):
        self.blocker()
        a, b, c, d = (self.queued(name) for name in 'abcd')
        self.edit(d, '--first')
        self.edit(a, '--priority', '5')
        self.edit(c, '--before', b)
        places = {t['taskId']: t.get('queuePlace') for t in self.json('list')}
        self.assertEqual((places[a], places[d], places[c], places[b]), (1, 2, 3, 4))
        self.assertEqual(len(self.entries()), 4)
        self.drain()
        self.assertEqual(self.said(), ['a', 'd', 'c', 'b'])

    def test_L05_one_that_follows_another(self):
        first = self.blocker()
        task = self.queued('x', '--after', first)
        self.edit(task, '--', 'sh', '-c', f'echo y >> {quote(self.out)}')
        self.assertIn('waits for another task first', self.edit(task, '--first', check=2).stderr)
        self.drain()
        self.assertEqual((self.record(task)['status'], self.said()), ('completed', ['y']))

    def test_L05_what_is_refused_leaves_it_as_it_is(self):
        blocker = self.blocker()
        task = self.queued('same')
        before = self.entries()
        for args, status in (((task,), 2), ((task, '-c', ''), 2), ((task, '--priority', '1000'), 2), ((task, '--first', '--priority', '1'), 2),
                             ((task, '--before', blocker), 2), ((task, '--before', task), 2), ((task, '--', '/no/such/program'), 127),
                             ((task, '--cpu-max', 'x'), 2), ((blocker, '-c', 'true'), 1), (('bash-00000000', '-c', 'true'), 1),
                             (('../x', '-c', 'true'), 2), ((task, '-c', 'true', '--', 'true'), 2), ((task, '--shell', '/bin/sh'), 2)):
            done = self.edit(*args, check=None)
            self.assertEqual(done.returncode, status, (args, done.stderr))
        self.assertEqual(self.entries(), before)
        self.drain()
        self.assertEqual(self.said(), ['same'])
        self.assertIn('does not wait in the queue', self.edit(task, '-c', 'true', check=1).stderr)

    def test_L51_an_entry_that_this_user_did_not_sign_is_not_signed_by_a_change(self):
        self.blocker()
        task = self.queued('mine')
        os.kill(self.runner_of(task), signal.SIGKILL)
        entry = os.path.join(self.session, 'queue', self.entries()[0])
        with open(entry, encoding='utf-8') as f:
            text = f.read()
        with open(entry, 'w', encoding='utf-8') as f:
            f.write(text.replace('"description":"echo', '"description":"fcho'))
        self.assertIn('has not signed it', self.edit(task, '--priority', '3', check=2).stderr)
        self.perdure('stop', task, env=self.env)
        self.drain()

    def test_L05_a_waiter_stays_and_hears_of_the_end(self):
        self.blocker()
        task = self.queued('x')
        with subprocess.Popen([PERDURE, '--session', self.session, 'wait', task], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.env) as waiter:
            time.sleep(0.3)
            self.edit(task, '-c', 'exit 9')
            self.drain()
            waiter.communicate(timeout=60)
            self.assertEqual(waiter.returncode, 9)

    def test_L05_killed_at_any_instant_it_is_all_or_nothing(self):
        for ms in range(0, 60, 5):
            blocker = self.blocker()
            task = self.queued('old')
            with subprocess.Popen([PERDURE, '--session', self.session, 'edit', task, '-c', f'echo new >> {quote(self.out)}'],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.env) as editor:
                time.sleep(ms / 1000)
                editor.kill()
            self.assertEqual(len(self.entries()), 1)
            self.perdure('reconcile', check=0, env=self.env)
            self.drain()
            self.assertEqual(self.finished(task)['status'], 'completed')
            self.finished(blocker)
            self.assertIn(self.said(), (['old'], ['new']))
            os.unlink(self.out)
            os.unlink(self.go)

    @unittest.skipUnless(shutil.which('strace'), 'needs strace')
    def test_L05_a_runner_that_is_started_from_what_was_before_an_edit_runs_nothing(self):
        self.blocker()
        task = self.queued('old')
        os.kill(self.runner_of(task), signal.SIGKILL)
        eventually(lambda: not processes_with(f'PERDURE_RUNNER={task}@'), 'its runner is dead')
        # It has read the entry, and starts the runner only when the delay is over.
        reviver = subprocess.Popen(['strace', '-qq', '-o', '/dev/null', '-e', 'trace=memfd_create', '-e', 'inject=memfd_create:delay_enter=4000000',
                                    PERDURE, '--session', self.session, 'reconcile', '--queue'], env=self.env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        eventually(lambda: self.is_held(reviver.pid) and (time.sleep(0.2) or self.is_held(reviver.pid)), 'it is delayed')
        self.edit(task, '-c', f'echo new >> {quote(self.out)}')
        os.kill(self.runner_of(task), signal.SIGKILL)  # else its lock alone would keep the other one out
        eventually(lambda: not processes_with(f'PERDURE_RUNNER={task}@'), 'its runner is dead')
        self.assertIsNone(reviver.poll(), 'the edit came too late')
        reviver.communicate(timeout=60)
        eventually(lambda: not processes_with(f'PERDURE_RUNNER={task}@'), 'the late runner has left')
        self.perdure('reconcile', '--queue', env=self.env, check=0)
        self.drain()
        self.assertEqual(self.said(), ['new'])

    @staticmethod
    def is_held(tracer):
        """Does its child stand in a call that strace delays?"""
        for name in os.listdir('/proc'):
            try:
                with open(f'/proc/{int(name)}/stat', encoding='utf-8') as f:
                    state, parent = f.read().rpartition(')')[2].split()[:2]
                if parent == str(tracer):
                    return state == 't'
            except (OSError, ValueError):
                pass
        return False

    def test_L05_many_editors_and_revivers_at_once_run_one_of_the_commands_once(self):
        self.blocker()
        task = self.queued('x')
        line = (f'{quote(PERDURE)} --session {quote(self.session)} edit {task} -c "echo $0 >> {quote(self.out)}" >/dev/null 2>&1; '
                f'{quote(PERDURE)} --session {quote(self.session)} reconcile >/dev/null 2>&1')
        editors = [subprocess.Popen(['/bin/sh', '-c', f'for i in 1 2 3; do {line}; done', str(n)], env=self.env) for n in range(4)]
        for editor in editors:
            editor.wait(timeout=120)
        self.drain()
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertEqual(len(self.said()), 1, self.said())
        self.assertIn(self.said()[0], '0123')


class OverRpc(EditTest):
    def rpc(self):
        rpc = Rpc(self.session, env=self.env)
        self.addCleanup(rpc.__exit__)
        return rpc

    def refused(self, code, rpc, method, **params):
        with self.assertRaises(Failed) as refused:
            rpc.call(method, **params)
        self.assertEqual(refused.exception.data.get('code', refused.exception.code), code, refused.exception.error)

    def test_I23_rerun(self):
        rpc = self.rpc()
        first = rpc.call('task.start', command='echo "$A"; exit 3', env={'A': 'secret'}, labels={'k': 'v'})['task']['taskId']
        rpc.call('task.wait', ids=[first])
        started = rpc.call('task.rerun', id=first, idempotencyKey='once')
        again = started['task']['taskId']
        self.assertNotEqual(again, first)
        self.assertNotIn('existing', started)
        ended = rpc.call('task.wait', ids=[again])['ended'][0]
        self.assertEqual((ended['exitCode'], ended['labels'], self.log(again)), (3, {'k': 'v'}, b'secret\n'))
        repeated = rpc.call('task.rerun', id=first, idempotencyKey='once')
        self.assertEqual((repeated['task']['taskId'], repeated['existing']), (again, True))
        for code, params in (('task.not_found', {'id': 'bash-00000000'}), ('task.id_invalid', {'id': '../x'}), ('task.id_empty', {'id': ''}),
                             (-32602, {}), (-32602, {'id': 3}), (-32602, {'id': first, 'ifRunning': 'maybe'}),
                             (-32602, {'id': first, 'priority': 1000}), ('usage', {'id': first, 'idempotencyKey': ''})):
            self.refused(code, rpc, 'task.rerun', **params)

    def test_I23_rerun_of_a_live_task(self):
        rpc = self.rpc()
        live = rpc.call('task.start', command='sleep 600', name='dev')['task']['taskId']
        self.refused('task.limit_exceeded', rpc, 'task.rerun', id=live)
        same = rpc.call('task.rerun', id=live, ifRunning='return')
        self.assertEqual((same['task']['taskId'], same['existing'], same['sameCommand']), (live, True, True))
        other = rpc.call('task.rerun', id=live, ifRunning='replace', queue=True)['task']
        self.assertEqual((other['name'], self.record(live)['stopReason']), ('dev', f'Replaced by {other["taskId"]}'))
        rpc.call('task.stop', id=other['taskId'])

    def test_L61_several_predecessors(self):
        rpc = self.rpc()
        one, two, bad = (rpc.call('task.start', command=c, queue=True)['task']['taskId'] for c in ('true', 'true', 'exit 1'))
        follows = rpc.call('task.start', command='true', after=[one, two], afterAny=bad)['task']
        self.assertEqual(follows['after'], f'{one} {two} ~{bad}')
        killed = rpc.call('task.start', command='true', after=[one, bad])['task']['taskId']
        alone = rpc.call('task.start', command='true', after=one)['task']['taskId']
        ended = {t['taskId']: t['status'] for t in rpc.call('task.wait', ids=[follows['taskId'], killed, alone])['ended']}
        self.assertEqual(ended, {follows['taskId']: 'completed', killed: 'killed', alone: 'completed'})
        for code, after in (('task.not_found', ['bash-00000000']), ('task.id_invalid', [one, '../x']), (-32602, [1]), (-32602, 7),
                            (-32602, {}), ('usage', [one] * 65), ('task.id_empty', '')):
            self.refused(code, rpc, 'task.start', command='true', after=after)

    def test_I30_restart_and_names(self):
        rpc = self.rpc()
        task = rpc.call('task.start', command='exit 1', restart='on-failure', restartMax=1, restartDelayMs=10)['task']
        ended = rpc.call('task.wait', ids=[task['taskId']])['ended'][0]
        self.assertEqual((ended['restart'], ended['restartMax'], ended['attempts']['count']), ('on-failure', 1, 2))
        for params in ({'restart': 'maybe'}, {'restart': 'always', 'restartMax': -1}):
            self.refused(-32602, rpc, 'task.start', command='true', **params)
        for params in ({'restartMax': 3}, {'ifRunning': 'refuse'}, {'name': 'bash-00000000'}, {'stopSignal': 'NONE'}):
            self.refused('usage', rpc, 'task.start', command='true', **params)

    def test_L05_edit(self):
        rpc = self.rpc()
        self.blocker()
        task, other = self.queued('a'), self.queued('b')
        edited = rpc.call('task.edit', id=other, argv=['sh', '-c', f'echo c >> {quote(self.out)}'], first=True, timeoutMs=60_000)['task']
        self.assertEqual((edited['status'], edited['queuePlace']), ('queued', 1))
        for code, params in (('task.not_found', {'id': 'bash-00000000'}), (-32602, {'id': task, 'priority': 'high'}),
                             ('usage', {'id': task, 'argv': ['a'], 'command': 'b'}), ('usage', {'id': task, 'command': 'a\0b'}),
                             ('task.id_invalid', {'id': task, 'before': '../x'}), ('task.launch_failed', {'id': task, 'argv': ['/no/such']})):
            self.refused(code, rpc, 'task.edit', **params)
        self.drain()
        self.assertEqual(self.said(), ['c', 'a'])
        self.refused('task.not_running', rpc, 'task.edit', id=task, command='true')

    def test_V50_python(self):
        import perdure
        with perdure.open(self.session, binary=PERDURE, env=self.env) as p:
            first = p.start('exit 4').wait()
            again = p.rerun(first.id).wait()
            self.assertEqual((again.info['exitCode'], again.id != first.id), (4, True))
            self.blocker()
            waits = p.start(f'echo a >> {quote(self.out)}', queue=True)
            self.assertEqual(waits.edit(f'echo z >> {quote(self.out)}', priority=9).status, 'queued')
            after = p.start('true', after=[waits.id], after_any=[first.id])
            self.let_go()
            self.assertEqual((waits.wait().status, after.wait().status, self.said()), ('completed', 'completed', ['z']))
            self.assertEqual(p.start('exit 1', restart='on-failure', restart_max=1, restart_delay_ms=1).wait().info['attempts']['count'], 2)


if __name__ == '__main__':
    unittest.main(verbosity=2)
