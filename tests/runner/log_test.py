"""What the command writes, and the budget for it: byte for byte, seen from the runner."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from runner_case import RunnerTest, eventually  # noqa: E402
from runner_harness import STOP, TRUNCATE  # noqa: E402


def numbers(n):
    return ''.join(f'{i}\n' for i in range(1, n + 1)).encode()


class Everything(RunnerTest):
    def test_L23_reopening_its_own_output_loses_nothing(self):
        task = self.sh('echo a > /dev/stdout; echo b > /dev/stderr; printf c')
        self.assertEqual(self.ended(task)['outputBytes'], 5)
        self.assertEqual(self.s.output(task), b'a\nb\nc')

    def test_L23_binary_output_is_kept_byte_for_byte(self):
        whole = bytes(range(256)) * 2048 + os.urandom(3_000_001)
        source = os.path.join(self.scratch, 'source')
        with open(source, 'wb') as f:
            f.write(whole)
        task = self.start('/bin/cat', source)
        self.assertEqual(self.ended(task)['outputBytes'], len(whole))
        self.assertEqual(self.s.output(task), whole)

    def test_L23_stdout_and_stderr_are_in_the_order_in_which_they_came(self):
        task = self.sh('for i in {1..2000}; do echo o$i; echo e$i >&2; done')
        self.ended(task)
        self.assertEqual(self.s.output(task).decode().split(), [f'{c}{i}' for i in range(1, 2001) for c in 'oe'])

    def test_L23_what_was_written_right_before_the_end_is_there(self):
        for n in range(20):
            task = self.sh(f'head -c {60_000 + n} /dev/zero; kill -9 $$')
            self.assertEqual(self.ended(task)['outputBytes'], 60_000 + n)
            self.assertEqual(len(self.s.output(task)), 60_000 + n)

    def test_L23_a_command_that_prints_nothing_has_no_log(self):
        task = self.sh('exit 0')
        self.assertEqual(self.ended(task)['outputBytes'], 0)
        self.runner_gone(task)
        self.assertEqual(self.names_in(task), [])

    def test_a_command_that_closes_its_output_runs_on(self):
        task = self.sh('exec > /dev/null 2>&1; until [ -e go ]; do sleep 0.02; done; exit 7', cwd=self.scratch)
        self.assertEqual(self.s.ask(task, 'output'), 'output 0 0 0')
        open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8').close()
        self.assertEqual(self.outcome(task), ('failed', 7, None))

    def test_its_input_is_empty(self):
        task = self.start('/bin/cat')
        self.assertEqual(self.outcome(task), ('completed', 0, None))

    def test_256_mebibytes_leave_the_runner_as_small_as_it_was(self):
        task = self.sh('head -c 1000 /dev/zero; until [ -e go ]; do sleep 0.02; done; head -c 268435456 /dev/zero; echo; echo the end; until [ -e end ]; do sleep 0.02; done',
                       limit=1 << 20, on_limit=TRUNCATE, cwd=self.scratch)
        runner = self.runner_pid(task)
        def peak():
            with open(f'/proc/{runner}/status', encoding='utf-8') as f:
                return int(next(line for line in f if line.startswith('VmHWM')).split()[1])
        before = peak()
        open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8').close()
        eventually(lambda: self.s.ask(task, 'output').split()[1] == str(268435456 + 1000 + 9), 'everything was read')
        after = peak()
        open(os.path.join(self.scratch, 'end'), 'w', encoding='utf-8').close()
        self.assertEqual(self.ended(task)['status'], 'completed')
        print(f'peak resident memory of the runner: {before} KiB before, {after} KiB after 256 MiB')
        self.assertLess(after - before, 512)


class Budget(RunnerTest):
    def test_L24_stop_keeps_exactly_the_budget_and_says_why(self):
        for limit in (1, 4095, 4096, 65536, 65537, 100_000):
            task = self.sh('yes', limit=limit, on_limit=STOP, grace=100)
            record = self.ended(task)
            self.assertEqual(record['status'], 'killed')
            self.assertEqual(record['stopReason'], f'Output limit of {limit} bytes exceeded')
            self.assertEqual(self.s.output(task), (b'y\n' * limit)[:limit])
            self.assertEqual(record['outputBytes'] - record['droppedBytes'], limit)
            self.assertEqual(record['droppedAt'], limit)

    def test_L24_exactly_the_budget_is_no_overflow(self):
        for mode in (STOP, TRUNCATE):
            for limit in (1, 2, 65536, 65537, 300_000):
                record = self.ended(task := self.sh(f'yes | head -c {limit}', limit=limit, on_limit=mode))
                self.assertEqual((record['status'], record['outputBytes']), ('completed', limit))
                self.assertNotIn('droppedBytes', record)
                self.assertNotIn('droppedAt', record)
                self.assertEqual(self.s.output(task), (b'y\n' * limit)[:limit])

    def test_L24_one_byte_more_is_an_overflow(self):
        record = self.ended(self.sh('printf 01234567890', limit=10, on_limit=STOP))
        self.assertEqual((record['status'], record['outputBytes'], record['droppedBytes']), ('killed', 11, 1))
        task = self.sh('printf 01234567890', limit=10, on_limit=TRUNCATE)
        record = self.ended(task)
        self.assertEqual((record['status'], record['outputBytes'], record['droppedBytes'], record['droppedAt']), ('completed', 11, 1, 5))
        self.assertEqual(self.s.output(task), b'01234\n[perdure: 1 bytes dropped here]\n67890')

    def test_L24_truncate_keeps_the_first_and_the_last_half_exactly(self):
        whole = numbers(60_000)
        for limit in (2, 3, 1000, 1001, 4096, 65_536, 100_001, 200_000, len(whole) - 1):
            task = self.sh('seq 1 60000', limit=limit, on_limit=TRUNCATE)
            record = self.ended(task)
            head, tail = whole[:limit // 2], whole[len(whole) - (limit - limit // 2):]
            dropped = len(whole) - limit
            self.assertEqual((record['status'], record['outputBytes'], record['droppedBytes'], record['droppedAt']),
                             ('completed', len(whole), dropped, limit // 2))
            self.assertEqual(self.s.output(task), head + f'\n[perdure: {dropped} bytes dropped here]\n'.encode() + tail, limit)
            self.runner_gone(task)
            self.assertEqual(self.names_in(task), ['output.log'])

    def test_L24_it_does_not_matter_in_which_portions_the_bytes_came(self):
        whole = numbers(3000)
        source = os.path.join(self.scratch, 'source')
        with open(source, 'wb') as f:
            f.write(whole)
        for block in (1, 7, 511, 4097):
            task = self.start('/bin/dd', f'if={source}', f'bs={block}', 'status=none', limit=9000, on_limit=TRUNCATE)
            self.assertEqual(self.ended(task)['droppedBytes'], len(whole) - 9000)
            self.assertEqual(self.s.output(task), whole[:4500] + f'\n[perdure: {len(whole) - 9000} bytes dropped here]\n'.encode() + whole[-4500:])

    def test_L24_a_stopped_tasks_tail_is_put_in_its_place_too(self):
        task = self.sh('seq 1 60000; echo ready; sleep 300', limit=100_000, on_limit=TRUNCATE)
        whole = numbers(60_000) + b'ready\n'
        eventually(lambda: self.s.ask(task, 'output').split()[1] == str(len(whole)), 'everything was read')
        self.stop(task)
        record = self.ended(task)
        self.assertEqual((record['status'], record['droppedBytes']), ('killed', len(whole) - 100_000))
        self.assertTrue(self.s.output(task).endswith(b'60000\nready\n'))

    def test_L24_what_leftovers_print_counts_towards_the_same_budget(self):
        task = self.sh('printf 0123456789; (until [ -e go ]; do sleep 0.02; done; head -c 1000000 /dev/zero; echo end) & exit 0',
                       limit=1000, on_limit=TRUNCATE, cwd=self.scratch)
        record = self.ended(task)
        self.assertEqual((record['outputBytes'], record.get('droppedBytes'), record['droppedAt']), (10, None, 500))
        open(os.path.join(self.scratch, 'go'), 'w', encoding='utf-8').close()
        self.runner_gone(task)
        log = self.s.output(task)
        total = 10 + 1_000_000 + 4
        self.assertEqual(log, b'0123456789' + bytes(490) + f'\n[perdure: {total - 1000} bytes dropped here]\n'.encode() + bytes(496) + b'end\n')

    def test_L24_disk_use_stays_bounded_while_it_writes(self):
        task = self.sh('head -c 400000000 /dev/zero', limit=4 << 20, on_limit=TRUNCATE)
        most = samples = 0
        while self.s.read(task)['status'] == 'running':
            used = 0
            for name in self.names_in(task):
                try:
                    used += os.stat(os.path.join(self.s.folder(task), name)).st_blocks * 512
                except FileNotFoundError:
                    pass
            most, samples = max(most, used), samples + 1
        print(f'400 MB with a budget of 4 MiB: at most {most / 2**20:.2f} MiB on disk in {samples} samples')
        self.assertLess(most, 5 << 20)

    def test_a_budget_of_zero_is_none(self):
        for mode in (STOP, TRUNCATE):
            record = self.ended(self.sh('head -c 1000000 /dev/zero', limit=0, on_limit=mode))
            self.assertEqual((record['status'], record['outputBytes']), ('completed', 1_000_000))


if __name__ == '__main__':
    unittest.main()
