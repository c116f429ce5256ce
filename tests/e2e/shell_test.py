"""Perdure at the shell: ids that are quick to write, names, aliases, output on a terminal, conditions (I10-I22, I40-I45)."""
import json
import os
import pty
import select
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually  # noqa: E402


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


SERVER = 'import socket,time; s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",{port})); s.listen(); time.sleep(60)'


class ShellTest(SessionTest):
    def stop(self, *tasks):
        self.perdure('stop', '--grace', '0', *tasks, check=0)

    def on_terminal(self, *args, columns=80, env=None):
        """(output, exit status) of the program with a terminal of its own as its streams."""
        pid, fd = pty.fork()
        if pid == 0:
            import fcntl
            import struct
            import termios
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
            os.execve(PERDURE, [PERDURE, '--session', self.session, *args],
                      {**os.environ, 'XDG_CONFIG_HOME': self.config_home, 'TERM': 'xterm', **(env or {})})
        text = b''
        while True:
            if not select.select([fd], [], [], 60)[0]:
                break
            try:
                part = os.read(fd, 65536)
            except OSError:
                break
            if not part:
                break
            text += part
        os.close(fd)
        return text.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Ids(ShellTest):
    def test_I21_a_prefix_the_last_eight_and_the_newest(self):
        first = self.sh('echo one')
        self.finished(first)
        second = self.sh('echo two')
        self.finished(second)
        for text in (first[:len(first) - 4], first[-8:], '@2'):
            self.assertEqual(self.perdure('output', text, check=0).stdout, 'one\n', text)
        self.assertEqual(self.perdure('output', '@1', check=0).stdout, 'two\n')
        self.assertEqual(self.perdure('output', '@3').returncode, 1)
        self.assertEqual(self.perdure('output', 'bash-').returncode, 1)

    def test_I21_what_is_ambiguous_names_the_candidates(self):
        for name in ('bash-aaaa0001', 'bash-aaaa0002'):
            task = self.sh('true')
            self.finished(task)
            record = self.record(task)
            record['taskId'] = name
            with open(self.path(name), 'w', encoding='utf-8') as f:
                json.dump(record, f)
        done = self.perdure('show', 'bash-aaaa', check=2)
        self.assertIn('bash-aaaa0001', done.stderr)
        self.assertIn('bash-aaaa0002', done.stderr)

    def test_I21_what_acts_wants_a_terminal_or_yes(self):
        task = self.sh('sleep 100')
        done = self.perdure('stop', '@1', check=2)
        self.assertIn(task, done.stderr)
        self.assertEqual(self.record(task)['status'], 'running')
        self.perdure('stop', '@1', '--yes', '--grace', '0', check=0)
        self.assertEqual(self.record(task)['status'], 'killed')

    def test_I21_programs_write_whole_ids(self):
        self.finished(self.sh('true'))
        self.assertNotEqual(self.perdure('--json', 'show', '@1').returncode, 0)


