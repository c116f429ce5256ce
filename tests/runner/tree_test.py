"""Whole trees: what a stop, a deadline and an end leave behind (nothing, or exactly what was asked for)."""
import os
import shutil
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import RunnerTest, eventually, is_alive  # noqa: E402
from runner_harness import KEEP, KILL, WAIT  # noqa: E402


class Stopping(RunnerTest):
    def count(self, task, n):
        eventually(lambda: len(self.members(task)) >= n, f'{n} processes run')

    def stopped(self, task, grace=-1):
        """Stops it; when the record is there nobody of it may be left."""
        self.stop(task, grace)
        record = self.ended(task)
        self.assertEqual(self.members(task), [])
        self.assertEqual(record['status'], 'killed')
        self.assertNotIn('survivors', record)
        return record

    def test_L12_setsid_double_fork_and_another_name_do_not_escape_a_stop(self):
        task = self.sh('setsid sleep 300 & (sleep 301 &) ; exec -a x sleep 302')
        self.count(task, 3)
        self.stopped(task)

    def test_L12_the_same_tree_is_gone_after_a_deadline(self):
        task = self.sh('setsid sleep 300 & (sleep 301 &) ; exec -a x sleep 302', timeout=300)
        self.assertEqual(self.ended(task)['status'], 'timed_out')
        self.assertEqual(self.members(task), [])

    def test_L12_a_daemon_that_forked_twice_into_a_session_of_its_own_is_ended(self):
        task = self.start(sys.executable, '-c', 'import os,time\n'
                          'if os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  os.chdir("/"); os.closerange(0, 99); time.sleep(300)\n os._exit(0)\n'
                          'os.wait(); print("ready", flush=True); time.sleep(300)')
        self.ready(task)
        self.count(task, 2)
        self.stopped(task)

    def test_L12_whoever_ignores_sigterm_is_killed_after_the_grace_and_not_before(self):
        task = self.sh("trap '' TERM; (trap '' TERM; echo ready; setsid sleep 300) & sleep 300; sleep 300", grace=300)
        self.ready(task)
        before = time.monotonic()
        record = self.stopped(task)
        self.assertGreaterEqual(time.monotonic() - before, 0.3)
        self.assertEqual((record['exitCode'], record['signal']), (None, signal.SIGKILL))

    def test_L12_within_the_grace_everybody_may_tidy_up(self):
        task = self.sh("trap 'echo outer; wait; exit 0' TERM; (trap 'echo inner; exit 0' TERM; echo ready; while :; do sleep 0.02; done) & wait")
        self.ready(task)
        self.stopped(task, 20000)
        self.assertLessEqual({b'inner', b'outer', b'ready'}, set(self.s.output(task).split()))

    def test_L12_stopped_processes_hear_of_it(self):
        task = self.sh("trap 'echo term; exit 0' TERM; (kill -STOP $BASHPID; sleep 300) & echo ready; kill -STOP $$; wait")
        self.ready(task)
        eventually(lambda: self._states(task).count('T') == 2, 'both are stopped')
        before = time.monotonic()
        self.stopped(task, 60000)
        self.assertLess(time.monotonic() - before, 30, 'by themselves, long before the grace was over')
        self.assertIn(b'term', self.s.output(task))

    def _states(self, task):
        states = []
        for pid in self.members(task):
            try:
                with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
                    states.append(f.read().rpartition(')')[2].split()[0])
            except OSError:
                pass
        return states

    def test_L12_with_no_grace_it_is_killed_at_once(self):
        task = self.sh("trap 'echo term; exit 0' TERM; echo ready; while :; do sleep 0.02; done", grace=60000)
        self.ready(task)
        self.assertEqual(self.stopped(task, 0)['signal'], signal.SIGKILL)
        self.assertEqual(self.s.output(task), b'ready\n')

    def test_L12_a_tree_that_goes_on_forking_is_ended(self):
        # Each process has one child at a time in a new session, and never waits: the tree changes under whoever walks it.
        task = self.sh("trap '' TERM; echo ready; f() { trap '' TERM; for i in 1 2 3 4 5 6 7 8; do (trap '' TERM; setsid sleep 0.1 & sleep 0.05); done; "
                       '[ $1 -gt 200 ] || (f $(($1 + 1)) &) ; }; f 0 & f 0 & f 0 & wait; sleep 300', grace=100)
        self.ready(task)
        self.count(task, 8)
        self.stopped(task)

    def test_L12_a_fork_bomb_of_modest_size_is_ended(self):
        # Doubles until its limit on processes refuses; root has none, so a count stops it there.
        task = self.sh("trap '' TERM; echo ready; b() { trap '' TERM; [ $1 -ge 6 ] && exec sleep 300; b $(($1 + 1)) & b $(($1 + 1)) & wait; }; b 0", grace=50)
        self.count(task, 60)
        self.stopped(task)

    def test_L12_a_chain_of_150_that_each_wait_for_the_next_is_ended(self):
        task = self.sh("f() { [ $1 -ge 150 ] && { echo ready; exec sleep 300; }; (f $(($1 + 1))); true; }; f 0")
        self.ready(task)
        self.stopped(task)

    def test_L12_a_process_with_many_threads_that_each_have_a_child_is_ended(self):
        task = self.start(sys.executable, '-c', 'import threading, subprocess, time, signal\n'
                          'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
                          'for _ in range(8): threading.Thread(target=lambda: subprocess.run(["sleep", "300"]), daemon=True).start()\n'
                          'time.sleep(0.2); print("ready", flush=True); time.sleep(300)', grace=50)
        self.ready(task)
        self.count(task, 9)
        self.stopped(task)

    def test_L12_the_child_of_another_thread_hears_of_a_stop(self):
        # The kernel lists children by the thread that made them; this one has left the group, too.
        line = "trap 'echo heard; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
        task = self.start(sys.executable, '-c', 'import signal, subprocess, threading\n'
                          'signal.signal(signal.SIGTERM, lambda *_: None)\n'
                          f't = threading.Thread(target=lambda: subprocess.run(["setsid", "/bin/bash", "-c", {line!r}]))\n'
                          't.start(); t.join()')
        self.ready(task)
        self.stopped(task, 10000)
        self.assertIn(b'heard', self.s.output(task))

    def test_a_stopped_task_whose_environment_was_wiped_is_gone_too(self):
        pids = os.path.join(self.scratch, 'pids')
        task = self.sh(f'env -i setsid sleep 300 & env -i sleep 301 & echo $! >> {pids}; echo ready; wait')
        self.ready(task)
        with open(pids, encoding='utf-8') as f:
            hidden = int(f.read())
        self.stopped(task)
        self.assertFalse(is_alive(hidden))

    def test_two_tasks_beside_each_other_are_none_of_each_others_business(self):
        one, two = self.sh('sleep 300 & sleep 300'), self.sh('echo ready; sleep 300 & sleep 300')
        self.ready(two)
        self.count(two, 3)
        alive = set(self.members(two))
        self.stopped(one)
        self.assertEqual(set(self.members(two)), alive)
        self.stopped(two)


