#!/usr/bin/env python3
"""L56-L62: what Perdure says is complete, listed, true, accepted back and done, is so."""
import json
import os
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from mcp_client import McpClient  # noqa: E402
from rpc_client import Rpc  # noqa: E402
from session import PERDURE, SessionTest, eventually, is_alive  # noqa: E402


class Completeness(SessionTest):
    def test_L56_a_log_that_is_gone(self):
        task = self.sh('echo hello')
        self.perdure('wait', task, check=0)
        os.unlink(os.path.join(self.tasks, task, 'output.log'))
        done = self.perdure('output', task)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('6 bytes', done.stderr)
        shown = self.json('output', task)
        self.assertEqual((shown['missingBytes'], shown['fullOutputAvailable']), (6, False))
        self.assertTrue([f for f in self.json('doctor', check=None) if f['what'] == task and '6 of the 6 bytes' in f['text']])

    def test_L56_a_log_that_was_cut_afterwards_or_meanwhile(self):
        task = self.sh('echo hello; exec sleep 300')
        log = os.path.join(self.tasks, task, 'output.log')
        eventually(lambda: self.log(task) == b'hello\n', 'it has printed')
        os.truncate(log, 2)
        shown = self.json('output', task)
        self.assertEqual((shown['missingBytes'], shown['fullOutputAvailable']), (4, False))
        self.perdure('stop', task, check=0)
        self.assertEqual(self.json('output', task)['missingBytes'], 4)
        done = self.perdure('output', task)
        self.assertEqual((done.stdout, done.returncode), ('he', 1))

    def test_L56_a_whole_log_is_whole(self):
        for line, size in (('true', 0), ('printf x', 1), ('seq 20000', 108894)):
            task = self.sh(line)
            self.perdure('wait', task, check=0)
            shown = self.json('output', task)
            self.assertEqual((shown['missingBytes'], shown['outputSizeBytes']), (0, size))

    def test_L56_a_terminal_takes_lines_of_a_limited_length(self):
        task = self.run_task('--pty', '--', 'sh', '-c', 'stty -echo; echo ready; cat | wc -c')
        eventually(lambda: b'ready' in self.log(task), 'it reads')
        done = subprocess.run(
            [PERDURE, '--session', self.session, 'write', task], input='ok\n' + 'a' * 20000 + '\n', text=True, capture_output=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn('4095', done.stderr)
        self.assertIn('3 bytes were written', done.stderr)
        done = subprocess.run([PERDURE, '--session', self.session, 'write', task, '--eof'], input='b' * 4095 + '\n', text=True,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.perdure('wait', task)
        self.assertIn(str(3 + 4096), self.perdure('output', task, check=0).stdout)


class Listed(SessionTest):
    def test_L57_what_a_foreground_command_leaves_is_named_listed_and_stopped(self):
        done = self.perdure('run', '--foreground', '-c', 'sleep 300 >/dev/null 2>&1 & echo $!')
        pid = int(done.stdout)
        task = re.search(r'perdure stop (\S+)`', done.stderr)[1]
        listed = self.json('list')
        self.assertEqual([(t['taskId'], t['hasLeftovers']) for t in listed], [(task, True)])
        self.assertIn(task, self.perdure('close', '--keep', check=0).stdout)
        self.assertIn(task, self.perdure('stop', '--all', check=0).stdout)
        self.assertFalse(is_alive(pid))
        self.assertEqual(self.json('list'), [])

    def test_L57_over_mcp_too(self):
        with McpClient(self.session, cwd=self.scratch) as client:
            client.initialize()
            told = json.dumps(client.call('Bash', command='sleep 300 >/dev/null 2>&1 & echo up'))
            task = re.search(r'bash-[0-9a-z]{8}', told)[0]
            self.assertIn(task, json.dumps(client.call('TaskList')))
            client.call('TaskStop', task_id=task)
            self.assertNotIn(task, json.dumps(client.call('TaskList')))

    def test_L56_a_long_line_over_mcp(self):
        with McpClient(self.session, cwd=self.scratch) as client:
            client.initialize()
            told = json.dumps(client.call('Bash', command='stty -echo; cat | wc -c', pty=True, run_in_background=True, description='x'))
            task = re.search(r'bash-[0-9a-z]{8}', told)[0]
            refused = client.call('TaskWrite', task_id=task, text='a' * 5000 + '\n')
            self.assertTrue(refused['isError'])
            self.assertIn('4095', json.dumps(refused))
            client.call('TaskStop', task_id=task)

    def test_L57_leftovers_of_a_background_task(self):
        task = self.sh('sleep 300 & exit 3')
        self.perdure('wait', task, check=3)
        self.assertRegex(self.perdure('list', check=0).stdout, rf'{task} +failed \(left processes\)')
        self.perdure('stop', task)
        self.assertEqual(self.json('list'), [])

    def test_a_process_that_was_stopped_by_a_signal_is_shown_as_paused(self):
        task = self.sh('exec sleep 300')
        self.perdure('signal', task, 'STOP', check=0)
        eventually(lambda: self.json('show', task).get('paused'), 'it is paused')
        self.assertIn('(stopped)', self.perdure('list', check=0).stdout)
        self.perdure('signal', task, 'CONT', check=0)
        eventually(lambda: not self.json('show', task).get('paused'), 'it goes on')
        self.perdure('stop', task, check=0)


@unittest.skipIf(os.geteuid() != 0 or subprocess.run(['unshare', '--pid', '--fork', 'true'], check=False).returncode != 0,
                 'making a pid namespace is not allowed here')
class Pid1(SessionTest):
    def inside(self, *words, **kw):
        return subprocess.Popen(['unshare', '--pid', '--fork', '--mount-proc', PERDURE, '--session', self.session, *words],
                                text=True, **kw)

    @staticmethod
    def first_child(pid):
        def child():
            with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
                return next((int(p) for p in f.read().split()), None)
        return eventually(child, 'pid 1')

    def test_L58_sigterm_stops_a_foreground_task_and_its_trap_runs(self):
        mark = os.path.join(self.scratch, 'trapped')
        outer = self.inside('run', '--foreground', '-c', f'trap "echo done > {mark}; exit 3" TERM; echo up; while :; do sleep 0.1; done',
                            stdout=subprocess.PIPE)
        self.assertEqual(outer.stdout.readline(), 'up\n')
        os.kill(self.first_child(outer.pid), signal.SIGTERM)
        outer.wait(20)
        outer.stdout.close()
        self.assertTrue(os.path.exists(mark))

    def test_L58_mcp_as_pid_1_reaps_and_obeys(self):
        outer = self.inside('mcp', stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def ask(number, method, **params):
            outer.stdin.write(json.dumps({'jsonrpc': '2.0', 'id': number, 'method': method, 'params': params}) + '\n')
            outer.stdin.flush()
            while True:
                answer = json.loads(outer.stdout.readline())
                if answer.get('id') == number:
                    return answer['result']
        ask(1, 'initialize', protocolVersion='2025-06-18', capabilities={}, clientInfo={'name': 'x', 'version': '1'})
        for number in range(2, 8):
            ask(number, 'tools/call', name='Bash', arguments={'command': 'true'})
        zombies = ask(9, 'tools/call', name='Bash', arguments={'command': 'sleep 0.3; echo Z=$(ps -eo stat | grep -c ^Z)'})
        self.assertIn('Z=0', json.dumps(zombies))
        started = ask(10, 'tools/call', name='Bash', arguments={'command': 'sleep 300', 'run_in_background': True, 'description': 'x'})
        self.assertIn('bash-', json.dumps(started))
        task = re.search(r'bash-[0-9a-z]{8}', json.dumps(started))[0]
        os.kill(self.first_child(outer.pid), signal.SIGTERM)
        outer.wait(15)
        outer.stdin.close()
        outer.stdout.close()
        record = self.record(task)
        self.assertEqual((record['status'], record['stopReason']), ('killed', 'container stopped'))

    def test_L58_doctor_names_a_pid_1_that_reaps_nothing(self):
        # Python waits for its own children only.
        line = 'import subprocess, sys, time\n' \
               'perdure = sys.argv[1:]\n' \
               'subprocess.run([*perdure, "run", "--wait", "-c", "true"], stdout=subprocess.DEVNULL, check=True)\n' \
               'time.sleep(3.5)\n' \
               'print(subprocess.run([*perdure, "doctor"], stdout=subprocess.PIPE, text=True, check=False).stdout)'
        done = subprocess.run(['unshare', '--pid', '--fork', '--mount-proc', sys.executable, '-c', line, PERDURE, '--session', self.session],
                              stdout=subprocess.PIPE, text=True, check=False, timeout=60)
        self.assertRegex(done.stdout, 'problem +pid 1: .*does not reap')

    def test_L58_the_status_of_the_front_end_is_pid_1s(self):
        outer = self.inside('run', '--wait', '-c', 'exit 7', stdout=subprocess.DEVNULL)
        self.assertEqual(outer.wait(30), 7)


class TrueEnvironment(SessionTest):
    def env_of(self, *options, **kw):
        task = self.run_task(*options, '--', '/usr/bin/env', '-0', **kw)
        self.perdure('wait', task, check=0)
        return dict(item.split('=', 1) for item in self.log(task).decode().split('\0') if item)

    def test_L59_the_folder_follows_cwd(self):
        sub = os.path.join(self.scratch, 'sub')
        os.mkdir(sub)
        env = self.env_of('--cwd', sub, env={'PWD': '/wrong', 'OLDPWD': '/older'})
        self.assertEqual(env['PWD'], sub)
        self.assertNotIn('OLDPWD', env)
        self.assertEqual(self.env_of('--cwd', sub, '--env', 'PWD=/mine')['PWD'], '/mine')

    def test_L59_what_names_descriptors_pids_or_a_terminal_is_left_out(self):
        told = {'MAKEFLAGS': ' -j4 --jobserver-auth=3,4 -k', 'LISTEN_FDS': '1', 'LISTEN_PID': '1', 'LISTEN_FDNAMES': 'x',
                'NOTIFY_SOCKET': '/run/x', 'COLUMNS': '80', 'LINES': '24', 'NODE_CHANNEL_FD': '3', 'NODE_CHANNEL_SERIALIZATION_MODE': 'json',
                'BASH_XTRACEFD': '7', 'MAINPID': '1', 'SYSTEMD_EXEC_PID': '1', 'WATCHDOG_PID': '1', 'WATCHDOG_USEC': '1', 'LISTEN_PIDFDID': '1',
                'SSH_TTY': '/dev/pts/0', 'GPG_TTY': '/dev/pts/0', 'CARGO_MAKEFLAGS': '--jobserver-fds=3,4', 'MFLAGS': '-j4 --jobserver-fds=3,4'}
        env = self.env_of(env=told)
        self.assertEqual([name for name in told if name in env and name not in ('MAKEFLAGS', 'MFLAGS')], [])
        self.assertNotIn('jobserver', env.get('MAKEFLAGS', '') + env.get('MFLAGS', ''))
        self.assertIn('-k', env['MAKEFLAGS'])
        self.assertEqual(self.env_of('--env', 'COLUMNS=7', env=told)['COLUMNS'], '7')


class AcceptedBack(SessionTest):
    def test_L60_a_task_speaks_to_its_own_session_with_its_own_id(self):
        task = self.sh(f'id=$({PERDURE} run --owner "$PERDURE_TASK_ID" -c "exec sleep 300"); {PERDURE} show $PERDURE_TASK_ID >/dev/null && echo $id; exec sleep 300')
        inner = eventually(lambda: self.log(task).decode().strip(), 'it started one')
        self.assertEqual(self.json('show', inner)['owner'], task)
        self.perdure('stop', task, check=0)
        eventually(lambda: self.record(inner)['status'] == 'killed', 'what it owns ends with it')

    def test_L60_stop_all_and_close_leave_out_the_task_that_they_run_in_and_its_owners(self):
        other = self.sh('exec sleep 300')
        outer = self.sh(f'{PERDURE} run --owner "$PERDURE_TASK_ID" -c "{PERDURE} stop --all; {PERDURE} close; echo alive" >/dev/null; exec sleep 300',
                        '--lifetime', 'session')
        eventually(lambda: self.record(other)['status'] == 'killed', 'everything else is stopped')
        eventually(lambda: [t for t in self.json('list', '--all') if t.get('owner') == outer and t['status'] == 'completed'], 'it came to its end')
        self.assertEqual(self.record(outer)['status'], 'running')
        self.perdure('stop', outer, check=0)

    def test_L60_ids_as_other_parts_write_them(self):
        task = self.sh('exit 3')
        self.perdure('wait', task, check=3)
        news = self.json('notifications')[0]['id']
        for text in (task, f'{task}@{self.session}', news, f'task://{task}/output'):
            self.assertEqual(self.json('show', text)['taskId'], task, text)

    def test_L60_over_mcp_and_rpc_too(self):
        task = self.sh('echo hi; exit 3', '--owner', 'me')
        self.perdure('wait', task, check=3)
        news = self.json('notifications', '--owner', 'me')[0]['id']
        forms = (task, f'{task}@{self.session}', news, f'task://{task}', f'task://{task}/output')
        with McpClient(self.session, '--owner', 'me') as client:
            client.initialize()
            for text in forms:
                for tool in ('TaskOutput', 'TaskStop'):
                    self.assertIn(task, json.dumps(client.call(tool, task_id=text)['structuredContent']), (tool, text))
        with Rpc(self.session) as client:
            for text in forms:
                self.assertEqual(client.call("task.get", id=text)["task"]["taskId"], task, text)

    def test_L61_an_option_given_twice_is_refused_and_nothing_runs(self):
        for option, values in (('--owner', ('a', 'b')), ('--cwd', ('/', '/tmp')), ('--idempotency-key', ('a', 'b')), ('--timeout', ('1s', '2s'))):
            done = self.perdure('run', option, values[0], option, values[1], '-c', 'true')
            self.assertEqual(done.returncode, 2, option)
            self.assertIn(f'{option}: expected one value, got 2', done.stderr)
        self.assertEqual(self.json('list', '--all'), [])

    def test_L62_an_answer_that_can_not_be_written(self):
        for line in ('run -c "sleep 300"', 'ask "Which?"'):
            done = subprocess.run(['sh', '-c', f'{PERDURE} --session {self.session} {line} >&-'], stderr=subprocess.PIPE, text=True, check=False)
            self.assertEqual(done.returncode, 0)
            task = re.search(r'(started|asked) (\S+);', done.stderr)[2]
            self.assertEqual(self.json('show', task)['status'], 'running')
            self.perdure('stop', task, check=0)

    def test_L62_ids_of_what_was_done_go_to_stderr_when_the_disk_takes_no_answer(self):
        task = self.sh('exec sleep 300')
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([PERDURE, '--session', self.session, 'stop', '--all'], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, f"perdure: stopped {task}; the answer can't be printed\n"))
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([PERDURE, '--session', self.session, 'run', '--foreground', '-c', 'echo x; sleep 300'], stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False)
        self.assertIn('No space left on device', done.stderr)

    def test_L62_a_condition_that_is_none_is_found_before_anything_starts(self):
        mark = os.path.join(self.scratch, 'ran')
        for option in ('--match', '--ready'):
            done = self.perdure('run', option, '(', '-c', f': > {mark}')
            self.assertEqual(done.returncode, 2, option)
            self.assertEqual(self.json('list', '--all'), [], option)
        self.assertFalse(os.path.exists(mark))

    def test_L61_the_session_is_named_once(self):
        done = self.perdure('list', '--session', self.scratch + '/other')
        self.assertEqual(done.returncode, 2)
        self.assertIn('--session: expected one value, got 2', done.stderr)

    def test_L62_closed_standard_descriptors_become_no_files(self):
        done = subprocess.run(['sh', '-c', f'{PERDURE} --session {self.session} run --wait -c "exit 3" 0<&- 1>&- 2>&-'], check=False)
        self.assertEqual(done.returncode, 0)
        eventually(lambda: [t['exitCode'] for t in self.json('list', '--all')] == [3], 'it ran')


if __name__ == '__main__':
    unittest.main()
