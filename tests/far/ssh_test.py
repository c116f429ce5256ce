"""Tasks on another host over a real ssh: the rows of the failure matrix that need no cluster."""
import json
import os
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from agent_case import COMMAND  # noqa: E402
from far_host import FarHost, FarTest, need  # noqa: E402
from session import PERDURE, SessionTest, eventually  # noqa: E402

HOST = None


def setUpModule():
    global HOST
    need()
    HOST = FarHost()


def tearDownModule():
    if HOST is not None:
        HOST.close()


class SshTest(FarTest, SessionTest):
    def setUp(self):
        self.host = HOST
        super().setUp()

    def popen(self, *args, **kw):
        return subprocess.Popen([PERDURE, '--session', self.session, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env={**os.environ, 'XDG_CONFIG_HOME': self.config_home, **HOST.env()}, **kw)


class Outcome(SshTest):
    def test_the_exit_code_and_the_output_come_back(self):
        task = self.far('echo from $(uname -n); exit 7')
        self.perdure('wait', task, check=7)
        record = self.record(task)
        self.assertEqual((record['status'], record['exitCode']), ('failed', 7))
        self.assertEqual(self.log(task), b'from gpu1\n')
        executor = record['executor']
        self.assertEqual((executor['name'], executor['type'], executor['node'], executor['machineId']),
                         ('gpu', 'ssh', 'gpu1', HOST.machine))
        self.assertNotIn('runner', record)
        self.assertNotIn('bootId', record)
        self.assertEqual(record['pid'], 0)

    def test_run_with_wait_ends_with_its_status(self):
        self.perdure('run', '--on', 'gpu', '--wait', '-c', 'exit 3', check=3)

    def test_output_is_followed_while_it_runs(self):
        task = self.far('for i in 1 2 3; do echo line $i; sleep 0.3; done')
        followed = self.perdure('output', task, '--follow')
        self.assertEqual(followed.stdout, 'line 1\nline 2\nline 3\n')

    def test_large_binary_output_is_the_same_byte_for_byte(self):
        task = self.far('head -c 3000000 /dev/urandom | tee $HOME/copy')
        self.perdure('wait', task, check=0)
        with open(os.path.join(HOST.home, 'copy'), 'rb') as f:
            self.assertEqual(self.log(task), f.read())
        self.assertEqual(self.record(task)['outputBytes'], 3000000)

    def test_output_over_its_budget_is_dropped_alike_on_both_sides(self):
        task = self.far('seq 1 200000', '--output-limit', '64KiB')
        self.perdure('wait', task, check=0)
        record = self.record(task)
        self.assertGreater(record['droppedBytes'], 0)
        there = os.path.join(HOST.session, 'tasks', record['executor']['place'], 'output.log')
        with open(there, 'rb') as f:
            self.assertEqual(self.log(task), f.read())

    def test_a_command_that_is_not_there_is_refused_and_leaves_nothing(self):
        done = self.perdure('run', '--on', 'gpu', '--', 'no-such-command', check=127)
        self.assertIn('no-such-command', done.stderr)
        self.assertEqual([n for n in os.listdir(self.tasks) if not n.startswith('.')], [])
        self.assertEqual([n for n in os.listdir(os.path.join(self.session, 'far')) if not n.startswith('.')], [])

    def test_the_callers_environment_stays_here_and_what_is_given_goes(self):
        task = self.far('echo "$SECRET $GIVEN"', '--env', "GIVEN=a 'b' $c", env={'SECRET': 'secret'})
        self.perdure('wait', task, check=0)
        self.assertEqual(self.log(task), b" a 'b' $c\n")

    def test_the_folder_is_the_far_home_or_the_one_that_is_given(self):
        self.assertEqual(self.finished(self.far('pwd'))['cwd'], '/root')
        task = self.far('pwd', '--cwd', '/usr')
        self.finished(task)
        self.assertEqual(self.log(task), b'/usr\n')
        done = self.perdure('run', '--on', 'gpu', '--cwd', 'sub', '-c', 'true', check=2)
        self.assertIn('absolute', done.stderr)

    def test_a_deadline_counts_there(self):
        task = self.far('sleep 60', '--timeout', '300ms')
        self.perdure('wait', task, check=124)
        self.assertEqual(self.record(task)['status'], 'timed_out')

    def test_the_owner_is_told_here_once(self):
        task = self.far('exit 4', '--owner', 'main')
        got = json.loads(self.perdure('notifications', '--owner', 'main', '--wait', '--timeout', '20s', '--json', check=0).stdout)
        self.assertIn(task, json.dumps(got))

    def test_what_is_to_be_told_of_the_end_runs_here(self):
        told = os.path.join(self.scratch, 'told')
        task = self.far('true', '--on-end', f'echo $PPID > {told}')
        self.perdure('wait', task, check=0)
        eventually(lambda: os.path.exists(told), 'it was told')

    def test_what_makes_no_sense_there_is_refused_by_name(self):
        for option in (['--foreground'], ['--pty'], ['--queue'], ['--cpus', '2']):
            done = self.perdure('run', '--on', 'gpu', *option, '-c', 'true', check=2)
            self.assertIn(option[0], done.stderr)
        done = self.perdure('run', '--on', 'nowhere', '-c', 'true', check=2)
        self.assertIn('nowhere', done.stderr)

    def test_the_variable_chooses_the_place(self):
        task = self.sh('uname -n', env={'PERDURE_ON': 'gpu'})
        self.finished(task)
        self.assertEqual(self.log(task), b'gpu1\n')

    def test_the_same_key_is_one_task(self):
        one = self.far('date +%N', '--idempotency-key', 'k')
        self.assertEqual(self.far('date +%N', '--idempotency-key', 'k'), one)

    def test_list_and_show_say_where_it_runs(self):
        task = self.far('sleep 30')
        self.assertIn('gpu (gpu1)', self.perdure('list', check=0).stdout)
        shown = self.perdure('show', task, check=0).stdout
        self.assertIn('gpu (gpu1)', shown)
        self.perdure('stop', task)

    def test_an_executor_of_an_untrusted_session_is_not_contacted(self):
        self.configure('')
        os.makedirs(self.session)
        with open(os.path.join(self.session, 'perdure.toml'), 'w', encoding='utf-8') as f:
            f.write('[executors.gpu]\ntype = "ssh"\nhost = "gpu1"\n')
        done = self.perdure('run', '--on', 'gpu', '-c', 'true', check=2)
        self.assertIn('not trusted', done.stderr)


class WithMaster(FarTest, SessionTest):
    """The same where the user's ssh keeps a connection for all."""

    @classmethod
    def setUpClass(cls):
        cls.host = FarHost('gpu2', control_master=True)

    @classmethod
    def tearDownClass(cls):
        cls.host.close()

    def test_tasks_share_a_connection(self):
        one, two = self.far('sleep 0.5; exit 5'), self.far('cat', '--stdin', 'pipe')
        self.perdure('wait', one, check=5)
        self.perdure('stop', two, check=0)
        self.assertTrue([n for n in os.listdir(self.host.folder) if n.startswith('cm-')])

    def test_a_master_that_ends_is_no_end_of_a_task(self):
        task = self.far('sleep 2; exit 6')
        waiter = subprocess.Popen([PERDURE, '--session', self.session, 'wait', task], stdout=subprocess.DEVNULL,
                                  env={**os.environ, 'XDG_CONFIG_HOME': self.config_home, **self.host.env()})
        time.sleep(0.5)
        subprocess.run([os.path.join(self.host.client_bin, 'ssh'), '-O', 'exit', 'gpu2'], stderr=subprocess.DEVNULL, check=False)
        self.assertEqual(waiter.wait(timeout=60), 6)


class Control(SshTest):
    def test_stop_ends_the_tree_there_and_keeps_the_reason(self):
        task = self.far('sleep 100 & sleep 100')
        self.perdure('stop', task, '--reason', "it's enough", check=0)
        record = self.record(task)
        self.assertEqual((record['status'], record['stopReason']), ('killed', "it's enough"))
        there = HOST.session + '/tasks/' + record['executor']['place'] + '.json'
        with open(there, encoding='utf-8') as f:
            self.assertEqual(json.load(f)['status'], 'killed')

    def test_extend_moves_the_deadline_there(self):
        task = self.far('sleep 1.5; exit 5', '--timeout', '1200ms')
        self.perdure('extend', task, '--timeout', '20s', check=0)
        self.perdure('wait', task, check=5)

    def test_a_signal_reaches_the_command(self):
        task = self.far('trap "exit 9" USR1; echo ready; while :; do sleep 0.05; done')
        eventually(lambda: (self.perdure('list', '--refresh'), self.log(task))[1] == b'ready\n', 'it is ready')
        self.perdure('signal', task, 'USR1', check=0)
        self.perdure('wait', task, check=9)

    def test_what_is_written_arrives_and_ends(self):
        task = self.far('cat', '--stdin', 'pipe')
        given = os.path.join(self.scratch, 'given')
        with open(given, 'w', encoding='utf-8') as f:
            f.write('a line\n' * 20000)
        with open(given, encoding='utf-8') as f:
            self.perdure('write', task, '--eof', stdin=f, check=0)
        self.perdure('wait', task, check=0)
        self.assertEqual(self.log(task), b'a line\n' * 20000)

    def test_remove_removes_it_there_first(self):
        task = self.far('true')
        record = self.finished(task)
        place = record['executor']['place']
        self.assertIn(place, HOST.records())
        self.perdure('remove', task, check=0)
        self.assertNotIn(place, HOST.records())
        self.assertFalse(os.path.exists(self.path(task)))

    def test_the_check_says_what_is_there(self):
        done = self.perdure('executors', '--check', 'gpu', check=0)
        self.assertIn('gpu1', done.stdout)
        self.assertIn('perdure 0', done.stdout)


class After(SshTest):
    """Rule 4.7 of executors.md: a task elsewhere that follows others."""

    def stamps(self, name):
        """What tasks of this test wrote there, in the order in which they did."""
        try:
            with open(os.path.join(HOST.home, name), encoding='utf-8') as f:
                return f.read().split()
        except FileNotFoundError:
            return []

    def test_47_the_host_itself_waits_for_one_that_it_has(self):
        first = self.far('sleep 1; echo first >> $HOME/order-host')
        second = self.far('echo second >> $HOME/order-host', '--after', first)
        self.assertEqual(self.json('show', second)['status'], 'queued')
        self.assertEqual(self.json('show', second)['after'], first)
        # No process of this machine has a part in it.
        eventually(lambda: len(self.stamps('order-host')) == 2, 'both ran')
        self.assertEqual(self.stamps('order-host'), ['first', 'second'])
        self.perdure('wait', second, check=0)

    def test_47_one_that_does_not_complete_keeps_its_follower_from_starting_and_is_named(self):
        first = self.far('sleep 0.5; exit 3')
        second = self.far('touch $HOME/never', '--after', first)
        third = self.far('echo went on', '--after-any', first)
        self.perdure('wait', second, check=143)
        record = self.record(second)
        self.assertEqual((record['status'], record['stopReason']),
                         ('killed', f'Task {first}, which it was to follow, ended as failed'))
        self.perdure('wait', third, check=0)
        self.assertEqual(self.log(third), b'went on\n')
        self.assertFalse(os.path.exists(os.path.join(HOST.home, 'never')))

    def test_47_one_of_this_machine_is_waited_for_here(self):
        gate = os.path.join(self.scratch, 'gate')
        os.mkfifo(gate)
        first = self.sh(f'cat {gate}')
        second = self.far('echo after', '--after', first)
        self.assertEqual(self.json('show', second)['status'], 'queued')
        waiter = self.popen('wait', second)
        time.sleep(0.5)
        self.assertEqual(HOST.records().count(second), 0)
        self.assertIsNone(waiter.poll())
        with open(gate, 'w', encoding='utf-8'):
            pass
        waiter.communicate(timeout=30)
        self.assertEqual(waiter.returncode, 0)
        self.assertEqual(self.log(second), b'after\n')

    def test_47_a_follower_that_is_kept_here_ends_with_what_it_followed(self):
        first = self.sh('sleep 0.3; exit 9')
        second = self.far('touch $HOME/never-2', '--after', first)
        self.perdure('wait', second, check=143)
        self.assertEqual(self.record(second)['stopReason'], f'Task {first}, which it was to follow, ended as failed')
        third = self.far('touch $HOME/never-2', '--after', first)  # it is known at once
        self.assertEqual((self.record(third)['status'], self.record(third)['stopReason']),
                         ('killed', f'Task {first}, which it was to follow, ended as failed'))
        self.assertFalse(os.path.exists(os.path.join(HOST.home, 'never-2')))

    def test_47_one_that_is_kept_here_is_stopped_without_asking_the_host(self):
        first = self.sh('sleep 100')
        second = self.far('true', '--after', first)
        HOST.off()
        try:
            self.perdure('stop', second, '--reason', 'not needed', check=0)
        finally:
            HOST.start()
        self.assertEqual((self.record(second)['status'], self.record(second)['stopReason']), ('killed', 'not needed'))
        self.perdure('stop', first, check=0)

    def test_47_a_task_of_this_machine_follows_one_elsewhere(self):
        first = self.far('sleep 0.5; exit 0')
        failed = self.far('sleep 0.5; exit 4')
        second = self.sh('echo here', '--after', first)
        third = self.sh('echo never', '--after', failed)
        self.assertEqual(self.json('show', second)['status'], 'queued')
        self.perdure('wait', check=None)
        self.assertEqual((self.finished(second)['status'], self.log(second)), ('completed', b'here\n'))
        self.assertEqual(self.finished(third)['stopReason'], f'Task {failed}, which it was to follow, ended as failed')

    def test_47_a_chain_that_is_kept_here_runs_in_its_order_and_once(self):
        first = self.sh('sleep 0.3')
        chain = [first]
        for i in range(3):
            chain.append(self.far(f'echo {i} >> $HOME/chain', '--after', chain[-1]))
        waiters = [self.popen('wait', chain[-1]) for _ in range(3)]
        for waiter in waiters:
            waiter.communicate(timeout=60)
            self.assertEqual(waiter.returncode, 0)
        self.assertEqual(self.stamps('chain'), ['0', '1', '2'])


class Agent(SshTest):
    """Rule 4.7 of executors.md: a subagent that works on another host. Its definition, program and login are that host's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = os.path.join(HOST.home, '.config/perdure')
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, 'config.toml'), 'w', encoding='utf-8') as f:
            f.write(f'[agents.mock]\ncommand = {json.dumps(["/usr/bin/python3", COMMAND[1]])}\nenv = {{ ACP_STORE = "/root/conversations" }}\n')

    @classmethod
    def tearDownClass(cls):
        os.unlink(os.path.join(HOST.home, '.config/perdure/config.toml'))
        super().tearDownClass()

    def agent(self, prompt, *options, check=0, permission='deny', **kw):
        return self.perdure('agent', '--on', 'gpu', '--agent', 'mock', *(['--permission', permission] if permission else []),
                            *options, prompt, check=check, **kw).stdout.strip()

    def test_47_its_final_message_and_its_id_come_back(self):
        task = self.agent("say it's done")
        self.perdure('wait', task, check=0)
        record = self.record(task)
        self.assertEqual((record['kind'], record['status'], record['subagentType']), ('agent', 'completed', 'mock'))
        self.assertEqual(self.log(task), b"it's done\n")
        self.assertEqual(record['executor']['node'], 'gpu1')
        self.assertTrue(record['agentId'])
        self.assertTrue(task.startswith('agent-'))

    def test_47_a_conversation_goes_on_where_it_began(self):
        first = self.finished(self.agent('say one'))
        task = self.perdure('agent', '--on', 'gpu', '--resume', first['agentId'], '--permission', 'deny', 'say two',
                            check=0).stdout.strip()
        second = self.finished(task)
        self.assertEqual((second['status'], second['agentId'], self.log(task)), ('completed', first['agentId'], b'two\n'))
        done = self.perdure('agent', '--resume', first['agentId'], 'say three', check=2)
        self.assertIn('--on gpu', done.stderr)

    def test_47_a_failure_a_deadline_and_a_stop_are_as_for_one_here(self):
        failed = self.finished(self.agent('refuse'))
        self.assertEqual(failed['status'], 'failed')
        self.assertTrue(failed['stopReason'])
        late = self.agent('sleep 60', '--timeout', '1s', '--grace', '1s')
        self.perdure('wait', late, check=124)
        stopped = self.agent('sleep 60')
        self.perdure('stop', stopped, '--reason', 'enough', check=0)
        self.assertEqual((self.record(stopped)['status'], self.record(stopped)['stopReason']), ('killed', 'enough'))

    def test_47_what_it_asks_permission_for_is_decided_beforehand(self):
        for permission in (None, 'ask'):
            done = self.perdure('agent', '--on', 'gpu', '--agent', 'mock', *(['--permission', permission] if permission else []),
                                'say x', check=2)
            self.assertIn('--permission allow or deny', done.stderr)
        self.assertEqual(self.json('list', '--all'), [])
        task = self.agent('permission', permission='allow')
        self.assertEqual(self.finished(task)['status'], 'completed')

    def test_47_an_agent_that_the_host_does_not_know_is_refused_and_leaves_nothing(self):
        done = self.perdure('agent', '--on', 'gpu', '--agent', 'nobody', '--permission', 'deny', 'say x')
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no agent is called 'nobody'", done.stderr)
        self.assertEqual(self.json('list', '--all'), [])

    def test_47_a_prompt_may_be_long_and_hold_anything(self):
        prompt = 'say ' + '"$x" \'y\' ü ' * 400
        task = self.agent(prompt)
        self.perdure('wait', task, check=0)
        self.assertEqual(self.log(task).decode().split(), prompt[4:].split())


class Faults(SshTest):
    def test_all_local_processes_killed_the_next_contact_mirrors_it(self):
        task = self.far('sleep 0.5; echo done; exit 6')
        waiter = self.popen('wait', task)
        time.sleep(0.3)
        waiter.send_signal(signal.SIGKILL)
        waiter.communicate()
        self.perdure('wait', task, check=6)
        self.assertEqual(self.log(task), b'done\n')

    def test_a_cut_connection_in_wait_and_follow_loses_nothing(self):
        task = self.far('for i in $(seq 1 40); do echo line $i; sleep 0.05; done; exit 2')
        follower, waiter = self.popen('output', task, '--follow'), self.popen('wait', task)
        for _ in range(2):
            time.sleep(0.4)
            HOST.cut()
        out, _ = follower.communicate(timeout=60)
        told = waiter.communicate(timeout=60)
        self.assertEqual(waiter.returncode, 2, f'{told} {self.record(task)}')
        self.assertEqual(out, ''.join(f'line {i}\n' for i in range(1, 41)))
        self.assertEqual(self.log(task).decode(), out)

    def test_a_host_that_is_away_changes_no_status(self):
        task = self.far('sleep 0.1; exit 1')
        HOST.off()
        try:
            self.assertEqual(self.perdure('wait', task, '--timeout', '1s').returncode, 75)
            self.assertEqual(self.record(task)['status'], 'running')
            shown = self.json('show', task)
            self.assertTrue(shown['unverified'])
            self.assertIn('not heard since', self.perdure('show', task).stdout)
            self.perdure('reconcile')
            self.assertEqual(self.record(task)['status'], 'running')
            done = self.perdure('run', '--on', 'gpu', '-c', 'true', check=1)
            self.assertIn("can't be reached", done.stderr)
        finally:
            HOST.new_boot()
            HOST.start()
        self.perdure('wait', task, check=125)
        self.assertEqual(self.record(task)['lostEvidence'], 'rebooted')

    def test_a_reboot_there_is_told_as_one(self):
        task = self.far('echo before; sleep 100')
        eventually(lambda: (self.perdure('list', '--refresh'), self.log(task))[1] == b'before\n', 'it runs')
        HOST.reboot()
        self.perdure('wait', task, check=125)
        record = self.record(task)
        self.assertEqual((record['status'], record['lostEvidence']), ('lost', 'rebooted'))
        self.assertEqual(self.log(task), b'before\n')

    def test_another_machine_of_that_name_is_no_answer_about_the_task(self):
        task = self.far('sleep 100')
        old = HOST.machine
        HOST.replace()
        self.perdure('wait', task, check=125)
        record = self.record(task)
        self.assertEqual((record['status'], record['lostEvidence']), ('lost', 'engine_gone'))
        self.assertIn(old, record['stopReason'])
        self.assertIn(HOST.machine, record['stopReason'])
        self.perdure('wait', self.far('exit 3'), check=3)  # and it can be used

    def test_a_home_that_is_not_mounted_changes_no_status(self):
        task = self.far('sleep 100')
        hidden = HOST.session + '.hidden'
        os.rename(HOST.session, hidden)
        self.assertEqual(self.perdure('wait', task, '--timeout', '1s').returncode, 75)
        self.assertEqual(self.record(task)['status'], 'running')
        os.rename(hidden, HOST.session)
        self.perdure('stop', task, check=0)

    def test_what_the_host_itself_cannot_tell_is_not_waited_for(self):
        task = self.far('sleep 100')
        HOST.off()
        HOST.start()  # the same boot, and another pid namespace: as a container that was started anew
        self.perdure('wait', task, check=125)
        self.assertEqual(self.record(task)['status'], 'running')
        self.assertTrue(self.json('show', task)['unverified'])
        self.perdure('reconcile', '--adopt')
        self.assertEqual((self.record(task)['status'], self.record(task)['lostEvidence']), ('lost', 'adopted'))

    def test_a_stop_of_a_host_that_is_away_is_passed_on_later(self):
        task = self.far('sleep 100')
        shim = os.path.join(HOST.client_bin, 'ssh')
        with open(shim, encoding='utf-8') as f:
            real = f.read()
        HOST.program(HOST.client_bin, 'ssh', 'echo "ssh: connect: No route to host" >&2; exit 255')
        try:
            done = self.perdure('stop', task, '--reason', 'later', check=1)
            self.assertIn('does not answer', done.stderr)
            self.assertEqual(self.record(task)['status'], 'running')
        finally:
            with open(shim, 'w', encoding='utf-8') as f:
                f.write(real)
        self.perdure('wait', task, check=143)
        self.assertEqual(self.record(task)['stopReason'], 'later')

    def test_a_refused_login_is_told_and_not_tried_again(self):
        task = self.far('sleep 100')
        keys = os.path.join(HOST.folder, 'authorized_keys')
        os.rename(keys, keys + '.away')
        try:
            done = self.perdure('run', '--on', 'gpu', '-c', 'true', check=1)
            self.assertIn('log in once', done.stderr)
            self.assertEqual(self.perdure('wait', task).returncode, 125)  # not verified: nobody is going to hear of it
            self.assertEqual(self.record(task)['status'], 'running')
        finally:
            os.rename(keys + '.away', keys)
        self.perdure('stop', task, check=0)

    def test_logind_that_ends_logins_is_met_before_the_first_task(self):
        HOST.program(HOST.bin, 'loginctl', 'case "$*" in *KillUserProcesses*) echo yes;; *) echo no;; esac')
        try:
            done = self.perdure('run', '--on', 'gpu', '-c', 'true', check=1)
            self.assertIn('enable-linger', done.stderr)
            self.assertEqual(self.perdure('executors', '--check', 'gpu').returncode, 1)
        finally:
            os.unlink(os.path.join(HOST.bin, 'loginctl'))

    def test_login_scripts_may_print(self):
        with open(os.path.join(HOST.home, '.bashrc'), 'w', encoding='utf-8') as f:
            f.write('echo welcome; printf "no line end"; echo to stderr >&2\n')
        try:
            task = self.far('echo out')
            self.perdure('wait', task, check=0)
            self.assertEqual(self.log(task), b'out\n')
        finally:
            os.unlink(os.path.join(HOST.home, '.bashrc'))

    def test_programs_that_do_not_run_there_are_refused_with_the_reason(self):
        tag = next(iter(os.listdir(os.path.join(HOST.home, '.perdure/bin'))), None)
        HOST.program(HOST.bin, 'chmod', 'exit 0')
        kept = os.path.join(HOST.home, '.perdure')
        if tag:
            os.rename(kept, kept + '.kept')
        try:
            done = self.perdure('run', '--on', 'gpu', '-c', 'true', check=1)
            self.assertIn('does not run on gpu1', done.stderr)
            self.assertEqual(self.perdure('list', '--all').stdout, '')
        finally:
            os.unlink(os.path.join(HOST.bin, 'chmod'))
            subprocess.run(['rm', '-rf', kept], check=True)
            if tag:
                os.rename(kept + '.kept', kept)


class Submitter(SshTest):
    """SIGKILL of `perdure run` on its way: at most one task, and whoever comes next finds out."""

    def tokens(self, word):
        try:
            with open(os.path.join(HOST.home, word), encoding='utf-8') as f:
                return f.read().split()
        except FileNotFoundError:
            return []

    def test_a_killed_run_is_settled_by_the_next_contact(self):
        self.far('true')  # the host is known and has the programs
        for i in range(12):
            word = f'ran-{i}'
            run = self.popen('run', '--on', 'gpu', '-c', f'echo x >> $HOME/{word}')
            time.sleep(0.02 * i)
            run.send_signal(signal.SIGKILL)
            out, _ = run.communicate()
            self.perdure('wait', '--timeout', '60s')
            listed = [t for t in self.json('list', '--all') if word in t['command']]
            ran = len(self.tokens(word))
            self.assertLessEqual(ran, 1, word)
            self.assertEqual(len(listed), ran, f'{word}: {listed}')
            if out.strip():
                self.assertEqual([t['taskId'] for t in listed], [out.strip()])

    def test_a_second_waiter_beside_it_starts_nothing_twice(self):
        runs = [self.popen('run', '--on', 'gpu', '-c', 'echo x >> $HOME/beside') for _ in range(4)]
        waits = [self.popen('wait') for _ in range(3)]
        for process in runs + waits:
            process.communicate(timeout=60)
        self.perdure('wait', '--timeout', '60s')
        self.assertEqual(len(self.tokens('beside')), 4)
        self.assertEqual(len(self.json('list', '--all')), 4)


class Transport(SshTest):
    def test_a_namespace_is_reached_by_a_prefix_of_words(self):
        pid = str(HOST.inner_pid())
        self.configure('[executors.gpu]\ntype = "ssh"\ntransport = ["nsenter", "-t", "' + pid + '", "-m", "-u", "-p"]\n')
        task = self.far('uname -n; exit 2')
        self.perdure('wait', task, check=2)
        self.assertEqual(self.log(task), b'gpu1\n')


if __name__ == '__main__':
    unittest.main()