class Leftovers(RunnerTest):
    def test_keep_ends_the_task_at_once_and_goes_on_reading(self):
        task = self.sh('(until [ -e go ]; do sleep 0.02; done; echo later) & echo now; exit 3', leftovers=KEEP, cwd=self.scratch)
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record['outputBytes']), ('failed', 3, 4))
        self.assertGreaterEqual(record['leftovers'], 1)
        self.assertIn('leftover.lock', self.names_in(task))
        self.assertNotIn('runner.lock', self.names_in(task))
        open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8').close()
        self.runner_gone(task)
        self.assertEqual(self.s.output(task), b'now\nlater\n')
        self.assertEqual(self.names_in(task), ['output.log'])
        self.assertEqual(self.s.read(task), record)

    def test_keep_frees_the_slot(self):
        task = self.sh('sleep 300 & exit 0', cap=1)
        self.ended(task)
        self.assertEqual(self.outcome(self.sh('exit 0', cap=1)), ('completed', 0, None))
        # Whoever asks hears of the end, too, if it comes that soon.
        self.assertEqual(self.s.ask(task, 'end-leftovers 0').split()[0], 'ok')
        self.runner_gone(task)

    def test_end_leftovers_ends_them_and_leaves_the_record(self):
        task = self.sh("(trap '' TERM; sleep 300; sleep 300) & setsid sleep 301 & exit 0")
        record = self.ended(task)
        self.assertEqual(self.s.ask(task, 'wait'), 'ended')
        self.assertEqual(self.s.ask(task, 'end-leftovers 50').split()[0], 'ok')
        self.runner_gone(task)
        self.assertEqual(self.members(task), [])
        self.assertEqual(self.s.read(task), record)

    def test_a_stop_of_an_ended_task_is_taken_and_changes_nothing(self):
        task = self.sh('sleep 300 & exit 0')
        record = self.ended(task)
        self.s.ask(task, 'stop 0 too late')
        self.assertEqual(self.s.read(task), record)
        self.assertEqual(len(self.members(task)), 1)
        self.s.ask(task, 'end-leftovers 0')
        self.runner_gone(task)

    def test_sigterm_to_a_runner_that_looks_after_leftovers_ends_them(self):
        task = self.sh("(trap '' TERM; sleep 300; sleep 300) & exit 0")
        self.ended(task)
        os.kill(self.runner_pid(task), signal.SIGTERM)
        self.runner_gone(task)
        self.assertEqual(self.members(task), [])

    def test_end_leftovers_of_a_running_task_is_refused(self):
        task = self.sh('sleep 300')
        self.assertEqual(self.s.ask(task, 'end-leftovers 0'), 'no')
        self.stop(task)
        self.ended(task)

    def test_kill_ends_them_before_the_record(self):
        task = self.sh("setsid sleep 300 & (trap '' TERM; sleep 300; sleep 300) & echo now; exit 4", leftovers=KILL, grace=50)
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode']), ('failed', 4))
        self.assertNotIn('leftovers', record)
        self.assertEqual(self.members(task), [])

    def test_wait_ends_the_task_when_the_tree_has_gone(self):
        task = self.sh('(until [ -e go ]; do sleep 0.02; done; echo later) & echo now; exit 4', leftovers=WAIT, cwd=self.scratch)
        self.ready(task, b'now')
        eventually(lambda: self.s.read(task)['pid'] not in self.members(task), 'the command itself has ended')
        self.assertEqual(self.s.read(task)['status'], 'running')
        open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8').close()
        self.assertEqual(self.outcome(task), ('failed', 4, None))
        self.assertEqual(self.s.output(task), b'now\nlater\n')

    def test_wait_is_ended_by_the_deadline_with_the_commands_own_exit_code(self):
        task = self.sh('sleep 300 & exit 0', leftovers=WAIT, timeout=200)
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode']), ('timed_out', 0))
        self.assertEqual(self.members(task), [])

    def test_wait_is_ended_by_a_stop(self):
        task = self.sh('sleep 300 & exit 6', leftovers=WAIT)
        eventually(lambda: self.s.read(task)['pid'] not in self.members(task), 'the command itself has ended')
        self.stop(task)
        record = self.ended(task)
        self.assertEqual((record['status'], record['exitCode'], record['stopReason']), ('killed', 6, 'enough'))

    def test_a_leftover_that_closed_its_output_is_kept_and_waited_for_all_the_same(self):
        task = self.sh('(exec > /dev/null 2>&1; sleep 300) & exit 0')
        self.assertEqual(self.ended(task)['leftovers'], 1)
        self.s.ask(task, 'end-leftovers 0')
        self.runner_gone(task)


