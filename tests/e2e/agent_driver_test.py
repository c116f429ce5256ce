"""What the driver of a subagent does with whatever an agent sends, asks and breaks."""
import json
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from agent_case import AgentTest, eventually  # noqa: E402
from session import is_alive, processes_with  # noqa: E402

MOST_ACTIVITY = 8 << 20


class Outcomes(AgentTest):
    def outcome(self, prompt, *options, **kw):
        task = self.agent(prompt, *options, **kw)
        record = self.finished(task)
        return record['status'], record.get('stopCode'), record.get('stopReason', '')

    def test_a_turn_that_ends_is_completed_with_its_usage_and_its_message(self):
        task = self.agent('say hello world')
        record = self.finished(task)
        self.assertEqual((record['status'], record['usage'], record['model']),
                         ('completed', {'totalTokens': 30, 'inputTokens': 20, 'outputTokens': 10}, 'small'))
        self.assertNotIn('stopReason', record)
        self.assertEqual(self.log(task), b'hello world\n')

    def test_L51_a_profile_with_a_home_of_its_own_adds_no_note_to_the_output(self):
        # What is trusted is known to the user's own home only; the driver runs with the profile's.
        self.configure(mock={'XDG_CONFIG_HOME': self.scratch, 'HOME': self.scratch})
        task = self.agent('say hello')
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertEqual(self.log(task), b'hello\n')

    def test_every_other_stop_reason_is_a_failure_with_its_code(self):
        self.assertEqual(self.outcome('refuse')[:2], ('failed', 'refusal'))
        self.assertEqual(self.outcome('max-tokens')[:2], ('failed', 'max_tokens'))
        status, code, reason = self.outcome('fail')
        self.assertEqual((status, code, reason), ('failed', 'acp.-32603', 'the model is not there'))

    def test_a_crash_in_mid_turn_says_how_and_what_it_said_last(self):
        status, code, reason = self.outcome('crash')
        self.assertEqual((status, code), ('failed', 'acp.gone'))
        self.assertIn('exit code 7', reason)
        self.assertIn('about to crash', reason)

    def test_garbage_is_quoted_in_the_reason(self):
        status, code, reason = self.outcome('garbage sleep 300')
        self.assertEqual((status, code), ('failed', 'acp.protocol'))
        self.assertIn('Segmentation fault, maybe', reason)

    def test_an_end_that_comes_after_garbage_does_not_count(self):
        self.assertEqual(self.outcome('garbage say done')[:2], ('failed', 'acp.protocol'))

    def test_a_child_that_holds_its_streams_open_does_not_hold_its_end(self):
        task = self.agent('child say done', '--grace', '1s')
        record = self.finished(task)
        self.assertEqual((record['status'], self.log(task)), ('completed', b'done\n'))
        self.assertLess(record['endedAt'] - record['startedAt'], 8_000)
        eventually(lambda: not processes_with('@' + self.session), 'nothing of it stays')

    def test_an_agent_that_reads_nothing_does_not_hold_the_driver_without_a_runner(self):
        self.configure(mock={'ACP_HANG': 'reading'})
        task = self.agent('x' * 100_000)
        self.await_activity(task, 'prompt')
        driver = self.record(task)['pid']
        os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
        eventually(lambda: not is_alive(driver), 'the driver leaves')
        self.assertEqual(self.finished(task)['status'], 'lost')

    def test_what_is_no_agent_at_all(self):
        self.configure(mock={'command': ['/bin/sh', '-c', 'echo no such option --acp; exit 2']})
        self.assertIn('no such option --acp', self.outcome('x')[2])
        self.configure(mock={'command': ['/bin/sh', '-c', 'echo broken >&2; exit 3']})
        status, _, reason = self.outcome('x')
        self.assertEqual(status, 'failed')
        self.assertIn('exit code 3', reason)
        self.assertIn('broken', reason)
        self.configure(mock={'ACP_VERSION': '2'})
        self.assertIn('version 2', self.outcome('x')[2])

    def test_a_deadline_holds_while_the_agent_does_not_even_answer(self):
        for method in ('initialize', 'new'):
            self.configure(mock={'ACP_HANG': method})
            task = self.agent('x', '--timeout', '2s', '--grace', '20s')
            record = self.finished(task)
            self.assertEqual(record['status'], 'timed_out')
            self.assertLess(record['endedAt'] - record['startedAt'], 15_000, 'the driver leaves on its own')

    def test_L14_an_error_after_our_own_cancel_is_the_cancel(self):
        for words in ('late-error sleep 300', 'late-refusal sleep 300', 'late-end sleep 300', 'sleep 300'):
            with self.subTest(words):
                task = self.agent(words)
                self.await_activity(task, 'prompt')
                self.perdure('stop', task, '--reason', 'enough')
                record = self.finished(task)
                expected = {'late-refusal': ('failed', 'The agent refused to go on'), 'late-end': ('completed', None)}
                self.assertEqual((record['status'], record.get('stopReason')),
                                 expected.get(words.split()[0], ('killed', 'enough')))
                if words.startswith('late-error'):
                    told = [one for one in self.activity(task) if one['type'] == 'error']
                    self.assertEqual([one['text'] for one in told], ['it broke'])

    def test_L14_a_stop_during_the_handshake_is_a_stop(self):
        for method in ('initialize', 'new'):
            self.configure(mock={'ACP_HANG': method})
            task = self.agent('x')
            eventually(lambda t=task: is_alive(self.record(t)['pid']), 'the driver runs')
            self.perdure('stop', task, '--reason', 'enough')
            record = self.finished(task)
            self.assertEqual((record['status'], record['stopReason']), ('killed', 'enough'))

    def test_authentication_is_done_or_its_absence_explained(self):
        self.configure(mock={'ACP_AUTH': 'api-key'})
        status, code, reason = self.outcome('say x')
        self.assertEqual((status, code), ('failed', 'acp.-32000'))
        self.assertIn('[agents.mock]', reason)
        self.assertIn('api-key', reason)
        self.configure(mock={'ACP_AUTH': 'api-key', 'config': 'auth = "api-key"'})
        self.assertEqual(self.outcome('say x')[0], 'completed')

    def test_mode_and_model_are_set_or_what_there_is_is_said(self):
        self.configure(mock={'config': 'mode = "code"\nmodel = "big"'})
        task = self.agent('say x')
        record = self.finished(task)
        self.assertEqual((record['status'], record['model']), ('completed', 'big'))
        with open(self.store, encoding='utf-8') as f:
            kept = json.load(f)[record['agentId']]
        self.assertEqual((kept['mode'], kept['model']), ('code', 'big'))
        self.assertIn('small, big', self.outcome('say x', '--model', 'huge')[2])
        self.assertIn('ask, code', self.outcome('say x', '--mode', 'yolo')[2])

    def test_loading_replays_nothing_into_the_output_or_the_activity(self):
        self.configure(mock={'ACP_CAPS': 'load'})
        task = self.agent('say first words')
        agent_id = self.agent_id(task)
        self.finished(task)
        again = self.agent('say second words', '--resume', agent_id, agent=None)
        self.finished(again)
        self.assertEqual(self.log(again), b'second words\n')
        self.assertNotIn('first', json.dumps(self.activity(again)))


