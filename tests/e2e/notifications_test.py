"""Notifications (L15 L26 L32 L33 L35 L42 L45): what is delivered, to whom, how often, and what it says."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import FIXTURES, PERDURE, SessionTest, eventually, is_alive  # noqa: E402


class NotificationsTest(SessionTest):
    def news(self, *args, **kw):
        return self.json('notifications', *args, **kw)

    def told(self, *args, **kw):
        """Ids of the tasks that are told of."""
        return [task for one in self.news(*args, **kw) for task in one['tasks']]

    def ended(self, line='exit 0', *options):
        task = self.sh(line, *options)
        self.perdure('wait', task)
        return task

    def entries(self):
        return sorted(os.listdir(os.path.join(self.session, 'outbox')))

    def lose(self, *tasks):
        for task in tasks:
            os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)

    def waiter(self, *args):
        return subprocess.Popen([PERDURE, '--session', self.session, '--json', 'notifications', '--wait', *args],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def sleeps(self, process):
        """It waits for something, and is woken up by nothing."""
        def state():
            with open(f'/proc/{process.pid}/stat', encoding='utf-8') as f:
                asleep = f.read().rpartition(')')[2].split()[0] == 'S'
            with open(f'/proc/{process.pid}/wchan', encoding='utf-8') as f:
                return asleep and 'poll' in f.read()
        eventually(state, 'the waiter sleeps')

    # What is told, and how often

    def test_L32_an_ending_is_told_until_it_is_acknowledged(self):
        task = self.ended('exit 3')
        self.assertEqual(self.entries(), [task])
        self.assertEqual(self.told(), [task])
        self.assertEqual(self.told(), [task], 'looking acknowledges nothing')
        self.assertNotIn('notifiedAt', self.record(task))
        self.assertEqual(self.told('--ack'), [task])
        record = self.record(task)
        self.assertGreaterEqual(record['notifiedAt'], record['endedAt'])
        self.assertEqual(record['notifiedVia'], 'cli')
        self.assertEqual(self.entries(), [])
        self.assertEqual(self.told(), [])

    def test_L32_a_running_task_is_no_news(self):
        task = self.sh('sleep 100')
        self.assertEqual(self.news(), [])
        error = self.json('notifications', 'ack', task, check=2)
        self.assertEqual(error['error']['code'], 'usage')
        self.perdure('stop', task, check=0)

    def test_L32_each_owner_hears_of_its_own_tasks(self):
        mine, yours = (self.ended('exit 0', '--owner', owner) for owner in ('me', 'you'))
        nobodys = self.ended()
        self.assertEqual(self.told('--owner', 'me'), [mine])
        self.assertEqual(self.told('--owner', 'you', '--ack'), [yours])
        self.assertEqual(self.told('--owner', 'stranger'), [])
        self.assertEqual(sorted(self.told()), sorted([mine, nobodys]))

    def test_L32_claiming_and_acknowledging_are_two_steps(self):
        task = self.ended()
        first = self.news('--claim')
        self.assertEqual(first[0]['id'], f'task:{task}:completed')
        self.assertEqual(self.news('--claim'), [], 'somebody is at it')
        self.assertEqual(self.news('--ack'), [], 'somebody is at it')
        self.assertEqual(self.told(), [task], 'not told yet')
        self.assertEqual(self.json('notifications', 'ack', first[0]['id']), {'acknowledged': [first[0]['id']]})
        stamp = self.record(task)['notifiedAt']
        self.assertEqual(self.news(), [])
        self.perdure('notifications', 'ack', task, check=0)
        self.assertEqual(self.record(task)['notifiedAt'], stamp, 'acknowledging again changes nothing')

    def test_L32_a_lease_that_is_over_leaves_it_to_others(self):
        task = self.ended()
        self.assertEqual(self.told('--claim', '--lease', '300ms'), [task])
        self.assertEqual(self.told('--claim', '--wait', '--timeout', '30s'), [task])

    def test_L32_what_could_not_be_written_is_not_acknowledged(self):
        task = self.ended()
        for form in ('text', 'json', 'xml'):
            with open('/dev/full', 'wb') as full:
                done = subprocess.run([PERDURE, '--session', self.session, 'notifications', '--ack', '--format', form],
                                      stdout=full, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertNotIn('notifiedAt', self.record(task))
        self.assertEqual(self.told('--ack'), [task], 'the claim ended with the program')

    def test_L32_an_unknown_id_is_named_and_the_others_are_acknowledged(self):
        task = self.ended()
        for wrong in ('bash-00000000', f'task:{task}:failed', 'task:bash-00000000:completed'):
            self.assertEqual(self.json('notifications', 'ack', wrong, check=1)['error']['code'], 'task.not_found')
        for wrong in ('', 'task:x', f'task:{task}', f'lost:{task}+', '../x'):
            self.assertIn(self.json('notifications', 'ack', wrong, check=2)['error']['code'],
                          ('task.id_invalid', 'task.id_empty'))
        self.assertNotIn('notifiedAt', self.record(task))
        self.perdure('notifications', 'ack', 'bash-00000000', task, check=1)
        self.assertIn('notifiedAt', self.record(task))
        self.assertEqual(self.entries(), [])

    def test_L32_a_crash_between_the_steps_of_acknowledging_is_no_news(self):
        task = self.ended()
        self.perdure('notifications', 'ack', task, check=0)
        entry = os.path.join(self.session, 'outbox', task)
        with open(entry, 'w', encoding='utf-8'):
            pass
        self.assertEqual(self.news(), [])
        self.assertTrue(os.path.exists(entry), 'looking never writes')
        self.assertEqual(self.news('--claim'), [])
        self.assertFalse(os.path.exists(entry))

    def test_L19_an_acknowledgement_keeps_what_it_does_not_know(self):
        task = self.ended()
        with open(self.path(task), encoding='utf-8') as f:
            text = f.read().rstrip()[:-1] + ',"theirs":{"a":[1.50,"\\u00e9"]}}\n'
        with open(self.path(task) + '.new', 'w', encoding='utf-8') as f:
            f.write(text)
        os.rename(self.path(task) + '.new', self.path(task))
        self.perdure('notifications', 'ack', task, check=0)
        with open(self.path(task), encoding='utf-8') as f:
            self.assertIn('"theirs":{"a":[1.50,"\\u00e9"]}', f.read())

    def test_L38_other_programs_tasks_are_no_news_but_for_what_was_called_lost_here(self):
        for version in ('0.7.0/kill', '0.10.0/x-from-0.7.0-kill', '2.1.0/kill'):
            session = os.path.join(self.scratch, version.replace('/', '-'))
            shutil.copytree(os.path.join(FIXTURES, version), session)
            for args in ((), ('--claim',)):
                shown = self.perdure('--json', 'notifications', *args, check=0, session=session).stdout
                self.assertEqual(json.loads(shown), [])
            lost = [v for v in self.json('reconcile', session=session) if v['changed']]
            # What reconcile called lost is told, in one summary; what ended without us is not.
            self.assertEqual(len(self.json('notifications', '--ack', session=session)), 1 if lost else 0)
            self.assertEqual(self.json('notifications', session=session), [])
            ended = json.loads(self.perdure('--json', 'list', '--all', check=0, session=session).stdout)
            task = next(t['taskId'] for t in ended if t['status'] not in ('running', 'lost'))
            before = self.perdure('--json', 'show', task, session=session).stdout
            self.perdure('notifications', 'ack', task, check=0, session=session)
            self.assertEqual(self.perdure('--json', 'show', task, session=session).stdout, before)

    def test_L42_what_ended_in_the_foreground_is_no_news(self):
        task = self.ended()
        record = dict(self.record(task), detached=False)
        with open(self.path(task), 'w', encoding='utf-8') as f:
            json.dump(record, f)
        self.assertEqual(self.news(), [])
        self.assertEqual(self.news('--claim'), [])

    def test_L45_an_owners_own_stop_is_not_told_to_it_anybody_elses_is(self):
        for by, told in ((('--by', 'me'), False), (('--by', 'you'), True), ((), True)):
            task = self.sh('sleep 100', '--owner', 'me')
            self.perdure('stop', task, *by, check=0)
            self.assertEqual(self.told('--owner', 'me', '--ack'), [task] if told else [], by)
            self.assertEqual('notifiedAt' in self.record(task), told)
            self.assertEqual(self.record(task).get('terminalNotificationSuppressed', False), not told)
        self.assertEqual(self.entries(), [], 'L15: a stop of its own leaves nothing behind')

    def test_L32_a_queued_task_that_never_ran_is_told_of(self):
        failed = self.ended('exit 1')
        behind = self.sh('exit 0', '--after', failed)
        self.perdure('wait', behind)
        self.assertEqual(sorted(self.told('--ack')), sorted([failed, behind]))
        runs = self.sh('sleep 100')
        for by, told in (('me', False), ('you', True)):
            waits = self.sh('exit 0', '--after', runs, '--owner', 'me')
            self.perdure('stop', waits, '--by', by, check=0)
            self.assertEqual(self.told('--ack'), [waits] if told else [])
        for by, told in (('me', False), ('you', True)):
            waits = self.sh('exit 0', '--after', runs, '--owner', 'me')
            holder = os.path.join(self.tasks, waits, 'runner.lock')
            with open(holder, 'rb') as f:
                os.kill(int(f.read(32).split()[0]), signal.SIGKILL)
            self.perdure('stop', waits, '--by', by, check=0)
            self.assertEqual(self.told('--ack'), [waits] if told else [])
            self.assertEqual('notifiedAt' in self.record(waits), told)
        self.perdure('stop', runs, check=0)

    def test_L42_a_foreground_task_is_told_of_once_it_was_detached(self):
        self.perdure('run', '--foreground', '-c', 'exit 3', check=3)
        self.assertEqual(self.news(), [])
        done = self.perdure('run', '--foreground', '--on-timeout', 'detach', '--timeout', '100ms',
                            '-c', 'sleep 0.5; exit 4')
        task = done.stderr.split()[-1]
        self.assertEqual(self.perdure('wait', task).returncode, 4, done.stderr)
        self.assertEqual(self.told(), [task])

    def test_L45_what_the_end_of_the_session_stopped_is_not_told(self):
        task = self.sh('sleep 100', '--lifetime', 'session', '--owner', 'me')
        self.perdure('close', check=0)
        self.assertEqual(self.record(task)['status'], 'killed')
        self.assertEqual((self.news(), self.entries()), ([], []))

    # Waiting for news

    def test_L32_waiting_sleeps_until_something_ends(self):
        for wanted in ((), ('--claim',), ('--ack',), ('--ack', '--owner', 'me')):
            waiter = self.waiter(*wanted)
            self.sleeps(waiter)
            other = self.ended('exit 0', '--owner', 'you') if wanted[-1:] == ('me',) else None
            if other:
                self.sleeps(waiter)
            task = self.sh('sleep 0.1; exit 5', '--owner', 'me')
            out, err = waiter.communicate(timeout=60)
            self.assertEqual((waiter.returncode, [n['id'] for n in json.loads(out)]), (0, [f'task:{task}:failed']), err)
            self.perdure('notifications', 'ack', task, *([other] if other else []), check=0)

    def test_L32_a_waiter_hears_of_a_task_whose_runner_is_killed(self):
        before = self.sh('sleep 100')
        waiter = self.waiter('--ack')
        self.sleeps(waiter)
        self.lose(before)
        out, err = waiter.communicate(timeout=60)
        self.assertEqual([n['id'] for n in json.loads(out)], [f'task:{before}:lost'], err)
        waiter = self.waiter('--ack')
        self.sleeps(waiter)
        since = self.sh('sleep 100')
        self.lose(since)
        out, err = waiter.communicate(timeout=60)
        self.assertEqual([n['id'] for n in json.loads(out)], [f'task:{since}:lost'], err)

    def test_L32_a_task_that_is_lost_before_its_waiter_could_watch_its_runner(self):
        # The waiter is stopped from before the record comes until the runner is dead, as on a busy machine.
        for has_tasks in (False, True):
            waiter = self.waiter('--ack')
            self.sleeps(waiter)
            os.kill(waiter.pid, signal.SIGSTOP)
            self.assertEqual(os.path.exists(self.tasks), has_tasks)
            task = self.sh('sleep 100')
            self.lose(task)
            eventually(lambda: not is_alive(self.record(task)['runner']['pid']), 'the runner is dead')
            os.kill(waiter.pid, signal.SIGCONT)
            out, err = waiter.communicate(timeout=60)
            self.assertEqual([n['id'] for n in json.loads(out)], [f'task:{task}:lost'], err)

    @unittest.skipUnless(shutil.which('strace'), 'needs strace')
    def test_L32_without_watches_a_waiter_looks_once_a_second(self):
        self.sh('true')
        waiter = subprocess.Popen(
            ['strace', '-qq', '-f', '-o', '/dev/null', '-e', 'trace=inotify_add_watch',
             '-e', 'inject=inotify_add_watch:error=ENOSPC',
             PERDURE, '--session', self.session, '--json', 'notifications', '--wait', '--owner', 'other', '--ack'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        task = self.sh('sleep 100', '--owner', 'other')
        time.sleep(0.3)
        self.lose(task)
        out, err = waiter.communicate(timeout=60)
        self.assertEqual([n['id'] for n in json.loads(out)], [f'task:{task}:lost'], err)

    @unittest.skipUnless(shutil.which('strace'), 'needs strace')
    def test_L32_without_inotify_a_waiter_looks_once_a_second(self):
        for crashes in (False, True):
            task = self.sh('sleep 100')
            waiter = subprocess.Popen(
                ['strace', '-qq', '-o', '/dev/null', '-e', 'trace=inotify_init1',
                 '-e', 'inject=inotify_init1:error=EMFILE',
                 PERDURE, '--session', self.session, '--json', 'notifications', '--wait', '--ack'],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if crashes:
                self.lose(task)
            else:
                self.perdure('stop', task, check=0)
            out, err = waiter.communicate(timeout=60)
            self.assertEqual([n['tasks'] for n in json.loads(out)], [[task]], err)

    def test_L32_a_waiter_takes_over_from_a_claimer_that_dies(self):
        task = self.ended('head -c 300000 /dev/zero')
        # Its output goes nowhere, so that it hangs between claiming and acknowledging.
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        try:
            while True:
                os.write(write_end, b'x' * 65536)
        except BlockingIOError:
            os.set_blocking(write_end, True)
        claimer = subprocess.Popen([PERDURE, '--session', self.session, 'notifications', '--ack'],
                                   stdin=subprocess.DEVNULL, stdout=write_end, stderr=subprocess.DEVNULL)
        os.close(write_end)
        def hangs():
            with open(f'/proc/{claimer.pid}/wchan', encoding='utf-8') as f:
                return 'pipe' in f.read()
        eventually(hangs, 'it has claimed, and hangs')  # looking by a claim of our own would take it away from it
        waiter = self.waiter('--ack')
        self.sleeps(waiter)
        claimer.kill()
        claimer.wait()
        out, err = waiter.communicate(timeout=60)
        os.close(read_end)
        self.assertEqual([n['id'] for n in json.loads(out)], [f'task:{task}:completed'], err)

    def test_waiting_ends_with_its_time_and_with_an_interrupt(self):
        self.assertEqual(self.perdure('notifications', '--wait', '--timeout', '20ms').returncode, 75)
        self.assertFalse(os.path.exists(self.session), 'L47: looking makes nothing')
        waiter = self.waiter()
        self.sleeps(waiter)
        waiter.send_signal(signal.SIGINT)
        waiter.communicate(timeout=60)
        self.assertEqual(waiter.returncode, 130)

    def test_wrong_usage_says_so(self):
        for args in (('--lease', '1s'), ('--timeout', '1s'), ('--format', 'yaml'), ('x',), ('ack',),
                     ('--claim', '--lease', '0'), ('--ack', '--claim', '--lease', '1s')):
            self.assertEqual(self.perdure('notifications', *args).returncode, 2, args)

    # Waiting for tasks counts as being told

    def test_L33_what_wait_told_its_owner_is_not_told_again(self):
        task = self.sh('exit 4', '--owner', 'me')
        self.assertEqual(self.perdure('wait', task, '--owner', 'me').returncode, 4)
        self.assertEqual(self.record(task)['notifiedVia'], 'wait')
        self.assertEqual((self.news(), self.entries()), ([], []))
        more = [self.sh('exit 0', '--owner', 'me') for _ in range(3)]
        self.json('wait', *more, '--owner', 'me')
        self.assertEqual(self.news(), [])

    def test_L33_what_others_wait_for_is_told_all_the_same(self):
        task = self.sh('exit 0', '--owner', 'me')
        self.perdure('wait', task, check=0)
        error = self.json('wait', task, '--owner', 'you', check=1)
        self.assertEqual(error['error']['code'], 'task.not_found', 'L43')
        self.assertNotIn('notifiedAt', self.record(task))
        self.assertEqual(self.told('--owner', 'me'), [task])

    def test_L33_a_result_that_could_not_be_written_was_not_told(self):
        task = self.ended('exit 0', '--owner', 'me')
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([PERDURE, '--session', self.session, 'wait', task, '--owner', 'me'], stdout=full,
                                  stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.told('--owner', 'me'), [task])

    def test_L33_L43_without_ids_an_owner_waits_for_its_own(self):
        mine, yours = self.sh('exit 0', '--owner', 'me'), self.sh('sleep 100', '--owner', 'you')
        self.perdure('wait', '--owner', 'me', '--drain', check=0)
        self.assertEqual(self.record(mine)['status'], 'completed')
        self.assertEqual(self.record(yours)['status'], 'running')
        self.perdure('stop', yours, check=0)

    # After a crash

    def test_L32_a_lost_task_is_told_once(self):
        task = self.sh('sleep 100', '--owner', 'me')
        self.lose(task)
        eventually(lambda: self.perdure('reconcile', check=0) and self.record(task)['status'] == 'lost', 'it is lost')
        one, = self.news('--owner', 'me')
        self.assertEqual((one['id'], one['type'], one['severity']), (f'task:{task}:lost', 'task.lost', 'error'))
        self.assertEqual(self.told('--ack'), [task])
        self.perdure('reconcile', check=0)
        self.assertEqual(self.news(), [])

    def test_L32_after_a_reopen_one_summary_tells_what_was_lost(self):
        lost = [self.sh('sleep 100', '--owner', 'me', '--description', f'no. {n}') for n in range(5)]
        single = self.sh('sleep 100', '--owner', 'you')
        ended = self.ended('exit 0', '--owner', 'me')
        self.lose(*lost, single)
        runners = [self.record(t)['runner']['pid'] for t in (*lost, single)]
        eventually(lambda: not any(map(is_alive, runners)), 'the runners are gone')
        news = self.news('--claim', '--lease', '1ms')
        self.assertEqual(len(news), 3, 'settled by whoever asks')
        summary, = [n for n in news if n['type'] == 'tasks.lost']
        self.assertEqual((summary['owner'], summary['source_kind']), ('me', 'session'))
        self.assertEqual(sorted(summary['tasks']), sorted(lost))
        for n, task in enumerate(lost):
            self.assertIn(task, summary['body'])
            self.assertIn(f'no. {n}', summary['body'])
        xml.etree.ElementTree.fromstring(self.perdure('notifications', '--format', 'xml', '--owner', 'you').stdout)
        self.perdure('notifications', 'ack', summary['id'], check=0)
        for task in lost:
            self.assertIn('notifiedAt', self.record(task))
        self.assertEqual(sorted(self.told()), sorted([single, ended]), 'nothing else was acknowledged')
        self.perdure('notifications', 'ack', summary['id'], check=0)

    def test_L32_an_outcome_that_a_dead_runner_had_noted_is_told(self):
        task = self.sh("trap '' TERM; echo ready; while :; do sleep 0.05; done")
        eventually(lambda: b'ready' in self.log(task), 'the command runs')
        stop = subprocess.Popen(
            [PERDURE, '--session', self.session, 'stop', task, '--reason', 'enough', '--grace', '100'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lock = os.path.join(self.tasks, task, 'runner.lock')

        def decided():
            with open(lock, 'rb') as f:
                return b'stop' in f.read()
        eventually(decided, 'the decision is noted')
        self.lose(task)
        stop.wait()
        self.perdure('reconcile', check=0)
        one, = self.news()
        self.assertEqual((one['id'], one['reason']), (f'task:{task}:killed', 'enough'))
        self.assertTrue(self.record(task)['recovered'])

    # What it says

    def test_L35_it_tells_the_outcome_the_reason_and_the_output(self):
        task = self.ended('echo some output; exit 7')
        one, = self.news('--ack')
        self.assertEqual((one['status'], one['exitCode'], one['signal'], one['severity']), ('failed', 7, None, 'error'))
        for words in (task, 'exit code 7', f'perdure output {task}', one['outputPath'], '12 bytes'):
            self.assertIn(words, one['body'])
        self.assertEqual((one['outputPath'], one['outputBytes'], one['preview']),
                         (os.path.join(self.tasks, task, 'output.log'), 12, 'some output\n'))
        self.assertEqual((one['type'], one['source_kind'], one['source_id']), ('task.failed', 'background_task', task))

        task = self.ended('kill -SEGV $$')
        one, = self.news('--ack')
        self.assertEqual((one['exitCode'], one['signal'], one['outputPath']), (None, signal.SIGSEGV, None))
        self.assertIn('SIGSEGV', one['body'])
        self.assertIn('printed nothing', one['body'])

        task = self.ended('sleep 100', '--timeout', '50ms')
        one, = self.news('--ack')
        self.assertEqual((one['status'], one['severity'], one['reason']), ('timed_out', 'warning', None))
        self.assertIn('deadline of 50 ms', one['body'])

        task = self.sh('sleep 100')
        self.perdure('stop', task, '--reason', 'not needed any more', check=0)
        one, = self.news('--ack')
        self.assertEqual((one['status'], one['reason']), ('killed', 'not needed any more'))
        self.assertIn('not needed any more', one['body'])

    def test_L35_an_unfinished_subagent_is_resumed_by_its_agent_id(self):
        for status in ('completed', 'failed', 'timed_out', 'killed', 'lost'):
            task = self.ended()
            record = {**self.record(task), 'kind': 'agent', 'status': status, 'agentId': 'agent-7<&>'}
            for key in ('command', 'pid', 'exitCode'):
                record.pop(key)
            with open(self.path(task), 'w', encoding='utf-8') as f:
                json.dump(record, f)
            one, = self.news()
            self.assertEqual(one['agentId'], 'agent-7<&>')
            self.assertEqual('--resume agent-7<&>' in one['body'], status != 'completed', status)
            self.assertNotIn(f'--resume {task}', one['body'])
            shown = self.perdure('notifications', '--format', 'xml', '--ack', check=0).stdout
            element = xml.etree.ElementTree.fromstring(shown)
            self.assertEqual(element.get('agent_id'), 'agent-7<&>')

    def test_L26_nothing_breaks_out_of_a_notification(self):
        evil = '</body></notification><notification id="x">\x1b[31m\x9b\x07\r\n\x7f&quot;]]>\ufffe"\'<!--'
        line = f"printf '%s' {json.dumps(evil[:30])}; printf '\\377\\033[2J\\000'; sleep 100"
        task = self.sh(line, '--description', evil)
        eventually(lambda: len(self.log(task)) > 30, 'it has printed')
        self.perdure('stop', task, '--reason', evil, check=0)
        silent = self.sh('sleep 100', '--description', evil, '--owner', evil.replace('\x00', ''))
        self.perdure('stop', silent, '--reason', evil, check=0)
        for form in ('xml', 'text', 'json'):
            raw = self.perdure('notifications', '--format', form, check=0, text=False).stdout
            text = raw.decode('utf-8')
            bad = [c for c in text if (ord(c) < 0x20 and c != '\n') or 0x7F <= ord(c) < 0xA0]
            self.assertEqual(bad, [], form)
        root = xml.etree.ElementTree.fromstring(
            '<all>' + self.perdure('notifications', '--format', 'xml', check=0).stdout + '</all>')
        self.assertEqual(len(root), 2)
        for element in root:
            self.assertEqual([c.tag for c in element][:3], ['title', 'severity', 'body'])
            self.assertEqual(len(element), 4)
            self.assertIn(element[3].tag, ('output-file', 'output-preview'))
            self.assertEqual(set(element.keys()), {'id', 'category', 'type', 'source_kind', 'source_id'})
        first = root[0].find('output-file')
        self.assertEqual((first.get('path'), first.get('bytes')),
                         (os.path.join(self.tasks, task, 'output.log'), str(len(self.log(task)))))
        self.assertIn('</notification>', root[0].find('title').text)
        self.assertEqual(json.loads(self.perdure('notifications', '--format', 'json').stdout)[0]['reason'],
                         self.record(task)['stopReason'])

    # Retention

    def test_an_ending_goes_with_its_task(self):
        one, two = self.ended(), self.ended()
        self.perdure('remove', one, check=0)
        self.assertEqual(self.entries(), [two])
        self.assertEqual(self.told(), [two])

    def test_an_entry_without_a_task_is_ignored(self):
        self.ended()
        for name in ('bash-00000000', 'rubbish', '.bash-00000000.1.0.tmp'):
            with open(os.path.join(self.session, 'outbox', name), 'w', encoding='utf-8'):
                pass
        self.assertEqual(len(self.news('--ack')), 1)
        orphan = os.path.join(self.session, 'outbox', 'bash-00000000')
        self.perdure('gc', '--keep', '9', check=0)
        self.assertTrue(os.path.exists(orphan), 'it may be being made')
        os.utime(orphan, (1, 1))
        self.perdure('gc', '--keep', '9', check=0)
        self.assertFalse(os.path.exists(orphan))


if __name__ == '__main__':
    unittest.main()
