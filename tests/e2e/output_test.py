"""What a command prints, and where it goes."""
import contextlib
import json
import time
import os
import subprocess
import sys
import threading
import unittest
from shlex import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest, eventually  # noqa: E402


def resident_kib(pid):
    with open(f'/proc/{pid}/status', encoding='utf-8') as f:
        for line in f:
            if line.startswith('VmHWM'):
                return int(line.split()[1])
    return 0


def blocks_sigint(pid):
    """A waiting perdure reads Ctrl-C instead of dying of it."""
    with open(f'/proc/{pid}/status', encoding='utf-8') as f:
        return any(line.startswith('SigBlk') and int(line.split()[1], 16) & 2 for line in f)


class Output(SessionTest):
    def test_L23_reopening_its_own_output_loses_nothing(self):
        task = self.run_task('--', 'bash', '-c', 'echo a > /dev/stdout; echo b > /dev/stderr; printf c')
        self.finished(task)
        self.assertEqual(self.log(task), b'a\nb\nc')

    def test_L23_every_byte_is_kept_as_it_is(self):
        source = os.path.join(self.scratch, 'bytes')
        with open(source, 'wb') as f:
            f.write(bytes(range(256)) * 4096 + os.urandom(1 << 20))
        task = self.run_task('--', 'cat', source)
        self.assertEqual(self.finished(task)['outputBytes'], os.path.getsize(source))
        with open(source, 'rb') as f:
            expected = f.read()
        self.assertEqual(self.log(task), expected)
        self.assertEqual(self.perdure('output', task, text=False).stdout, expected)

    def test_L23_a_character_split_over_two_reads_is_kept_whole(self):
        task = self.run_task('--', 'printf', 'ab\\342\\230\\203cd')
        self.finished(task)
        for tail in range(9):
            shown = self.json('output', task, '--tail', f'{tail}B')
            self.assertLessEqual(shown['previewBytes'], tail)
            self.assertEqual(len(shown['preview'].encode()), shown['previewBytes'])
            self.assertNotIn('\ufffd', shown['preview'])
        text, offset = '', 0
        while True:
            window = self.json('output', task, '--offset', str(offset), '--limit', '4')
            text += window['preview']
            if window['eof']:
                break
            self.assertGreater(window['nextOffset'], offset)
            offset = window['nextOffset']
        self.assertEqual(text, 'ab☃cd')

    def test_L23_bytes_that_are_no_text_become_valid_in_json_only(self):
        task = self.run_task('--', 'printf', 'x\\377y')
        self.finished(task)
        self.assertEqual(self.json('output', task)['preview'], 'x\ufffdy')
        self.assertEqual(self.perdure('output', task, text=False).stdout, b'x\xffy')

    def test_L26_escape_sequences_do_not_reach_a_terminal(self):
        import pty
        import select
        task = self.run_task('--description', 'evil \x1b]0;title\x07', '--', 'printf', '\\033[2Jred\\033[31m\\302\\233')
        self.finished(task)
        for verb in (['output', task], ['show', task], ['list', '--all'], ['show', 'bash-\x1b[2J']):
            pid, terminal = pty.fork()
            if pid == 0:
                os.environ['NO_COLOR'] = '1'
                os.environ['TERM'] = 'dumb'
                os.execv(PERDURE, [PERDURE, '--session', self.session, *verb])
            shown = b''
            while select.select([terminal], [], [], 10)[0]:
                try:
                    part = os.read(terminal, 4096)
                except OSError:
                    break
                if not part:
                    break
                shown += part
            os.waitpid(pid, 0)
            os.close(terminal)
            self.assertTrue(shown)
            self.assertNotIn(b'\x1b', shown, verb)
            self.assertNotIn(b'\xc2\x9b', shown, verb)

    def test_L24_stop_at_the_budget_ends_the_command_and_says_so(self):
        task = self.sh('yes', '--output-limit', '100KiB', '--on-output-limit', 'stop')
        record = self.finished(task)
        self.assertEqual((record['status'], len(self.log(task))), ('killed', 102400))
        self.assertIn('Output limit', record['stopReason'])

    def test_L24_output_of_exactly_the_budget_is_no_overflow(self):
        for mode in ('stop', 'truncate'):
            task = self.sh('head -c 5000 /dev/zero', '--output-limit', '5000', '--on-output-limit', mode)
            record = self.finished(task)
            self.assertEqual((record['status'], len(self.log(task))), ('completed', 5000))
            self.assertNotIn('droppedBytes', record)

    def test_L24_truncate_keeps_head_and_tail_and_counts_what_is_between(self):
        task = self.sh('seq 1 300000', '--output-limit', '200KiB')
        record = self.finished(task)
        whole = ''.join(f'{n}\n' for n in range(1, 300001)).encode()
        head, tail = whole[:102400], whole[-102400:]
        dropped = len(whole) - 204800
        self.assertEqual((record['status'], record['outputBytes'], record['droppedBytes']), ('completed', len(whole), dropped))
        self.assertEqual(self.log(task), head + f'\n[perdure: {dropped} bytes dropped here]\n'.encode() + tail)
        error = json.loads(self.perdure('--json', 'output', task, '--offset', '102400', check=1).stdout)['error']
        self.assertEqual((error['code'], error['details']['nextOffset']), ('output.expired', str(len(whole) - 102400)))
        self.assertEqual(self.perdure('output', task, '--offset', str(len(whole) - 7)).stdout, '300000\n')
        self.assertEqual(sorted(os.listdir(os.path.join(self.tasks, task))), ['output.log', 'start'])

    def test_L24_disk_use_stays_bounded_at_every_moment(self):
        task = self.sh('head -c 1500000000 /dev/zero', '--output-limit', '16MiB')
        folder = os.path.join(self.tasks, task)
        most, samples = 0, 0
        while self.record(task)['status'] == 'running':
            try:
                used = sum(os.stat(os.path.join(folder, n)).st_blocks * 512 for n in os.listdir(folder))
            except FileNotFoundError:
                continue
            most, samples = max(most, used), samples + 1
        print(f'1.5 GB with a budget of 16 MiB: at most {most / 2**20:.1f} MiB on disk in {samples} samples')
        self.assertLess(most, 20 << 20)
        self.assertEqual(self.record(task)['droppedBytes'], 1500000000 - (16 << 20))

    def test_L24_ten_gibibytes_never_take_more_than_80_MiB_of_disk(self):
        total, budget = 10 << 30, 64 << 20
        task = self.sh(f'echo head; head -c {total} /dev/zero; echo tail')
        folder, most = os.path.join(self.tasks, task), 0
        while self.record(task)['status'] == 'running':
            used = 0
            for name in os.listdir(folder):
                with contextlib.suppress(FileNotFoundError):
                    used += os.stat(os.path.join(folder, name)).st_blocks * 512
            most = max(most, used)
            time.sleep(0.01)
        record = self.record(task)
        print(f'10 GiB: at most {most >> 20} MiB of disk at a time')
        self.assertLess(most, 80 << 20)
        self.assertEqual(record['outputBytes'], total + 10)
        self.assertEqual(record['droppedBytes'], total + 10 - budget)
        log = self.log(task)
        marker = f"\n[perdure: {record['droppedBytes']} bytes dropped here]\n".encode()
        self.assertEqual(len(log), budget + len(marker))
        self.assertEqual(log[:5], b'head\n')
        self.assertEqual(log[-5:], b'tail\n')
        self.assertEqual(log[budget // 2:budget // 2 + len(marker)], marker)
        self.assertEqual(log.count(0), budget - 10)

    def test_a_gigabyte_of_output_leaves_manager_and_runner_memory_flat(self):
        with subprocess.Popen([PERDURE, '--session', self.session, 'run', '--wait', '--output-limit', '8MiB', '-c', 'head -c 1073741824 /dev/zero'],
                              stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as manager:
            task = manager.stdout.readline().strip()
            runner = self.record(task)['runner']['pid']
            most = {'manager': 0, 'runner': 0}
            while manager.poll() is None:
                for name, pid in (('manager', manager.pid), ('runner', runner)):
                    try:
                        most[name] = max(most[name], resident_kib(pid))
                    except OSError:
                        pass
            self.assertEqual(manager.returncode, 0)
        print(f'peak resident memory while 1 GiB went by: {most} KiB')
        self.assertEqual(self.record(task)['outputBytes'], 1 << 30)
        self.assertLess(most['runner'], 4096)
        self.assertLess(most['manager'], 32768)

    def test_follow_prints_everything_until_the_end(self):
        task = self.sh('for i in 1 2 3 4 5; do echo $i; sleep 0.05; done')
        self.assertEqual(self.perdure('output', task, '--follow', check=0).stdout, '1\n2\n3\n4\n5\n')

    def test_output_path_is_there_only_with_a_log(self):
        loud, quiet = self.sh('echo x'), self.sh('true')
        self.finished(loud)
        self.finished(quiet)
        self.assertEqual(self.perdure('output', '--path', loud, check=0).stdout.strip(), os.path.join(self.tasks, loud, 'output.log'))
        self.perdure('output', '--path', quiet, check=1)
        self.assertIsNone(self.json('output', '--path', quiet)['outputPath'])

    def test_a_reader_that_goes_away_is_no_error(self):
        task = self.sh('seq 1 200000')
        self.finished(task)
        done = subprocess.run(f'{quote(PERDURE)} --session {self.session} output {task} | head -1', shell=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=True)
        self.assertEqual((done.stdout, done.stderr), ('1\n', ''))


class Waiting(SessionTest):
    def test_any_all_and_first_failure(self):
        slow, bad, good = self.sh('sleep 100'), self.sh('exit 9'), self.sh('exit 0')
        self.finished(bad)
        self.finished(good)
        self.assertEqual(self.perdure('wait', '--any', slow, good).returncode, 0)
        self.assertEqual(self.perdure('wait', '--first-failure', slow, good, bad).returncode, 9)
        self.assertEqual(self.perdure('wait', bad, good).returncode, 1)
        self.perdure('stop', slow, check=0)

    def test_a_time_out_is_75_and_the_task_runs_on(self):
        task = self.sh('sleep 100')
        self.perdure('wait', task, '--timeout', '0.1', check=75)
        answer = json.loads(self.perdure('--json', 'wait', task, '--timeout', '0', check=75).stdout)
        self.assertEqual((answer['timedOut'], [r['taskId'] for r in answer['running']]), (True, [task]))
        self.assertEqual(self.record(task)['status'], 'running')
        self.perdure('stop', task, check=0)

    def test_interrupting_a_wait_leaves_the_task_running(self):
        import signal
        task = self.sh('sleep 100')
        with subprocess.Popen([PERDURE, '--session', self.session, 'wait', task], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as waiter:
            eventually(lambda: blocks_sigint(waiter.pid), 'it waits')
            waiter.send_signal(signal.SIGINT)
            self.assertEqual(waiter.wait(timeout=10), 130)
        self.assertEqual(self.record(task)['status'], 'running')
        self.perdure('stop', task, check=0)

    def test_match_sees_a_line_and_an_end_without_one(self):
        task = self.sh('echo starting; sleep 0.2; echo Listening on port 80; sleep 100')
        self.perdure('wait', task, '--match', r'Listening on port (\d+)$', check=0)
        self.perdure('wait', task, '--match', 'never', '--timeout', '0.1', check=75)
        self.perdure('stop', task, check=0)
        self.perdure('wait', task, '--match', 'never', check=1)
        self.perdure('wait', task, '--match', '(', check=2)

    def test_ready_sees_a_port_that_opens(self):
        import socket
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        server = f'import socket,time; time.sleep(0.3); s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(("127.0.0.1",{port})); s.listen(); time.sleep(100)'
        task = self.run_task('--', sys.executable, '-c', server)
        self.perdure('wait', task, '--ready', f'tcp:{port}', '--timeout', '20', check=0)
        self.perdure('stop', task, check=0)
        self.perdure('wait', task, '--ready', f'tcp:{port}', check=1)

    def test_without_ids_all_active_tasks_but_not_its_own(self):
        inner = f'{quote(PERDURE)} --session {self.session} wait; echo waited'
        other = self.sh('sleep 0.3')
        task = self.sh(inner)
        self.assertEqual(self.perdure('wait', '--timeout', '20').returncode, 0)
        self.assertEqual(self.record(other)['status'], 'completed')
        self.assertIn(b'waited', self.log(task))

    def test_L43_a_task_does_not_wait_for_itself(self):
        task = self.sh(f'{quote(PERDURE)} --session {self.session} --json wait $PERDURE_TASK_ID')
        self.assertEqual(self.finished(task)['exitCode'], 1)
        self.assertIn(b'task.wait_cycle', self.log(task))

    def test_many_waiters_all_hear_of_the_end(self):
        task = self.sh('sleep 0.5; exit 6')
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.perdure('wait', task).returncode)) for _ in range(30)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(results, [6] * 30)

    def test_events_tell_of_every_start_and_end_in_order(self):
        with subprocess.Popen([PERDURE, '--session', self.session, 'events', '--follow', '--since', '0'], stdout=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL) as follower:
            tasks = [self.sh(f'echo {n}') for n in range(5)]
            for task in tasks:
                self.finished(task)
            told = {}
            while len(told) < 10:
                event = json.loads(follower.stdout.readline())
                told[(event['type'], event['info']['taskId'])] = event
            follower.terminate()
        self.assertEqual(set(told), {(kind, t) for kind in ('task.started', 'task.terminated') for t in tasks})
        replay = [json.loads(line) for line in self.perdure('events', check=0).stdout.splitlines()]
        self.assertEqual([e['seq'] for e in replay], sorted(e['seq'] for e in replay))
        self.assertEqual({(e['type'], e['info']['taskId'], e['seq']) for e in replay}, {(*k, e['seq']) for k, e in told.items()})
        since = replay[4]['seq']
        self.assertEqual([json.loads(x)['seq'] for x in self.perdure('events', '--since', str(since)).stdout.splitlines()], [e['seq'] for e in replay[5:]])


if __name__ == '__main__':
    unittest.main()