class Asked(AgentTest):
    def test_policies_answer_by_kind_and_once_where_they_can(self):
        for policy, options, kind in (('allow', 'A,a,r', 'allow_once'), ('allow', 'A,r', 'allow_always'), ('deny', 'a,R,r', 'reject_once'),
                                      ('deny', 'a,R', 'reject_always'), ('deny', 'a', 'cancelled'), ('allow', 'r', 'cancelled')):
            with self.subTest(policy=policy, options=options):
                task = self.agent(f'options {options} permission', '--permission', policy)
                self.assertEqual(self.finished(task)['status'], 'completed')
                self.assertEqual(self.log(task).decode().strip(), f'permission {kind}')
                self.assertEqual(self.activity(task, 'permission')[0]['decided_by'], 'policy')

    def question(self):
        return eventually(lambda: self.json('list', '--kind', 'question'), 'the question')[0]

    def test_the_owner_is_asked_and_its_answer_goes_to_the_subagent(self):
        for answer, kind in (('allow once', 'allow_once'), ('reject once', 'reject_once'), ('yes', 'allow_once'), ('never!', 'reject_once')):
            with self.subTest(answer):
                task = self.agent('permission', '--owner', 'me')
                question = self.question()
                self.assertEqual(question['owner'], 'me')
                self.assertIn('Delete everything', question['description'])
                self.perdure('answer', question['taskId'], answer, check=0)
                self.assertEqual(self.finished(task)['status'], 'completed')
                self.assertEqual(self.log(task).decode().strip(), f'permission {kind}')
                self.assertEqual(self.activity(task, 'permission')[0]['decided_by'], question['taskId'])
                self.assertEqual(self.activity(task, 'question')[0]['id'], question['taskId'])
                # Who has answered needs no news of it.
                self.assertEqual([n['source_id'] for n in self.json('notifications', '--format', 'json')], [task])
                self.perdure('notifications', 'ack', task, check=0)

    def test_A1_the_question_shows_everything_that_the_agent_sent_of_what_it_wants_to_do(self):
        task = self.agent('permission-content')
        question = eventually(lambda: self.json('list', '--kind', 'question'), 'it asks')[0]['taskId']
        shown = self.perdure('show', question, check=0).stdout
        for words in ('Bash (execute)', 'Running: rm -rf /precious', '/etc/hosts, from line 2:', '- b', '+ c', '/etc/passwd:7'):
            self.assertIn(words, shown)
        self.perdure('answer', question, 'no', check=0)
        self.finished(task)
        self.assertEqual(self.log(task).decode().strip(), 'permission reject_once')

    def test_options_that_share_a_name_can_be_told_apart(self):
        task = self.agent('options A,A,a,r,R permission')
        shown = self.json('show', self.question()['taskId'])
        labels = [o['label'] for o in shown['questions'][0]['options']]
        self.assertEqual(len(set(labels)), len(labels))
        self.assertLessEqual(len(labels), 4)
        self.perdure('answer', shown['taskId'], 'reject always', check=0)
        self.finished(task)
        self.assertEqual(self.log(task).decode().strip(), 'permission reject_always')

    def test_nobody_answers_and_a_dismissal_are_a_no(self):
        task = self.agent('permission', '--permission-timeout', '1s')
        self.finished(task)
        self.assertEqual(self.log(task).decode().strip(), 'permission reject_once')
        task = self.agent('permission')
        self.perdure('answer', self.question()['taskId'], '--dismiss', check=0)
        self.finished(task)
        self.assertEqual(self.log(task).decode().strip(), 'permission reject_once')

    def test_a_question_is_withdrawn_with_its_subagent(self):
        for how in ('stop', 'deadline', 'kill'):
            with self.subTest(how):
                task = self.agent('permission', *(['--timeout', '3s'] if how == 'deadline' else []))
                question = self.question()['taskId']
                if how == 'stop':
                    self.perdure('stop', task, check=0)
                if how == 'kill':
                    os.kill(self.record(task)['pid'], signal.SIGKILL)
                record = self.finished(task)
                self.assertEqual(record['status'], {'stop': 'killed', 'deadline': 'timed_out', 'kill': 'failed'}[how])
                ended = self.finished(question)
                self.assertEqual((ended['status'], ended['questionOutcome']), ('killed', 'withdrawn'))
                self.assertEqual(self.log(task), b'')

    def test_a_form_is_a_question_too(self):
        task = self.agent('elicit')
        self.perdure('answer', self.question()['taskId'], 'dev', check=0)
        self.finished(task)
        self.assertEqual(json.loads(self.log(task)), {'action': 'accept', 'content': {'branch': 'dev'}})
        task = self.agent('elicit', '--permission', 'deny')
        self.finished(task)
        self.assertEqual(json.loads(self.log(task)), {'action': 'decline'})

    def test_files_are_confined_to_its_folder(self):
        with open(os.path.join(self.work, 'a.txt'), 'w', encoding='ascii') as f:
            f.write('one\ntwo\nthree\n')
        task = self.agent('fs')
        self.finished(task)
        self.assertEqual(json.loads(self.log(task)), [{'content': 'two\n'}, True, True, True])
        with open(os.path.join(self.work, 'deep', 'b.txt'), encoding='ascii') as f:
            self.assertEqual(f.read(), 'new')
        self.assertFalse(os.path.exists(os.path.join(self.scratch, 'c.txt')))

    def test_terminals_are_tasks(self):
        task = self.agent('terminal')
        self.finished(task)
        ended, output, gone, killed = json.loads(self.log(task))
        self.assertEqual((ended, gone), ({'exitCode': 3, 'signal': None}, True))
        self.assertEqual(output, {'output': 'hi\n', 'truncated': False, 'exitStatus': ended})
        self.assertEqual(killed['signal'], 'SIGTERM')
        eventually(lambda: not processes_with('@' + self.session), 'nothing of it stays, runners included')


