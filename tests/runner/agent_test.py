"""The runner of a subagent: its driver says how the turn ended, hears of a stop first, and outlives nothing.

The test speaks in the driver's place, on the control socket.
"""
import json
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import RunnerTest, eventually, is_alive  # noqa: E402
from runner_harness import AGENT, KILL  # noqa: E402

DRIVER = "trap 'echo term; touch {0}/term' TERM; echo ready; while ! [ -e {0}/leave ]; do sleep 0.02; done; exit {1}"


class Agent(RunnerTest):
    def driver(self, code=0, before='', **options):
        task = self.sh(before + DRIVER.format(self.scratch, code), command=AGENT, leftovers=KILL, **options)
        self.ready(task)
        return task

    def leave(self):
        open(os.path.join(self.scratch, 'leave'), 'w', encoding='ascii').close()

    def heard(self):
        eventually(lambda: os.path.exists(os.path.join(self.scratch, 'term')), 'the driver hears SIGTERM')

    def test_L28_what_is_noted_is_in_the_record_at_once(self):
        task = self.driver()
        self.assertNotIn('agentId', self.s.read(task))
        self.assertEqual(self.s.ask(task, 'note "agentId":"sess_1"'), 'ok')
        record = self.s.read(task)
        self.assertEqual((record['agentId'], record['status']), ('sess_1', 'running'))
        self.assertNotIn('exitCode', record)
        self.assertEqual(self.s.ask(task, 'note "agentId":"sess_1","model":"big","usage":{"totalTokens":30}'), 'ok')
        self.leave()
        record = self.ended(task)
        self.assertEqual((record['agentId'], record['model'], record['usage']), ('sess_1', 'big', {'totalTokens': 30}))

    def test_a_note_that_would_break_the_record_is_refused(self):
        task = self.driver()
        for bad in ('agentId', '"a":"b"}', '"a":{"b":1', '"a":"b', '"a":"\N{SNOWMAN}"', '"a":"' + 'x' * 4096 + '"'):
            self.assertEqual(self.s.ask(task, 'note ' + bad), 'error 22', bad)
        self.assertEqual(json.loads(json.dumps(self.s.read(task)))['status'], 'running')
        self.leave()
        self.ended(task)

    def test_only_a_subagent_has_notes_and_an_outcome_of_its_own(self):
        task = self.sh('sleep 100')
        self.assertEqual(self.s.ask(task, 'note "agentId":"x"'), 'no')
        self.assertEqual(self.s.ask(task, 'outcome completed '), 'no')
        self.stop(task, 0)

    def test_what_the_driver_says_counts_not_its_exit_status(self):
        task = self.driver(code=7)
        self.assertEqual(self.s.ask(task, 'outcome completed '), 'ok')
        self.assertEqual(self.s.ask(task, 'outcome failed too late'), 'no')
        self.leave()
        record = self.ended(task)
        self.assertEqual((record['status'], record.get('stopReason')), ('completed', None))
        self.assertNotIn('exitCode', record)

    def test_L46_a_turn_that_failed_says_why(self):
        task = self.driver()
        self.assertEqual(self.s.ask(task, 'outcome failed '), 'error 22')
        self.assertEqual(self.s.ask(task, 'outcome failed it refused'), 'ok')
        self.leave()
        record = self.ended(task)
        self.assertEqual((record['status'], record['stopReason']), ('failed', 'it refused'))

    def test_a_driver_that_says_nothing_has_failed(self):
        for code in (0, 3):
            self.leave()
            record = self.ended(self.sh(f'exit {code}', command=AGENT, leftovers=KILL))
            self.assertEqual(record['status'], 'failed')
            self.assertIn(f'exit code {code}', record['stopReason'])
        task = self.sh('kill -KILL $$', command=AGENT, leftovers=KILL)
        record = self.ended(task)
        self.assertEqual(record['status'], 'failed')
        self.assertIn('signal 9', record['stopReason'])
        self.assertNotIn('signal', record)

    def test_L09_L29_after_the_deadline_nothing_counts_any_more(self):
        task = self.driver(timeout=100, grace=60_000)
        self.heard()
        self.assertEqual(self.s.ask(task, 'note "agentId":"sess_1"'), 'no')
        self.assertEqual(self.s.ask(task, 'outcome completed '), 'no')
        self.assertEqual(self.s.ask(task, 'outcome failed broken'), 'no')
        self.leave()
        record = self.ended(task)
        self.assertEqual((record['status'], record.get('stopReason'), record.get('agentId')), ('timed_out', None, None))

    def test_L14_a_turn_that_really_ended_within_the_grace_keeps_its_outcome(self):
        for said, outcome in (('outcome completed ', ('completed', None)), ('outcome failed refused', ('failed', 'refused'))):
            with self.subTest(said):
                for name in ('leave', 'term'):
                    if os.path.exists(os.path.join(self.scratch, name)):
                        os.unlink(os.path.join(self.scratch, name))
                task = self.driver(grace=60_000)
                self.stop(task, -1, 'enough')
                self.heard()
                self.assertEqual(self.s.ask(task, 'note "agentId":"sess_1","stopCode":"refusal"'), 'ok')
                self.assertEqual(self.s.ask(task, said), 'ok')
                self.leave()
                record = self.ended(task)
                self.assertEqual((record['status'], record.get('stopReason')), outcome)
                self.assertEqual(record['stopCode'], 'refusal')

    def test_L14_a_turn_that_was_cancelled_is_killed_with_the_reason(self):
        task = self.driver(grace=60_000)
        self.stop(task, -1, 'enough')
        self.heard()
        self.leave()
        record = self.ended(task)
        self.assertEqual((record['status'], record['stopReason']), ('killed', 'enough'))

    def test_L14_an_error_within_the_grace_is_an_effect_of_the_stop(self):
        task = self.driver(grace=60_000)
        self.stop(task, -1, 'enough')
        self.heard()
        self.assertEqual(self.s.ask(task, 'outcome broke connection lost'), 'no')
        self.leave()
        record = self.ended(task)
        self.assertEqual((record['status'], record['stopReason']), ('killed', 'enough'))

    def test_an_error_that_nobody_asked_for_is_a_failure_with_its_reason(self):
        task = self.driver()
        self.assertEqual(self.s.ask(task, 'outcome broke '), 'error 22')
        self.assertEqual(self.s.ask(task, 'outcome broke connection lost'), 'ok')
        self.leave()
        record = self.ended(task)
        self.assertEqual((record['status'], record['stopReason']), ('failed', 'connection lost'))

    def recovered(self, task):
        """The record that `perdure reconcile` writes after a SIGKILL of the runner."""
        os.kill(self.s.read(task)['runner']['pid'], signal.SIGKILL)
        self.leave()
        eventually(lambda: not is_alive(self.s.read(task)['pid']), 'the driver has gone')
        perdure = os.path.join(os.environ['PERDURE_BIN'], 'perdure')
        subprocess.run([perdure, '--session', self.s.path, 'reconcile'], check=True, stdout=subprocess.DEVNULL)
        return self.s.read(task)

    def test_L55_an_outcome_that_was_acknowledged_within_the_grace_survives_the_runner(self):
        for verb, quiet in (('stop', None), ('stop-quietly', True)):
            for said, outcome in (('completed ', ('completed', None)), ('failed refused', ('failed', 'refused'))):
                with self.subTest(verb=verb, said=said):
                    for name in ('leave', 'term'):
                        if os.path.exists(os.path.join(self.scratch, name)):
                            os.unlink(os.path.join(self.scratch, name))
                    task = self.driver(grace=60_000)
                    self.stop(task, -1, 'enough', verb)
                    self.heard()
                    self.assertEqual(self.s.ask(task, 'outcome ' + said), 'ok')
                    record = self.recovered(task)
                    self.assertEqual((record['status'], record.get('stopReason')), outcome)
                    self.assertEqual(record.get('terminalNotificationSuppressed'), quiet)
                    self.assertTrue(record['recovered'])

    def test_L55_a_silent_driver_has_one_reason_whether_the_runner_lives_or_not(self):
        self.leave()
        living = self.ended(self.sh('exit 3', command=AGENT, leftovers=KILL))
        pid_file = os.path.join(self.scratch, 'pid')
        child = f"setsid bash -c 'trap : TERM; echo $$ > {pid_file}; while :; do sleep 0.02; done' & "
        task = self.sh(child + f'until [ -s {pid_file} ]; do sleep 0.02; done; exit 3', command=AGENT, leftovers=KILL,
                       grace=60_000)
        eventually(lambda: not is_alive(self.s.read(task)['pid']), 'the driver has ended, its child has not')
        killed = self.recovered(task)
        self.assertEqual((killed['status'], killed['stopReason']), (living['status'], living['stopReason']))
        self.assertIn('exit code 3', killed['stopReason'])

    def test_the_agent_hears_of_a_stop_when_its_driver_has_gone_and_not_before(self):
        child = f"setsid bash -c 'trap \"touch {self.scratch}/child-term; exit\" TERM; touch {self.scratch}/child; while :; do sleep 0.02; done' & "
        task = self.driver(before=child, grace=60_000)
        eventually(lambda: os.path.exists(os.path.join(self.scratch, 'child')), 'the child runs')
        self.stop(task, -1, 'enough')
        self.heard()
        self.assertFalse(os.path.exists(os.path.join(self.scratch, 'child-term')))
        self.leave()
        self.ended(task)
        self.assertTrue(os.path.exists(os.path.join(self.scratch, 'child-term')))

    def test_L30_nothing_outlives_the_driver_and_the_record_waits_for_it(self):
        for said in ('outcome completed ', None):
            with self.subTest(said):
                pid_file = os.path.join(self.scratch, 'pid')
                child = f"setsid bash -c 'trap : TERM; echo $$ > {pid_file}; while :; do sleep 0.02; done' & "
                task = self.driver(before=child, grace=300)
                eventually(lambda: os.path.exists(pid_file) and os.path.getsize(pid_file), 'its pid')
                with open(pid_file, encoding='ascii') as f:
                    pid = int(f.read())
                if said:
                    self.assertEqual(self.s.ask(task, said), 'ok')
                self.leave()
                record = self.ended(task)
                self.assertFalse(is_alive(pid), 'its process tree is gone before the record says so')
                self.assertEqual(record['status'], 'completed' if said else 'failed')
                self.assertEqual(self.members(task), [])
                os.unlink(os.path.join(self.scratch, 'leave'))
                os.unlink(pid_file)

    def test_a_driver_that_does_not_leave_is_ended(self):
        task = self.driver(grace=100)
        self.assertEqual(self.s.ask(task, 'outcome completed '), 'ok')
        self.assertEqual(self.s.ask(task, 'stop 0 too late'), 'ok')  # it has ended: this only hurries it
        os.kill(self.s.read(task)['pid'], signal.SIGKILL)
        self.assertEqual(self.ended(task)['status'], 'completed')

    def test_what_is_known_at_the_launch_is_in_the_first_record(self):
        task = self.driver(note='"agentId":"sess_9"')
        self.assertEqual(self.s.read(task)['agentId'], 'sess_9')
        self.leave()
        self.ended(task)

    def test_the_outcome_survives_the_runner(self):
        task = self.driver()
        self.s.ask(task, 'note "agentId":"sess_1"')
        self.assertEqual(self.s.ask(task, 'outcome failed it refused'), 'ok')
        os.kill(self.runner_pid(task), signal.SIGKILL)
        self.perdure('wait', task)
        record = self.s.read(task)
        self.assertEqual((record['status'], record['stopReason'], record['agentId'], record['recovered']),
                         ('failed', 'it refused', 'sess_1', True))


if __name__ == '__main__':
    unittest.main()
