"""Questions as tasks: asked, answered from anywhere, dismissed, expired, withdrawn."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually, is_alive, processes_with  # noqa: E402


class QuestionTest(SessionTest):
    def ask(self, *args, **kw):
        return self.perdure('ask', *args, check=0, **kw).stdout.strip()

    def answers(self, task):
        return json.loads(self.log(task))['answers']

    def kill_runner(self, task):
        os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
        eventually(lambda: not processes_with('PERDURE_RUNNER=' + task), 'the runner is gone')

    def expect_closed(self, task, outcome, *args):
        done = self.perdure('--json', 'answer', task, *(args or ['too late']), check=1)
        error = json.loads(done.stdout)['error']
        self.assertEqual((error['code'], error['details']['outcome']), ('question.closed', outcome))


class Asking(QuestionTest):
    def test_without_a_deadline_no_process_lives_for_it(self):
        task = self.ask('Which colour?')
        self.assertEqual(processes_with('@' + self.session), [])
        record = self.record(task)
        self.assertEqual((record['kind'], record['status'], record['questionCount'], record['onDeadline']),
                         ('question', 'running', 1, 'wait'))
        self.assertNotIn('runner', record)
        self.assertEqual([t['taskId'] for t in self.json('list', '--kind', 'question')], [task])
        self.perdure('answer', task, 'green', check=0)
        self.assertEqual(self.log(task), b'{"answers":{"Which colour?":"green"}}\n')
        record = self.record(task)
        self.assertEqual((record['status'], record['questionOutcome'], record['outputBytes']), ('completed', 'answered', 38))
        self.assertEqual(sorted(os.listdir(os.path.join(self.tasks, task))), ['output.log', 'question.json'])

    def test_choices_by_number_by_label_or_in_own_words(self):
        for given, expected in ((['--choice', '2'], 'blue'), (['--choice', 'red'], 'red'), (['neither', 'of', 'them'], 'neither of them')):
            task = self.ask('Which?', '--choice', 'red=warm', '--choice', 'blue')
            self.perdure('answer', task, *given, check=0)
            self.assertEqual(self.answers(task), {'Which?': expected})
        task = self.ask('Which?', '--choice', 'a', '--choice', 'b', '--choice', 'c', '--multi')
        self.perdure('answer', task, '--choice', '1', '--choice', 'c', check=0)
        self.assertEqual(self.answers(task), {'Which?': 'a, c'})

    def test_several_questions_are_answered_together(self):
        questions = [{'question': 'Which "one"?', 'header': 'Größe', 'options': [{'label': 'S', 'description': 'small'}, {'label': 'L'}]},
                     {'question': 'Why?', 'default': 'because'},
                     {'question': 'Toppings?', 'multi_select': True, 'options': [{'label': 'x'}, {'label': 'y'}, {'label': 'z'}]}]
        task = self.ask('--questions', '-', stdin=None, input=json.dumps({'questions': questions}))
        self.assertEqual(self.record(task)['questionCount'], 3)
        shown = self.perdure('show', task, check=0).stdout
        for text in ('[Größe] Which "one"?', '1  S: small', '(default: because)', '(several may be chosen)'):
            self.assertIn(text, shown)
        self.perdure('answer', task, 'S', check=2)
        self.perdure('answer', task, '--json-answers', '{"Which \\"one\\"?":"S"}', check=2)
        self.perdure('answer', task, '--json-answers', '{"Which \\"one\\"?":"S","Toppings?":["x"],"What?":"no"}', check=2)
        self.assertEqual(self.record(task)['status'], 'running')
        self.perdure('answer', task, '--json-answers', '{"Which \\"one\\"?":"S","Toppings?":["x","z"]}', check=0)
        self.assertEqual(self.answers(task), {'Which "one"?': 'S', 'Why?': 'because', 'Toppings?': 'x, z'})
        self.assertEqual(self.json('show', task)['answer']['answers'], self.answers(task))

    def test_what_cannot_be_asked_asks_nothing(self):
        for args in ([], ['  '], ['Q', '--choice', 'one'], ['Q', '--choice', 'a', '--choice', 'a'], ['Q', '--header', 'thirteen chars'],
                     ['Q', *['--choice=%d' % n for n in range(5)]], ['Q', '--multi'], ['Q', '--on-deadline', 'expire'],
                     ['Q', '--deadline', '1s', '--on-deadline', 'default'], ['--questions', '/no/such/file'], ['--questions', '-'],
                     ['Q', '--default', ' ']):
            self.assertEqual(self.perdure('ask', *args).returncode, 2, args)
        for text in ('[]', '[{}]', '[1]', '{"questions":[{"question":"a"},{"question":"a"}]}', '[{"question":"a","x":1}]',
                     json.dumps([{'question': str(n)} for n in range(5)])):
            self.perdure('ask', '--questions', '-', stdin=None, input=text, check=2)
        self.assertFalse(os.path.exists(self.session))

    def test_ask_wait_prints_the_answer(self):
        asker = subprocess.Popen([PERDURE, '--session', self.session, 'ask', 'Which?', '--wait'], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        task = eventually(lambda: self.json('list'), 'it was asked')[0]['taskId']
        self.perdure('answer', task, 'this one', check=0)
        out, err = asker.communicate(timeout=30)
        self.assertEqual((out, asker.returncode), ('this one\n', 0))
        self.assertIn(f'perdure answer {task}', err)

    def test_a_dismissed_question_is_completed_without_answers(self):
        task = self.ask('Which?')
        self.perdure('answer', task, '--dismiss', '--note', 'not now', check=0)
        self.assertEqual(self.log(task), b'{"answers":{},"note":"not now"}\n')
        self.assertEqual((self.record(task)['status'], self.record(task)['questionOutcome']), ('completed', 'dismissed'))
        self.expect_closed(task, 'dismissed')

    def test_L13_L45_a_stop_withdraws_it_with_the_reason(self):
        for options in ([], ['--deadline', '600s']):
            task = self.ask('Which?', '--owner', 'main', *options)
            self.perdure('stop', task, '--reason', 'found out', '--by', 'main', check=0)
            record = self.record(task)
            self.assertEqual((record['status'], record['questionOutcome'], record['stopReason']), ('killed', 'withdrawn', 'found out'))
            self.assertTrue(record['terminalNotificationSuppressed'])
            self.assertEqual(self.json('stop', task, '--reason', 'again')[0]['stopReason'], 'found out')
            self.assertEqual(self.log(task), b'')
            self.expect_closed(task, 'withdrawn')

    def test_L16_close_withdraws_those_of_the_session(self):
        short, long = self.ask('Which?', '--lifetime', 'session'), self.ask('Which?')
        self.perdure('close', check=0)
        self.assertEqual((self.record(short)['questionOutcome'], self.record(long)['status']), ('withdrawn', 'running'))

    def test_L47_what_is_no_question_of_ours_is_not_answered(self):
        self.perdure('answer', 'question-00000000', 'x', check=1)
        self.assertFalse(os.path.exists(self.session))
        task = self.sh('true')
        self.assertIn('is not a question', self.perdure('answer', task, 'x', check=2).stderr)
        foreign = 'question-aaaaaaaa'
        with open(self.path(foreign), 'w', encoding='utf-8') as f:
            json.dump({'taskId': foreign, 'description': 'd', 'kind': 'question', 'status': 'running', 'startedAt': int(time.time() * 1000),
                       'endedAt': None, 'questionCount': 1}, f)
        self.assertIn('another program', self.perdure('answer', foreign, 'x', check=2).stderr)
        self.perdure('show', foreign, check=0)
        self.assertEqual(self.record(foreign)['status'], 'running')
        self.perdure('wait', task)

    def test_L26_nothing_of_it_reaches_the_terminal_as_a_command(self):
        evil = 'a\x1b]0;owned\x07b\x1b[2J\x9b5m'
        task = self.ask('--questions', '-', stdin=None,
                        input=json.dumps([{'question': evil, 'header': '\x1b[2J', 'options': [{'label': evil + 'x', 'description': evil}, {'label': 'y'}],
                                           'default': evil}]))
        master, slave = pty.openpty()
        shown = b''
        for args in (['show', task], ['list'], ['answer', task]):
            with subprocess.Popen([PERDURE, '--session', self.session, *args], stdin=slave, stdout=slave, stderr=slave,
                                  env={**os.environ, 'TERM': 'dumb'}) as process:
                if args[0] == 'answer':
                    os.write(master, b'1\n')
                self.assertEqual(process.wait(30), 0)
        while select.select([master], [], [], 0.2)[0]:
            shown += os.read(master, 65536)
        os.close(slave)
        os.close(master)
        self.assertNotRegex(shown.decode(), r'[\x1b\x07\x9b]')
        self.assertEqual(self.answers(task), {evil: evil + 'x'})


class Told(QuestionTest):
    def test_L32_every_end_is_told_to_its_owner(self):
        for options in ([], ['--deadline', '600s']):
            for end, outcome in ((['answer', '{}', 'x'], 'completed'), (['answer', '{}', '--dismiss'], 'completed'), (['stop', '{}'], 'killed')):
                task = self.ask('Which?', '--owner', 'main', *options)
                self.perdure(*[word.format(task) for word in end], check=0)
                news, = self.json('notifications', '--owner', 'main', '--format', 'json', '--ack')
                self.assertEqual((news['source_id'], news['status']), (task, outcome))
        task = self.ask('Which?', '--owner', 'main', '--deadline', '10ms')
        self.perdure('wait', task, check=124)
        self.assertEqual([n['status'] for n in self.json('notifications', '--owner', 'main', '--format', 'json', '--ack')], ['timed_out'])
        task = self.ask('Which?', '--owner', 'main')
        self.perdure('stop', task, '--by', 'main', check=0)
        self.assertEqual(self.json('notifications', '--owner', 'main', '--format', 'json'), [])

    def test_its_start_and_end_are_events(self):
        first, second = self.ask('Which?'), self.ask('Which?', '--deadline', '600s')
        for task in (first, second):
            self.perdure('answer', task, 'x', check=0)
        events = [json.loads(line) for line in self.perdure('events', '--since', '0', check=0).stdout.splitlines()]
        self.assertEqual([(e['type'], e['info']['taskId']) for e in events],
                         [('task.started', first), ('task.started', second), ('task.terminated', first), ('task.terminated', second)])
        self.assertEqual(events[0]['info'].get('questionOutcome'), None)
        self.assertEqual(events[2]['outputTail'], '{"answers":{"Which?":"x"}}\n')


class Terminal(QuestionTest):
    def test_on_a_terminal_it_is_asked(self):
        task = self.ask('--questions', '-', stdin=None, input=json.dumps([
            {'question': 'Size?', 'options': [{'label': 'S'}, {'label': 'L'}]}, {'question': 'Why?', 'default': 'because'},
            {'question': 'Extras?', 'multi_select': True, 'options': [{'label': 'x'}, {'label': 'y'}, {'label': 'z'}]}]))
        master, slave = pty.openpty()
        with subprocess.Popen([PERDURE, '--session', self.session, 'answer', task], stdin=slave, stdout=slave, stderr=slave) as process:
            for line in (b'\n', b'2\n', b'\n', b'1, z\n'):
                os.write(master, line)
            self.assertEqual(process.wait(30), 0)
        os.close(slave)
        os.close(master)
        self.assertEqual(self.answers(task), {'Size?': 'L', 'Why?': 'because', 'Extras?': 'x, z'})


class Waiting(QuestionTest):
    def waiter(self, *args):
        return subprocess.Popen([PERDURE, '--session', self.session, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def wakes(self, process):
        with open(f'/proc/{process.pid}/status', encoding='utf-8') as f:
            return int(re.search(r'\nvoluntary_ctxt_switches:\s*(\d+)', f.read())[1])

    def asleep(self, process):
        def look():
            with open(f'/proc/{process.pid}/wchan', encoding='utf-8') as f:
                return 'poll' in f.read()
        eventually(look, 'it sleeps')

    def test_a_wait_sleeps_until_the_answer(self):
        for options in ([], ['--deadline', '600s']):
            task = self.ask('Which?', *options)
            for verb in (['wait', task], ['output', task, '--follow']):
                with self.subTest(verb=verb[0], options=options):
                    process = self.waiter(*verb)
                    self.asleep(process)
                    before = self.wakes(process)
                    time.sleep(1.2)  # what would wake it once a second has to have its chance
                    self.assertLessEqual(self.wakes(process) - before, 1)
                    if verb[0] == 'wait':
                        process.kill()
                    else:
                        self.perdure('answer', task, 'x', check=0)
                        self.assertEqual(process.wait(30), 0)
                    process.communicate()
            self.perdure('wait', task, check=0)

    def test_many_wait_and_all_are_woken(self):
        task = self.ask('Which?')
        waiters = [self.waiter('wait', task) for _ in range(8)]
        for process in waiters:
            self.asleep(process)
        self.perdure('answer', task, 'x', check=0)
        for process in waiters:
            self.assertEqual(process.wait(30), 0)
            process.communicate()

    def test_two_answers_at_once_one_wins_and_the_other_is_told(self):
        for options in ([], ['--deadline', '600s']):
            for _ in range(8):
                task = self.ask('Which?', *options)
                done = {}
                def answer(n, task=task, done=done):
                    done[n] = self.perdure('--json', 'answer', task, str(n))
                threads = [threading.Thread(target=answer, args=(n,)) for n in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                won = [n for n, result in done.items() if result.returncode == 0]
                self.assertEqual(len(won), 1, {n: r.stdout for n, r in done.items()})
                self.assertEqual(self.answers(task), {'Which?': str(won[0])})
                for n, result in done.items():
                    if n != won[0]:
                        self.assertEqual(json.loads(result.stdout)['error']['code'], 'question.closed')
                self.assertEqual(sorted(os.listdir(os.path.join(self.tasks, task))), ['output.log', 'question.json'])

    def test_an_answer_that_is_given_but_not_written_down_closes_it_for_all_others(self):
        # The moment in which the loser of two answers found the question closed, then open, and was told of wrong usage.
        for options in ([], ['--deadline', '600s']):
            task = self.ask('Which?', *options)
            folder = os.path.join(self.tasks, task)
            with open(os.path.join(folder, 'runner.lock'), 'a', encoding='ascii') as lock:
                if not options:  # else its runner holds it
                    fcntl.lockf(lock, fcntl.LOCK_EX)
                with open(os.path.join(folder, 'output.log'), 'w', encoding='utf-8') as f:
                    f.write('{"answers":{"Which?":"this"}}\n')
                self.assertEqual(self.record(task)['status'], 'running')
                for words in (['that'], ['--json-answers', '{}'], ['--dismiss']):
                    done = self.perdure('--json', 'answer', task, *words, check=1)
                    error = json.loads(done.stdout)['error']
                    self.assertEqual((error['code'], error['details']['outcome']), ('question.closed', 'answered'), words)
            self.perdure('stop', task)
            self.assertEqual(self.answers(task), {'Which?': 'this'})


class Deadline(QuestionTest):
    def test_L08_it_expires_with_nobody_there(self):
        task = self.ask('Which?', '--deadline', '200ms')
        record = eventually(lambda: (r := self.record(task))['status'] != 'running' and r, 'its runner ends it')
        self.assertEqual((record['status'], record['questionOutcome'], record['timeoutMs']), ('timed_out', 'expired', 200))
        self.assertGreaterEqual(record['endedAt'] - record['startedAt'], 195)
        self.assertNotIn('stopReason', record)  # L46
        self.assertEqual(self.perdure('wait', task).returncode, 124)

    def test_L09_after_the_deadline_no_answer_is_taken(self):
        task = self.ask('Which?', '--deadline', '50ms')
        self.perdure('wait', task, check=124)
        self.expect_closed(task, 'expired')
        self.assertEqual(self.log(task), b'')

    def test_its_default_becomes_the_answer(self):
        task = self.ask('Which?', '--deadline', '50ms', '--default', 'that')
        self.perdure('wait', task, check=0)
        self.assertEqual(self.answers(task), {'Which?': 'that'})
        self.assertIn('default', json.loads(self.log(task))['note'])
        self.assertEqual(self.record(task)['questionOutcome'], 'answered')
        self.expect_closed(task, 'answered')

    def test_it_may_wait_on(self):
        task = self.ask('Which?', '--deadline', '1ms', '--on-deadline', 'wait')
        self.assertEqual(processes_with('@' + self.session), [])
        self.assertEqual(self.perdure('wait', task, '--timeout', '100ms').returncode, 75)
        self.perdure('answer', task, 'late', check=0)

    def test_L07_an_answer_leaves_nothing_of_the_deadline(self):
        task = self.ask('Which?', '--deadline', '600s')
        runner = self.record(task)['runner']['pid']
        self.assertTrue(is_alive(runner))
        self.perdure('answer', task, 'x', check=0)
        eventually(lambda: not is_alive(runner), 'the runner leaves')
        self.assertEqual(sorted(os.listdir(os.path.join(self.tasks, task))), ['output.log', 'question.json'])
        self.assertEqual(self.perdure('doctor').returncode, 0)

    def test_L01_questions_take_no_slot(self):
        cap = {'PERDURE_MAX_RUNNING_TASKS': '1'}
        one = self.ask('Which?', '--deadline', '600s', env=cap)
        task = self.run_task('-c', 'exit 3', env=cap)
        self.perdure('wait', task, check=3)
        self.perdure('stop', one, check=0)


class WithoutItsRunner(QuestionTest):
    """The runner was killed: the question is as open as before."""

    def test_it_goes_on_and_can_be_answered(self):
        task = self.ask('Which?', '--deadline', '600s')
        self.kill_runner(task)
        shown = self.json('show', task)
        self.assertEqual(shown['status'], 'running')
        self.assertNotIn('runnerGone', shown)
        self.assertNotIn('unverified', shown)
        self.perdure('reconcile', check=0)
        self.assertEqual(self.perdure('doctor').returncode, 0)
        waiter = subprocess.Popen([PERDURE, '--session', self.session, 'wait', task], stdout=subprocess.DEVNULL)
        self.perdure('answer', task, 'x', check=0)
        self.assertEqual(waiter.wait(30), 0)
        self.assertNotIn('recovered', self.record(task))
        self.assertEqual(sorted(os.listdir(os.path.join(self.tasks, task))), ['output.log', 'question.json'])

    def test_its_deadline_still_counts(self):
        late = {'--default': ('completed', 'answered'), '--label': ('timed_out', 'expired')}
        for option, outcome in late.items():
            for verb in ('wait', 'reconcile', 'answer', 'stop'):
                with self.subTest(option=option, verb=verb):
                    task = self.ask('Which?', '--deadline', '400ms', option, 'k=v')
                    self.kill_runner(task)
                    eventually(lambda t=task: self.json('show', t)['status'] != 'running', 'readers see that it is over')
                    self.assertEqual(self.record(task)['status'], 'running')  # reading writes nothing
                    args = {'wait': [task], 'answer': [task, 'x'], 'stop': [task], 'reconcile': []}[verb]
                    done = self.perdure('--json', verb, *args)
                    if verb == 'answer':
                        self.assertEqual(json.loads(done.stdout)['error']['code'], 'question.closed')
                    record = self.record(task)
                    self.assertEqual((record['status'], record['questionOutcome']), outcome, done)
                    self.assertEqual(record['endedAt'] - record['startedAt'], 400)
                    self.assertEqual(self.log(task) != b'', option == '--default')

    def test_a_wait_wakes_by_itself_at_its_deadline(self):
        task = self.ask('Which?', '--deadline', '700ms')
        self.kill_runner(task)
        self.assertEqual(self.perdure('wait', task).returncode, 124)

    def test_sigterm_to_the_runner_does_not_end_the_question(self):
        task = self.ask('Which?', '--deadline', '600s')
        runner = self.record(task)['runner']['pid']
        os.kill(runner, signal.SIGTERM)
        eventually(lambda: not is_alive(runner), 'the runner leaves')
        self.assertEqual(self.json('show', task)['status'], 'running')
        self.perdure('answer', task, 'x', check=0)

    def test_a_reboot_does_not_end_it(self):
        for options in ([], ['--deadline', '600s']):
            task = self.ask('Which?', *options)
            if options:
                self.kill_runner(task)
            record = self.record(task)
            self.assertNotIn('bootId', record)
            if os.path.exists(lock := os.path.join(self.tasks, task, 'runner.lock')):
                os.unlink(lock)  # as a file system that had not written it
            self.perdure('reconcile', check=0)
            self.assertEqual(self.record(task)['status'], 'running')
            self.perdure('answer', task, 'x', check=0)

    def test_an_answer_without_its_record_counts(self):
        task = self.ask('Which?')
        with open(os.path.join(self.tasks, task, 'output.log'), 'w', encoding='utf-8') as f:
            f.write('{"answers":{"Which?":"first"}}\n')
        self.assertEqual(self.json('show', task)['questionOutcome'], 'answered')
        self.assertEqual(self.record(task)['status'], 'running')
        self.expect_closed(task, 'answered', 'second')
        record = self.record(task)
        self.assertEqual((record['status'], record['questionOutcome'], record['recovered']), ('completed', 'answered', True))
        self.assertEqual(self.answers(task), {'Which?': 'first'})


if __name__ == '__main__':
    unittest.main()