class Streams(AgentTest):
    def test_who_holds_its_output_open_delays_nothing(self):
        """A child of the agent that has its pipes: their end never comes before the child's own."""
        task = self.agent('holder say done')
        record = self.finished(task)
        self.assertEqual((record['status'], self.log(task)), ('completed', b'done\n'))
        self.assertEqual(processes_with(f'PERDURE_TASK_ID={task}'), [])
        self.assertLess(record['endedAt'] - record['startedAt'], 8_000, 'the runner had to lose its patience')


class Activity(AgentTest):
    def test_every_kind_of_update_is_there_and_what_is_not_known_hurts_nobody(self):
        task = self.agent('updates unknown say done', '--thoughts')
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.assertEqual(self.log(task), b'done\n')
        entries = self.activity(task)
        self.assertEqual(entries[0]['type'], 'agent')
        types = [e['type'] for e in entries]
        for wanted in ('session', 'prompt', 'plan', 'thought', 'tool_call', 'tool_call_update', 'mode', 'config', 'info', 'usage', 'notice',
                       'compaction', 'request_refused', 'message', 'end'):
            self.assertIn(wanted, types)
        self.assertEqual([e for e in entries if e['type'] == 'request_refused'][0]['request'], '_vendor/ask')
        self.assertLess(max(len(json.dumps(e)) for e in entries), 5_000, 'long values are cut')
        shown = self.perdure('output', '--activity', task, check=0).stdout
        self.assertIn('Look', shown)
        self.assertIn('what it did last', self.perdure('show', task, check=0).stdout)

    def test_thoughts_are_kept_for_those_who_want_them_only(self):
        task = self.agent('updates say done')
        self.finished(task)
        self.assertEqual(self.activity(task, 'thought'), [])

    def test_it_can_be_followed(self):
        task = self.agent('sleep 2 say done')
        follower = subprocess.run([*self.program(), 'output', '--activity', '--follow', '--json', task], stdout=subprocess.PIPE, text=True,
                                  timeout=60, check=True)
        types = [json.loads(line)['type'] for line in follower.stdout.splitlines()]
        self.assertEqual((types[0], types[-1]), ('agent', 'end'))

    def test_a_flood_of_updates_takes_neither_memory_nor_disk(self):
        task = self.agent('flood 100 say done', '--thoughts')
        driver = eventually(lambda: self.record(task)['pid'], 'the driver')
        most = 0
        while is_alive(driver):
            try:
                with open(f'/proc/{driver}/status', encoding='ascii') as f:
                    most = max(most, *(int(line.split()[1]) for line in f if line.startswith('VmHWM')))
            except (OSError, TypeError):
                break
        self.assertEqual(self.finished(task)['status'], 'completed')
        print(f'the driver took {most} KiB at the most for 100 MB of updates')
        if not any(name in os.environ.get('PERDURE_BIN', '') for name in ('asan', 'tsan')):  # their own memory is many times that
            self.assertLess(most, 64 << 10)
        path = os.path.join(self.tasks, task, 'activity.jsonl')
        self.assertLess(os.path.getsize(path), MOST_ACTIVITY)
        self.assertEqual(len(self.activity(task, 'cut')), 1)
        self.assertGreater(self.activity(task, 'end')[0]['left_out'], 0)
        self.assertEqual(self.log(task), b'done\n')

    def program(self):
        return [os.path.join(os.path.abspath(os.environ.get('PERDURE_BIN', 'build/dev/bin')), 'perdure'), '--session', self.session]


if __name__ == '__main__':
    unittest.main()
