"""The keys of the list and the log (V60)."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from screen_case import ScreenTest, eventually  # noqa: E402


class Log(ScreenTest):
    def open(self, command, rows=24, columns=80, **kw):
        task = self.ended_task(command)
        top = self.top(rows=rows, columns=columns, **kw)
        top.shows(task[-8:])
        top.press('\r', f'{task} ·')
        return top

    def body(self, top):
        return [line for line in top.lines()[2:-1] if line]

    def test_V60_it_opens_at_the_end_and_moves(self):
        top = self.open('seq -f "line %g" 1000')
        top.shows('line 1000', 'follow')
        self.assertEqual(self.body(top)[-1], 'line 1000')
        top.press('k', 'line 979')
        top.hides('· follow')
        self.assertEqual(self.body(top)[-1], 'line 999')
        top.keys('g')
        top.until(lambda: self.body(top)[0] == 'line 1', 'it is at the begin')
        top.keys('\x1b[6~')
        top.until(lambda: self.body(top)[0] == 'line 21', 'a page further')
        top.keys('\x04')
        top.until(lambda: self.body(top)[0] == 'line 31', 'half a page')
        top.keys('\x15\x1b[5~')
        top.until(lambda: self.body(top)[0] == 'line 1', 'and back')
        top.keys('\x1b[B' * 3)
        top.until(lambda: self.body(top)[0] == 'line 4', 'arrows')
        top.press('\x1b[F', 'line 1000', 'follow')

    def test_V60_keys_typed_ahead_act_on_the_screen_that_they_opened(self):
        task = self.ended_task('seq -f "line %g" 1000')
        top = self.top(rows=24, columns=80)
        top.shows(task[-8:], 'line 1000')
        top.press('\rk', 'line 979')
        self.assertEqual(self.body(top)[-1], 'line 999')

    def test_V60_search_counts_truly_and_goes_round(self):
        top = self.open('seq -f "line %g" 5000')
        top.press('g', 'line 1')
        top.press('/99\r', '1/95')
        top.shows('line 99')
        top.press('n', '2/95', 'line 199')
        top.press('N', '1/95')
        top.press('N', '95/95', 'line 4999')
        top.press('?line 1$\r', '1/1')
        top.press('/no such thing\r', '/no such thing 0')
        top.keys('\x1b')
        top.hides('/no such')

    def test_V60_a_pattern_is_text_or_an_expression(self):
        top = self.open('echo "a(b"; echo Abc; echo abc')
        top.press('/a(b\r', '1/1')
        top.press('/^abc$\r', '/2')
        top.press('/Abc\r', '1/1')

    def test_V60_filter_and_context(self):
        top = self.open('seq -f "line %g" 3000')
        top.press('&line 1000\r', 'filter: line 1000 · 1')
        self.assertEqual(self.body(top), ['line 1000'])
        top.press('\r', 'line 1001', 'line 999')
        top.press('&7\r', 'filter: 7')
        top.until(lambda: self.body(top)[:3] == ['line 7', 'line 17', 'line 27'], 'only these lines')
        top.press('jj\r', 'line 26', 'line 28')

    def test_V60_wrap_and_no_wrap(self):
        top = self.open("printf '%0.sx' $(seq 200); echo end", columns=60)
        top.shows('xend')
        top.keys('w')
        top.hides('xend')
        top.shows('no wrap')
        top.press('\x1b[C' * 6, 'xend')

    def test_V60_follow_is_a_state_that_scrolling_up_ends(self):
        fifo = os.path.join(self.scratch, 'fifo')
        os.mkfifo(fifo)
        task = self.sh(f'seq -f "line %g" 100; while read line; do echo "$line"; done < {fifo}')
        with open(fifo, 'w', encoding='utf-8') as write:
            top = self.top()
            top.shows(task)
            top.press('\r', 'line 100')
            write.write('live one\n')
            write.flush()
            top.shows('live one', seconds=5)
            top.keys('k')
            top.hides('· follow')
            write.write('unseen\n')
            write.flush()
            eventually(lambda: b'unseen' in self.log(task), 'it is printed')
            time.sleep(0.3)
            self.assertNotIn('unseen', top.text())
            top.press('F', 'unseen', 'follow')

    def test_V60_to_the_last_failure(self):
        top = self.open('seq 1000; echo "error: it broke"; seq 1000')
        top.press('!', 'error: it broke')
        self.assertNotIn('follow', top.lines()[1])

    def test_V60_the_path_and_a_line_are_shown_and_copied_only_if_wished(self):
        task = self.ended_task('echo one; echo two')
        top = self.top()
        top.shows(task)
        top.press('y', 'output.log')
        self.assertNotIn(b'\x1b]52', top.raw)
        top.keys('q')
        top.ended()
        top = self.top('--osc52')
        top.shows(task)
        top.keys('y')
        eventually(lambda: b'\x1b]52;c;' in top.raw, 'it is given to the clipboard')

    def test_V60_the_pager_gets_the_log_and_top_comes_back(self):
        task = self.ended_task('echo one; echo two')
        top = self.top(env={'PAGER': 'echo PAGER:; cat', 'EDITOR': None})
        top.shows(task)
        top.keys('e')
        eventually(lambda: b'PAGER:' in top.raw and b'two' in top.raw, 'the pager ran')
        top.shows(task)
        top.press('\r', 'one')

    def test_V60_the_mouse(self):
        first = self.ended_task('echo from the first')
        second = self.ended_task('seq -f "line %g" 1000')
        top = self.top()
        top.shows(first, second)
        number = self.row_of(top, first)[0]
        top.keys(f'\x1b[<0;5;{number + 1}M\x1b[<0;5;{number + 1}m')
        top.until(lambda: top.lines()[number].startswith('>'), 'it is selected')
        top.press(f'\x1b[<0;5;{number + 1}M', 'from the first', f'{first} · 15 B')
        top.press('h', 'DESCRIPTION')
        number = self.row_of(top, second)[0]
        top.keys(f'\x1b[<0;5;{number + 1}M')
        top.press('\r', 'line 1000')
        top.keys('\x1b[<64;5;5M')
        top.until(lambda: self.body(top)[-1] == 'line 997', 'the wheel')


class List(ScreenTest):
    def test_V60_moving_sorting_filtering_and_all_or_active(self):
        ended = [self.ended_task(f'echo {n}', '--description', f'job number {n}') for n in range(30)]
        alive = self.sh('sleep 1000', '--description', 'the live one')
        top = self.top()
        top.shows(alive)
        self.assertTrue(self.row_of(top, alive)[1].startswith('>'))
        top.press('G', 'job number 0')
        self.assertTrue(self.row_of(top, 'job number 0')[1].startswith('>'))
        top.press('g', 'the live one')
        top.keys('j' * 3)
        top.until(lambda: self.row_of(top, 'job number 27')[1].startswith('>'), 'three down')
        top.keys('t')
        top.hides('job number')
        top.shows('the live one', 'active')
        top.press('t', 'job number 29')
        top.press('fnumber 7\r', 'filter: number 7', 'job number 7')
        top.hides('job number 29')
        top.press('\x1b', 'job number 8')
        for sort in ('by started', 'by ended', 'by duration'):
            top.press('o', sort)
        top.keys('o')
        top.hides('by duration')
        self.assertEqual(len(ended), 30)

    def test_V60_the_selected_task_stays_selected_while_rows_come(self):
        first = self.ended_task('true', '--description', 'keep me')
        self.ended_task('true')
        top = self.top()
        top.shows('keep me')
        while not self.row_of(top, 'keep me')[1].startswith('>'):
            top.keys('j')
            time.sleep(0.05)
        for n in range(3):
            self.ended_task('true', '--description', f'newer {n}')
        top.shows('newer 2')
        self.assertTrue(self.row_of(top, first)[1].startswith('>'))

    def test_V60_tab_gives_the_keys_to_the_log_pane(self):
        task = self.ended_task('seq -f "line %g" 1000')
        top = self.top()
        top.shows(task, 'line 1000')
        top.keys('\tk')
        top.hides('line 1000')
        top.press('G', 'line 1000')
        top.keys('\t')

    def test_V60_help(self):
        top = self.top()
        top.press('?', 'stop with a reason')
        top.keys('\x1b')
        top.shows('no tasks')

    def test_V11_tasks_that_come_and_go_are_seen_without_a_key(self):
        top = self.top()
        top.shows('no tasks')
        task = self.sh('sleep 1000')
        top.shows(task, '● running')
        self.perdure('stop', task, check=0)
        top.shows('■ killed')
        self.perdure('notifications', '--ack', task)
        self.perdure('remove', task, check=0)
        top.hides(task)

    def test_V12_many_tasks(self):
        number = int(os.environ.get('PERDURE_SCREEN_TASKS', '3000'))
        os.makedirs(self.tasks, 0o700)
        now = int(time.time() * 1000)
        for n in range(number):
            name = f'bash-{n:08}'
            with open(self.path(name), 'w', encoding='utf-8') as f:
                f.write(f'{{"taskId":"{name}","kind":"process","description":"job {n}","command":"true","status":"completed",'
                        f'"startedAt":{now - 1000000 + n},"endedAt":{now},"pid":1,"exitCode":0}}')
        before = time.monotonic()
        top = self.top()
        top.shows(f'job {number - 1}', f'{number} ended')
        first = time.monotonic() - before
        before = time.monotonic()
        top.press('G', 'job 0')
        print(f'{number} tasks: first rows after {first:.3f} s, the last ones {time.monotonic() - before:.3f} s later')
        before = time.monotonic()
        top.press('g', f'job {number - 1}')
        task = self.sh('sleep 1000', '--description', 'a new one')
        top.shows('a new one')
        self.assertLess(first, 1 + number / 20_000)
        self.perdure('stop', task, check=0)


if __name__ == '__main__':
    unittest.main()