class Nested(RunnerTest):
    """L40: a runner inside a task's tree is another task."""

    def launcher(self, owner):
        """A command that starts a runner below itself, tells its task id, and sleeps."""
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support')
        return (sys.executable, '-c', f'import sys; sys.path.insert(0, {here!r})\n'
                'from runner_harness import Session; import time\n'
                f's = Session({self.session!r}, {self.s.runner!r})\n'
                f'task, answer = s.start(["/bin/bash", "-c", "echo inner; sleep 300 & sleep 301"], owner={owner!r})\n'
                'print(task, flush=True); time.sleep(300)')

    def nest(self, owner_is_outer=False):
        task = self.s.new_id()
        outer = self.start(*self.launcher(task if owner_is_outer else 'agent-other'), task=task)
        inner = eventually(lambda: self.s.output(outer).endswith(b'\n') and self.s.output(outer).decode().strip(), 'the inner task')
        self.ready(inner, b'inner')
        return outer, inner

    def test_L40_it_outlives_a_stopped_outer_task(self):
        outer, inner = self.nest()
        self.stop(outer, 0)
        self.assertEqual(self.ended(outer)['status'], 'killed')
        self.assertEqual(self.members(outer), [])
        self.assertEqual(self.s.read(inner)['status'], 'running')
        self.assertEqual(len(self.members(inner)), 3)
        self.stop(inner)
        self.assertEqual(self.ended(inner)['status'], 'killed')

    def test_L40_it_ends_with_the_task_that_owns_it_and_with_a_record_of_its_own(self):
        outer, inner = self.nest(owner_is_outer=True)
        self.stop(outer, reason='outer reason')
        self.assertEqual(self.ended(outer)['stopReason'], 'outer reason')
        record = self.s.read(inner)
        self.assertEqual(record['status'], 'killed')
        self.assertIn('owns', record['stopReason'])
        self.assertEqual(self.members(inner), [])

    def test_L40_it_ends_when_the_task_that_owns_it_ends_by_itself(self):
        outer, inner = self.nest(owner_is_outer=True)
        os.kill(self.s.read(outer)['pid'], signal.SIGKILL)
        self.assertEqual(self.outcome(outer), ('failed', None, signal.SIGKILL))
        self.assertEqual(self.s.read(inner)['status'], 'killed')

    def test_L40_it_is_no_leftover(self):
        outer, inner = self.nest()
        os.kill(self.s.read(outer)['pid'], signal.SIGKILL)
        self.assertNotIn('leftovers', self.ended(outer))
        self.runner_gone(outer)
        self.assertEqual(self.s.read(inner)['status'], 'running')
        self.stop(inner)
        self.ended(inner)

    def test_L40_a_process_that_only_claims_to_be_a_runner_is_ended(self):
        other = self.sh('sleep 300')
        task = self.sh(f'exec env -i PERDURE_RUNNER={other}@{self.session} sleep 300')
        pid = self.s.read(task)['pid']
        def claims():
            with open(f'/proc/{pid}/environ', 'rb') as f:
                return f.read().startswith(b'PERDURE_RUNNER=')
        eventually(claims, 'it claims to be the runner of the other task')
        self.stop(task, 0)
        self.assertEqual(self.ended(task)['status'], 'killed')
        self.assertFalse(is_alive(pid))
        self.assertEqual(self.s.read(other)['status'], 'running')
        self.stop(other)
        self.ended(other)

    def test_L40_nor_does_the_name_of_the_program_make_one_that_left_the_group(self):
        # All that is on disk speaks for it: only the kernel knows who is at the other end of the socket.
        other = self.sh('sleep 300')
        program = os.path.join(self.scratch, 'perdure-runner')
        shutil.copy('/bin/sleep', program)
        pids = os.path.join(self.scratch, 'pids')
        task = self.sh(f'env -i PERDURE_RUNNER={other}@{self.session} setsid {program} 300 & echo $! > {pids}; echo ready; wait')
        self.ready(task)
        with open(pids, encoding='utf-8') as f:
            pid = int(f.read())
        eventually(lambda: os.readlink(f'/proc/{pid}/exe') == program and os.getsid(pid) == pid, 'it left the group')
        self.stop(task, 0)
        self.assertEqual(self.ended(task)['status'], 'killed')
        self.assertFalse(is_alive(pid))
        self.assertEqual(self.s.read(other)['status'], 'running')
        self.stop(other)
        self.ended(other)


if __name__ == '__main__':
    unittest.main()
