"""What is where on the screen, at every size (V60-V62)."""
import os
import random
import sys
import time
import unicodedata
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from screen_case import ScreenTest, eventually  # noqa: E402


class Layout(ScreenTest):
    def setUp(self):
        super().setUp()
        self.failed = self.ended_task('echo bad; exit 2', '--description', 'npm test')
        self.running = self.sh('echo hello from the log; sleep 1000', '--description', 'make everything')
        self.question = self.perdure('ask', '--choice', 'Yes', '--choice', 'No', 'Delete 3 migrations?', check=0).stdout.strip()

    def test_V60_the_list_has_counts_columns_and_the_log_of_the_selected_task(self):
        top = self.top(rows=24, columns=100)
        top.shows(self.failed, self.running, self.question)
        lines = top.lines()
        self.assertIn('perdure top', lines[0])
        for count in ('1 running', '1 open', '1 ended'):
            self.assertIn(count, lines[0])
        for head in ('ID', 'STATUS', 'AGE', 'TIME', 'EXIT', 'LAST OUT', 'DESCRIPTION'):
            self.assertIn(head, lines[1])
        number, row = self.row_of(top, self.failed)
        self.assertIn('✗ failed', row)
        self.assertEqual(row[lines[1].index('EXIT')], '2')
        self.assertEqual(row.index('npm test'), lines[1].index('DESCRIPTION'))
        self.assertIn('? open', self.row_of(top, self.question)[1])
        self.assertIn('● running', self.row_of(top, self.running)[1])
        while not self.row_of(top, '>')[1].startswith('>' + self.running):
            top.keys('j')
            time.sleep(0.05)
        top.shows('hello from the log', f'{self.running} · 19 B · follow')

    def test_V62_at_40x8_everything_that_tells_tasks_apart_is_there(self):
        top = self.top(rows=8, columns=40)
        top.shows('npm test', 'make everything', 'Delete 3 migr')
        for task in (self.failed, self.running, self.question):
            self.assertIn(task[-8:], top.text())
        self.assertTrue(all(len(line) <= 40 for line in top.lines()))
        top.press('\r', 'follow')
        top.press('?', 'search backward:')
        top.keys('\x1b')
        top.press('h', 'DESCRIPTION')

    def test_V62_columns_disappear_in_a_fixed_order(self):
        top = self.top(rows=24, columns=200)
        top.shows(self.failed)
        order = []
        heads = ['LAST OUT', 'AGE', 'EXIT', 'TIME', 'STATUS']
        for columns in range(120, 39, -4):
            top.resize(24, columns)
            top.until(lambda: 'DESCRIPTION' in top.lines()[1] and len(top.lines()[0]) <= columns, f'{columns} columns are drawn')
            time.sleep(0.03)
            for head in heads:
                if head not in top.lines()[1] and head not in order:
                    order.append(head)
        self.assertEqual(order, heads)

    def test_V62_large_and_tiny(self):
        top = self.top(rows=60, columns=200)
        top.shows(self.failed, self.running, self.question)
        top.resize(1, 5)
        top.shows('too s')
        top.resize(24, 80)
        top.shows(self.failed)

    def test_V62_a_storm_of_sizes_leaves_the_right_picture(self):
        top = self.top()
        top.shows(self.failed)
        choice = random.Random(7)
        for _ in range(150):
            top.resize(choice.randint(1, 70), choice.randint(1, 220))
            if choice.random() < 0.2:
                top.keys(choice.choice(['j', 'k', '\r', 'h', 'G']))
        top.keys('h\x1b')
        time.sleep(0.2)
        top.resize(24, 100)
        top.shows(self.failed, self.running, 'DESCRIPTION')
        top.keys('\x0c')  # drawn anew: nothing may differ
        before = top.lines()
        time.sleep(0.3)
        self.assertEqual([line.split('now')[0] for line in top.lines()[:2]], [line.split('now')[0] for line in before[:2]])

    def test_V62_colours_by_terminal_and_NO_COLOR(self):
        for term, env, wanted, unwanted in (('xterm-256color', {'NO_COLOR': None}, b';36m', b''),
                                            ('xterm-256color', {'NO_COLOR': '1'}, b'', b';36m'),
                                            ('vt100', {'NO_COLOR': None}, b'', b';36m')):
            top = self.top(term=term, env=env)
            top.shows('● running')
            self.assertIn(wanted, top.raw)
            if unwanted:
                self.assertNotIn(unwanted, top.raw)
            top.press('q', '')
            self.assertEqual(top.ended(), 0)

    def test_V63_an_unknown_terminal_is_taken_for_xterm_and_that_is_said_once(self):
        top = self.top(term='no-such-terminal')
        top.shows('unknown TERM', self.failed)
        top.keys('j')
        top.hides('unknown TERM')

    def test_V63_a_dumb_terminal_gets_the_list(self):
        top = self.top(term='dumb')
        self.assertEqual(top.ended(), 0)
        eventually(lambda: self.running in top.text(), 'the list is printed')
        self.assertNotIn(b'\x1b', top.raw)

    def test_without_a_terminal_it_says_what_to_do(self):
        done = self.perdure('top', check=2)
        self.assertIn('perdure list', done.stderr)

    def test_V62_wide_characters_are_never_split_and_columns_stay_straight(self):
        names = ['日本語のタスク名前', '👩‍💻 emoji 👍🏽 🇩🇪 task', 'ﾊﾝｶｸ', 'e\u0301te\u0301 combining']
        tasks = [self.ended_task('true', '--description', name) for name in names]
        for columns in range(44, 100, 3):
            top = self.top(rows=20, columns=columns)
            top.shows(tasks[-1][-8:], tasks[0][-8:])
            start = top.lines()[1].index('DESCRIPTION')
            for task, name in zip(tasks, names):
                number, row = self.row_of(top, task[-8:])
                # pyte keeps an empty cell behind a wide character.
                cells = [top.screen.buffer[number][n].data for n in range(columns)]
                self.assertEqual(cells[start][0], unicodedata.normalize('NFC', name)[0], row)
            top.close()

    def test_V61_ages_go_on_by_themselves(self):
        top = self.top(columns=100)
        top.shows(self.running)
        first = self.row_of(top, self.running)[1]
        top.until(lambda: self.row_of(top, self.running)[1] != first, 'the time goes on')


if __name__ == '__main__':
    unittest.main()