class Names(ShellTest):
    def test_I20_what_is_no_name_is_refused(self):
        for name in ('', '1st', 'a b', 'x' * 64, 'bash-12345678', 'agent', 'process'):
            self.assertEqual(self.perdure('run', '--name', name, '-c', 'true').returncode, 2, name)
        self.assertFalse(os.path.exists(self.tasks) and self.task_names())

    def test_I22_a_second_start_returns_the_live_task(self):
        task = self.sh('sleep 100', '--name', 'dev')
        self.assertEqual(self.record(task)['name'], 'dev')
        again = self.json('run', '--name', 'dev', '-c', 'sleep 100')
        self.assertEqual((again['taskId'], again['existing'], again['sameCommand']), (task, True, True))
        other = self.json('run', '--name', 'dev', '-c', 'sleep 99')
        self.assertEqual((other['taskId'], other['sameCommand']), (task, False))
        self.assertIn('runs already', self.perdure('run', '--name', 'dev', '-c', 'sleep 100').stderr)
        self.assertEqual(len(self.json('list')), 1)
        self.stop('dev')

    def test_I22_refuse_starts_nothing(self):
        task = self.sh('sleep 100', '--name', 'dev')
        done = self.perdure('--json', 'run', '--name', 'dev', '--if-running', 'refuse', '-c', 'true', check=1)
        self.assertEqual(json.loads(done.stdout)['error']['details']['task'], task)
        self.assertEqual(len(self.json('list', '--all')), 1)
        self.stop(task)

    def test_I22_replace_ends_the_old_one_first(self):
        old = self.sh('sleep 100', '--name', 'dev')
        # A command that is not there must not cost the live task.
        self.perdure('run', '--name', 'dev', '--if-running', 'replace', '--', '/nowhere', check=127)
        self.assertEqual(self.record(old)['status'], 'running')
        new = self.run_task('--name', 'dev', '--if-running', 'replace', '-c', 'sleep 100')
        self.assertNotEqual(new, old)
        self.assertEqual((self.record(old)['status'], self.record(old)['stopReason']), ('killed', f'Replaced by {new}'))
        self.assertEqual(self.json('show', 'dev')['taskId'], new)
        self.stop('dev')

    def test_I22_of_many_at_once_one_starts(self):
        running = [subprocess.Popen([PERDURE, '--session', self.session, 'run', '--name', 'dev', '-c', 'sleep 100'],
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(8)]
        ids = {p.communicate()[0].strip() for p in running}
        self.assertEqual(len(ids), 1, ids)
        self.assertEqual(len(self.json('list')), 1)
        self.stop(*ids)

    def test_I21_a_name_stands_for_the_live_task_else_the_last(self):
        task = self.sh('echo hello', '--name', 'dev')
        self.finished(task)
        self.assertEqual(self.perdure('output', 'dev', check=0).stdout, 'hello\n')
        self.assertIn('no live task', self.perdure('stop', 'dev', check=1).stderr)
        again = self.sh('sleep 100', '--name', 'dev')
        self.assertEqual(self.json('show', 'dev')['taskId'], again)
        self.assertEqual([t['taskId'] for t in self.json('list', '--all', '--name', 'dev')], [task, again])
        self.stop(again)


class Words(ShellTest):
    def test_I44_words_of_other_tools(self):
        task = self.sh('echo hello')
        self.finished(task)
        for word in ('ls', 'ps', 'status'):
            self.assertIn(task, self.perdure(word, '-a', check=0).stdout, word)
        for word in ('logs', 'log', 'tail'):
            self.assertEqual(self.perdure(word, '-n', '1', task, check=0).stdout, 'hello\n', word)
        self.assertIn('completed', self.perdure('status', task, check=0).stdout)
        self.assertIn('perdure list:', self.perdure('help', 'ps', check=0).stdout)
        self.perdure('rm', task, check=0)
        self.assertEqual(self.json('list', '--all'), [])
        live = self.perdure('start', '-c', 'sleep 100', check=0).stdout.strip()
        self.perdure('kill', '-KILL', live, check=0)
        self.assertEqual(self.finished(live)['signal'], 9)

    def test_N10_verbs_without_arguments_refuse_them(self):
        for verb in ('gc', 'doctor', 'events', 'version', 'list'):
            self.assertIn('takes no arguments', self.perdure(verb, 'bash-12345678', check=2).stderr, verb)

    def test_N12_the_hint_can_be_pasted(self):
        for words, hint in ((['ls', '-la'], 'perdure run -- ls -la'),
                            (["echo 'hi'; sleep 1"], """perdure run -c 'echo '\\''hi'\\''; sleep 1'"""),
                            (['--timeout', '5s', 'make', 'a b'], "perdure run --timeout 5s -- make 'a b'")):
            self.assertIn(hint, self.perdure('run', *words, check=2).stderr.replace(f' --session {self.session}', ''))

    def test_labels_and_since(self):
        one = self.sh('true', '--label', 'app=web')
        two = self.sh('true', '--label', 'app=db', '--label', 'x=')
        for task in (one, two):
            self.finished(task)
        ids = lambda *args: [t['taskId'] for t in self.json('list', '--all', *args)]  # noqa: E731
        self.assertEqual(ids('--label', 'app=web'), [one])
        self.assertEqual(ids('--label', 'app'), [one, two])
        self.assertEqual(ids('--label', 'app', '--label', 'x'), [two])
        self.assertEqual(ids('--since', '10m'), [one, two])
        self.assertEqual(ids('--since', '2099-01-01'), [])
        self.perdure('list', '--since', 'yesterdayish', check=2)


class OutputOnATerminal(ShellTest):
    def test_I40_tail_counts_lines(self):
        task = self.sh('seq 1 1000')
        self.finished(task)
        self.assertEqual(self.perdure('output', task, '--tail', '2', check=0).stdout, '999\n1000\n')
        self.assertEqual(self.json('output', task, '--tail', '2')['preview'], '999\n1000\n')
        self.assertEqual(self.perdure('output', task, '--tail', '0', check=0).stdout, '')
        self.assertEqual(self.perdure('output', task, '--tail', '5000', check=0).stdout, ''.join(f'{i}\n' for i in range(1, 1001)))
        # Bytes begin at a line, too.
        self.assertEqual(self.perdure('output', task, '--tail', '7B', check=0).stdout, '1000\n')
        self.assertEqual(self.perdure('output', task, '-n', '100001', check=2).stdout, '')

    def test_I40_a_long_line_is_cut_at_a_character(self):
        task = self.sh("printf 'é%.0s' $(seq 1 100)")
        self.finished(task)
        self.assertEqual(self.perdure('output', task, '--tail', '5B', check=0).stdout, 'éé')

    def test_I41_colours_stay_and_carriage_returns_write_over(self):
        task = self.sh(r"printf '\r\033[K[#] 1/2\r\033[K[##] \033[32mok\033[0m\n\033]0;title\007end\n'")
        self.finished(task)
        shown, _ = self.on_terminal('output', task, env={'NO_COLOR': ''})
        self.assertEqual(shown, '[##] \033[32mok\033[0m\r\n^[]0;title^Gend\r\n')
        self.assertEqual(self.on_terminal('output', task, env={'NO_COLOR': '1'})[0], '[##] ok\r\n^[]0;title^Gend\r\n')
        self.assertIn('\033]0;title\007', self.on_terminal('output', task, '--raw')[0])
        self.assertIn(b'\r\033[K[#] 1/2', self.perdure('output', task, check=0, text=False).stdout)

    def test_I42_no_row_is_wider_than_the_terminal(self):
        task = self.sh('sleep 100', '--owner', 'claude-code@/home/me/a/b/src/my-web-project', '--description', 'Start the server')
        for columns in (80, 100, 140):
            shown, _ = self.on_terminal('list', columns=columns, env={'NO_COLOR': '1'})
            for line in shown.splitlines():
                self.assertLessEqual(len(line), columns)
            self.assertIn(task, shown)
            self.assertIn('Start the server', shown)
        self.assertIn('my-web-project', shown)
        self.stop(task)

    def test_I43_open_questions_and_bad_records(self):
        question = self.perdure('ask', 'Which?', check=0).stdout.strip()
        self.assertRegex(self.perdure('list', check=0).stdout, f'{question}  open')
        done = self.perdure('wait', '--timeout', '100ms', check=75)
        self.assertIn('Which?', done.stderr)
        with open(self.path('bash-aaaaaaaa'), 'w', encoding='utf-8') as f:
            f.write('{')
        self.assertIn('1 file is not a record', self.perdure('list', '--all', check=0).stderr)
        self.stop(question)

    def test_I45_several_at_once(self):
        one, two = self.sh('echo a; echo b'), self.sh('echo c')
        for follow in ((), ('--follow',)):
            shown = self.perdure('output', *follow, one, two, check=0).stdout
            self.assertEqual(sorted(shown.splitlines()), sorted([f'{one}  a', f'{one}  b', f'{two}  c']))

    def test_I45_values_are_completed(self):
        script = self.perdure('completion', 'bash', check=0).stdout
        self.assertIn("run:--leftovers) words='keep kill wait'", script)
        self.assertIn("list:--status) words='queued running", script)

    def completed(self, *words):
        """What bash offers for the last of the words."""
        script = self.perdure('completion', 'bash', check=0).stdout
        line = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _perdure; printf "%s\\n" "${COMPREPLY[@]}"'
        folder = os.path.dirname(PERDURE)
        done = subprocess.run(['bash', '-c', script + line, 'bash', 'perdure', *words], capture_output=True, text=True, timeout=60,
                              check=False, env={**os.environ, 'PATH': f"{folder}:{os.environ['PATH']}", 'PERDURE_SESSION': self.session})
        return done.stdout.split()

    def test_I45_only_what_makes_sense_is_offered(self):
        ended, live = self.sh('true'), self.sh('sleep 100')
        self.finished(ended)
        self.assertEqual(self.completed('stop', ''), [live])
        self.assertEqual(sorted(self.completed('--session', self.session, 'output', '')), sorted([ended, live]))
        self.assertEqual(self.completed('run', '--leftovers', 'k'), ['keep', 'kill'])
        self.assertEqual(self.completed('completion', ''), ['bash', 'zsh', 'fish', '--json', '--session', '--help'])
        self.assertIn('mkdir', self.completed('run', '--', 'mkd'))
        self.stop(live)


class Conditions(ShellTest):
    def test_I11_a_prompt_is_matched(self):
        task = self.sh('printf "Continue? [y/N] "; sleep 100')
        self.perdure('wait', task, '--match', 'Continue', '--timeout', '20', check=0)
        # `$` holds once nothing more comes.
        self.perdure('wait', task, '--match', r'N\] $', '--timeout', '20', check=0)
        self.perdure('wait', task, '--match', 'Never', '--timeout', '300ms', check=75)
        self.stop(task)

    def test_I11_an_end_of_line_waits_for_the_line(self):
        task = self.sh('printf ab; sleep 0.05; echo c; sleep 100')
        self.perdure('wait', task, '--match', '^abc$', '--timeout', '20', check=0)
        self.stop(task)

    def test_I11_a_pattern_takes_linear_time(self):
        task = self.sh('head -c 16000 /dev/zero | tr "\\0" a; echo b; echo end; sleep 100')
        began = time.monotonic()
        self.perdure('wait', task, '--match', '^(a|aa|a*)*$', '--timeout', '1', check=75)
        self.perdure('wait', task, '--match', '(a*)*c|end', '--timeout', '20', check=0)
        self.assertLess(time.monotonic() - began, 15)
        self.stop(task)

    def test_I11_a_bad_pattern_says_why(self):
        for pattern, why in (('(', 'missing )'), ('a(?!b)', 'lookaround'), (r'(a)\1', 'back-references')):
            for verb in (('wait', 'bash-00000000'), ('run',)):
                done = self.perdure(*verb, '--match', pattern, *(('-c', 'true') if verb == ('run',) else ()), check=2)
                self.assertIn('not a valid regular expression', done.stderr)
                self.assertIn(why, done.stderr)
        self.assertEqual(self.perdure('list', '--all', '--json', check=0).stdout.strip(), '[]')

    def test_I11_since_now(self):
        task = self.sh('echo ready; sleep 100')
        self.perdure('wait', task, '--match', 'ready', check=0)
        self.perdure('wait', task, '--match', 'ready', '--since-now', '--timeout', '300ms', check=75)
        self.stop(task)

    def server(self, port, *options, before=''):
        return [*options, '-c', f"{before}exec python3 -c '{SERVER.format(port=port)}'"]

    def test_I10_I12_run_returns_when_the_task_listens(self):
        port = free_port()
        task = self.perdure('run', '--ready', f'tcp:{port}', '--ready-timeout', '30', *self.server(port), check=0).stdout.strip()
        socket.create_connection(('127.0.0.1', port), 5).close()
        self.stop(task)

    def test_I12_a_foreign_listener_is_an_error_that_names_it(self):
        with socket.socket() as mine:
            mine.bind(('127.0.0.1', 0))
            mine.listen()
            port = mine.getsockname()[1]
            task = self.perdure('run', '-c', 'sleep 100', check=0).stdout.strip()
            for done in (self.perdure('wait', task, '--ready', f'tcp:{port}', '--timeout', '20', check=1),
                         self.perdure('run', '--ready', f'tcp:{port}', '--ready-timeout', '20', '-c', 'sleep 100', check=1)):
                self.assertIn(f'pid {os.getpid()}', done.stderr)
            self.perdure('wait', task, '--ready', f'tcp:any:{port}', check=0)
            self.perdure('stop', '--all', '--grace', '0', check=0)

    def test_I12_an_address_in_use_is_reported(self):
        with socket.socket() as mine:
            mine.bind(('127.0.0.1', 0))  # bound and not listening: the command fails by itself
            port = mine.getsockname()[1]
            done = self.perdure('run', '--ready', f'tcp:{port}', '--ready-timeout', '30', *self.server(port), check=1)
            self.assertIn('Address already in use', done.stderr)

    def test_I10_time_passes_and_the_task_runs_on(self):
        done = self.perdure('run', '--ready', f'tcp:{free_port()}', '--ready-timeout', '300ms', '-c', 'sleep 100', check=75)
        task = done.stdout.strip()
        self.assertEqual(self.record(task)['status'], 'running')
        self.stop(task)
        self.assertEqual(self.perdure('run', '--match', 'x', '-c', 'true').returncode, 1)
        self.assertEqual(self.perdure('run', '--match', 'x', '--foreground', '-c', 'true').returncode, 2)

    def test_I13_http(self):
        port = free_port()
        task = self.perdure('run', '--ready', f'http://localhost:{port}/', '--ready-timeout', '40', '--',
                            'python3', '-m', 'http.server', str(port), '--bind', '127.0.0.1', check=0).stdout.strip()
        self.perdure('wait', task, '--ready', f'http://127.0.0.1:{port}/nowhere', '--timeout', '20', check=0)
        self.stop(task)
        self.perdure('wait', task, '--ready', 'http://example.org/', check=2)

    def test_stop_signal(self):
        task = self.sh('trap "echo int; exit 0" INT; trap "" TERM; echo up; while :; do sleep 0.05; done', '--stop-signal', 'int')
        self.perdure('wait', task, '--match', 'up', check=0)
        self.assertEqual(self.record(task)['stopSignal'], 2)
        self.perdure('stop', task, '--grace', '20s', check=0)
        self.assertIn(b'int', self.log(task))


class Rerun(ShellTest):
    def test_I23_the_same_starts_again(self):
        task = self.sh('echo "$WORD in $(pwd) $1"; cat; exit 3', '--cwd', self.scratch, '--env', 'WORD=it"s', '--label', 'a=b', '--owner', 'me',
                       '--timeout', '50s', '--stop-signal', 'INT', '--output-limit', '100KiB', '--leftovers', 'kill')
        self.finished(task)
        again = self.perdure('rerun', task, check=0, cwd='/').stdout.strip()
        self.assertNotEqual(again, task)
        first, second = self.record(task), self.finished(again)
        for key in ('command', 'cwd', 'labels', 'owner', 'timeoutMs', 'stopSignal', 'exitCode', 'description'):
            self.assertEqual(first[key], second[key], key)
        self.assertEqual(self.log(again), f'it"s in {self.scratch} \n'.encode())
        done = self.perdure('rerun', '--wait', '--json', again, check=3)
        self.assertEqual(json.loads(done.stdout.splitlines()[-1])['exitCode'], 3)
        argv = self.run_task('--', 'printf', '%s|', 'a b', "it's", '')
        self.finished(argv)
        third = self.perdure('rerun', argv, check=0).stdout.strip()
        self.finished(third)
        self.assertEqual(self.log(third), b"a b|it's||")
        self.assertEqual(os.stat(os.path.join(self.tasks, argv, 'start')).st_mode & 0o777, 0o600)
        self.perdure('remove', argv, check=0)
        self.assertFalse(os.path.exists(os.path.join(self.tasks, argv)))

    def test_I23_a_live_task_is_replaced_only_if_that_is_said(self):
        task = self.sh('echo up; sleep 100', '--name', 'dev')
        self.assertIn('--if-running replace', self.perdure('rerun', task, check=1).stderr)
        self.assertEqual(self.perdure('rerun', 'dev', '--if-running', 'return', check=0).stdout.strip(), task)
        second = self.perdure('restart', 'dev', check=0).stdout.strip()
        self.assertNotEqual(second, task)
        self.assertEqual((self.record(task)['status'], self.record(second)['status']), ('killed', 'running'))
        self.assertIn('Replaced by', self.record(task)['reason'] if 'reason' in self.record(task) else json.dumps(self.record(task)))
        self.stop(second)
        unnamed = self.sh('sleep 100')
        third = self.perdure('rerun', unnamed, '--if-running', 'replace', check=0).stdout.strip()
        self.assertEqual((self.record(unnamed)['status'], self.record(third)['status']), ('killed', 'running'))
        self.stop(third)

    def test_I23_L51_what_nobody_signed_is_refused_with_a_line_to_paste(self):
        task = self.sh("echo it\\'s", '--cwd', self.scratch)
        self.finished(task)
        start = os.path.join(self.tasks, task, 'start')
        with open(start, encoding='utf-8') as f:
            text = f.read()
        with open(start, 'w', encoding='utf-8') as f:
            f.write(text.replace('echo it', 'echo no'))
        done = self.perdure('rerun', task, check=2)
        line = done.stderr.split('`')[1]
        self.assertTrue(line.startswith('perdure run --cwd'), line)
        pasted = subprocess.run(['sh', '-c', line.replace('perdure', f'{PERDURE} --session {self.session}', 1)], capture_output=True, text=True,
                                check=True, timeout=60).stdout.strip()
        self.finished(pasted)
        self.assertEqual(self.log(pasted), b"it's\n")
        other = self.sh('true')
        self.finished(other)
        with open(start, 'w', encoding='utf-8') as f:
            f.write(text)
        os.replace(start, os.path.join(self.tasks, other, 'start'))  # another task's
        self.assertIn('this user signed', self.perdure('rerun', other, check=2).stderr)
        self.assertEqual(len(self.json('list', '--all')), 3)

    def test_I21_it_acts(self):
        task = self.sh('true')
        self.finished(task)
        self.assertIn('--yes', self.perdure('rerun', '@1', check=2).stderr)
        self.finished(self.perdure('rerun', '@1', '--yes', check=0).stdout.strip())


class After(ShellTest):
    def gate(self, name, status=0):
        return self.sh(f'until [ -e {self.scratch}/{name} ]; do sleep 0.02; done; exit {status}')

    def open(self, name):
        with open(os.path.join(self.scratch, name), 'w', encoding='utf-8'):
            pass

    def test_L05_all_must_complete(self):
        one, two = self.gate('one'), self.gate('two')
        task = self.sh('echo ran', '--after', one, '--after', two)
        self.open('one')
        self.finished(one)
        self.assertRegex(self.perdure('list', check=0).stdout, f'{task}  queued')
        self.assertIn(f'{one}, {two}', self.perdure('show', task, check=0).stdout)
        self.open('two')
        self.assertEqual(self.finished(task)['status'], 'completed')

    def test_L05_the_first_that_fails_ends_it(self):
        one, two = self.gate('one'), self.gate('two', 1)
        task = self.sh('echo ran', '--after', one, '--after', two)
        self.open('two')
        ended = self.finished(task)
        self.assertEqual(ended['status'], 'killed')
        self.assertIn(two, json.dumps(ended))
        self.assertEqual(self.record(one)['status'], 'running')
        self.open('one')
        self.finished(one)

    def test_L05_however_they_end(self):
        one, two = self.gate('one', 1), self.gate('two')
        task = self.sh('echo ran', '--after-any', one, '--after', two)
        self.assertIn('however it ends', self.perdure('show', task, check=0).stdout)
        self.open('one')
        self.finished(one)
        self.open('two')
        self.assertEqual(self.finished(task)['status'], 'completed')
        self.perdure('run', '--after-any', 'bash-00000000', '-c', 'true', check=1)


class Screen(ShellTest):
    def test_I41_the_screen_of_a_terminal(self):
        task = self.run_task('--pty', '-c', r"printf 'one\ntwo\033[H\033[2Jthree\033[3;5Hfour\033]0;title\007'")
        self.finished(task)
        self.assertEqual(self.perdure('output', '--screen', task, check=0).stdout, 'three\n\n    four\n')
        self.assertEqual(self.json('output', '--screen', task), {'screen': 'three\n\n    four\n', 'rows': 24, 'columns': 80})
        self.perdure('output', '--screen', '--follow', task, check=2)

    def test_I41_in_the_size_that_it_has(self):
        line = f"{PERDURE} --session {self.session} run --pty -c 'stty size; sleep 100'"
        done = subprocess.run(['script', '-qec', f'stty rows 11 columns 37; {line}', '/dev/null'], capture_output=True, text=True, timeout=60, check=True,
                              stdin=subprocess.DEVNULL)
        task = done.stdout.strip()
        eventually(lambda: b'37' in self.log(task), 'it has printed')
        for _ in range(2):
            shown = self.json('output', '--screen', task)
            self.assertEqual((shown['screen'], shown['rows'], shown['columns']), ('11 37\n', 11, 37))
            self.stop(task)

    def test_reports_11_show_prints_the_last_state_of_a_line(self):
        task = self.sh(r"i=0; while [ $i -lt 500 ]; do printf '\rprogress %d%%' $i; i=$((i+1)); done; echo; echo done")
        self.finished(task)
        shown = self.perdure('show', task, check=0).stdout
        self.assertIn('progress 499%', shown)
        self.assertNotIn('progress 498%', shown)

    def test_long_ones_go_through_a_pager(self):
        task = self.sh('true', *[word for i in range(40) for word in ('--label', f'l{i}=v')])
        self.finished(task)
        shown, _ = self.on_terminal('show', task, env={'PAGER': 'sed s/^/paged:/'})
        self.assertIn('paged:', shown)
        self.assertIn('l39=v', shown)
        for pager in ('cat', '', 'no-such-pager-here'):
            shown, status = self.on_terminal('show', task, env={'PAGER': pager})
            self.assertIn('l39=v', shown)
            self.assertEqual(status, 0)
        short = self.sh('true')
        self.finished(short)
        self.assertNotIn('paged:', self.on_terminal('show', short, env={'PAGER': 'sed s/^/paged:/'})[0])
        self.assertNotIn('paged:', self.perdure('show', task, env={'PAGER': 'sed s/^/paged:/'}, check=0).stdout)


class Rows(ShellTest):
    """Rows of the shell review that no other test names."""

    def test_N08_the_id_in_the_environment_is_an_id(self):
        task = self.sh(f'{PERDURE} extend $PERDURE_TASK_ID --timeout 10m')
        self.assertEqual(self.finished(task)['timeoutMs'], 600000)

    def test_N15_a_task_without_an_owner_goes_told_or_not(self):
        self.finished(self.sh('true'))
        owned = self.sh('true', '--owner', 'me')
        self.finished(owned)
        self.perdure('gc', '--older-than', '0s', check=0)
        self.assertEqual([task['taskId'] for task in self.json('list', '--all')], [owned])

    def test_N16_N21_leftovers_are_told_as_they_are(self):
        task = self.sh('setsid sleep 100 & echo')
        self.finished(task)
        self.assertIn('left processes', self.perdure('list', check=0).stdout)
        self.assertIn('1 process outlived the command, and live on', self.perdure('show', task, check=0).stdout)
        self.perdure('remove', task, check=1)
        self.stop(task)
        self.assertIn('none lives any more', self.perdure('show', task, check=0).stdout)

    def test_N19_a_misspelt_variable_is_named(self):
        env = {'PERDURE_MAX_RUNING_TASKS': '3'}
        for done in (self.perdure('config', env=env, check=0).stderr, self.perdure('doctor', env=env, check=0).stdout):
            self.assertIn('PERDURE_MAX_RUNING_TASKS', done)
            self.assertIn('did you mean PERDURE_MAX_RUNNING_TASKS', done)
        self.assertNotIn('no such variable', self.perdure('doctor', check=0).stdout)

    def test_N24_a_gap_names_its_place(self):
        task = self.sh("head -c 300000 /dev/zero | tr '\\0' x", '--output-limit', '64KiB')
        self.finished(task)
        self.assertIn('dropped at offset 32768', self.perdure('output', task, check=0).stderr)


if __name__ == '__main__':
    unittest.main()
