"""Output and names that want to be more than text: no byte outside an allow-list reaches the terminal (V24, V62)."""
import os
import random
import re
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from screen_case import ScreenTest  # noqa: E402

# All that top ever sends besides text: place, style, blank screen, other screen, title stack, cursor, mouse, paste, wrap.
ALLOWED = re.compile(
    rb'\x1b\[\d+;\d+H|\x1b\[[\d;]*m|\x1b\[2J|\x1b\[\?(?:1049|7|25|12|1000|1006|2004|1)[hl]|\x1b\[2[23];0;0t|\x1b[=>]')

HOSTILE = (b'\x1b[2J\x1b[H\x1b]0;title\x07\x1b]52;c;aGk=\x07\x1b[6n\x1bc\x1b[?1049l\x1b[999;999H\x1b[20t\x1bP$q"p\x1b\\'
           b'\x9b31m\xc2\x9b31m\x00\x07\x0e\x0f\x7f\xe2\x80\xaeevil\xe2\x81\xa6\x1b[31mred\x1b]8;;http://x\x07link\x1b]8;;\x07')


class Hostile(ScreenTest):
    def assert_harmless(self, top):
        rest = ALLOWED.sub(b'', top.raw)
        bad = re.search(rb'[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]', rest)
        self.assertIsNone(bad, bad and rest[max(0, bad.start() - 40):bad.start() + 20])
        rest.decode()  # and it is UTF-8

    def test_V62_a_hostile_log(self):
        file = os.path.join(self.scratch, 'hostile')
        with open(file, 'wb') as f:
            f.write(HOSTILE + b'\n' + HOSTILE[::-1] + b'\nthe end\n')
        task = self.ended_task(f'cat {file}')
        top = self.top()
        top.shows(task, 'the end', 'evil')
        top.press('\r', 'red', 'link', '<U+202E>')
        top.press('/e\r', '8/8')
        top.keys('w&evil\r')
        top.shows('filter: evil')
        top.keys('\x1b')
        self.assert_harmless(top)
        top.keys('q')
        top.ended()
        self.assert_harmless(top)

    def test_V62_hostile_names_and_reasons(self):
        name = HOSTILE.replace(b'\0', b'').decode('utf-8', 'replace')
        task = self.ended_task('true', '--description', name, '--owner', 'o\x1b[2J')
        live = self.sh('sleep 1000', '--description', 'live')
        question = self.perdure('ask', '--choice', 'Y\x1b[2Jes', '--choice', 'N\u202eo', name, check=0).stdout.strip()
        top = self.top()
        top.shows(task, live, question)
        while not self.row_of(top, question)[1].startswith('>'):
            top.keys('k')
            time.sleep(0.05)
        top.press('a', '[1] Yes', '[2] N<U+202E>o')
        top.press('h', live)
        top.press('f', 'filter:')
        top.keys('\x1b[200~a\x1b[2Jb\x07\x1b[201~\x1b')
        while not self.row_of(top, live)[1].startswith('>'):
            top.keys('j')
            time.sleep(0.05)
        top.press('S', 'because:')
        top.keys('a\u202eb\x1b[200~\x9b2J\u2066\x1b[201~\r')
        top.shows('■ killed')
        self.assert_harmless(top)

    def test_V62_noise(self):
        choice = random.Random(3)
        file = os.path.join(self.scratch, 'noise')
        with open(file, 'wb') as f:
            f.write(bytes(choice.choice(b'\x1b[]0123456789;?mhlJHKP\\\x07\r\n\b\t\xe2\x80\xae\xf0\x9f\x91\xa9ab') for _ in range(200_000)))
        task = self.ended_task(f'cat {file}')
        top = self.top(rows=50, columns=120)
        top.shows(task)
        top.press('\r', f'{task} ·')
        for key in 'gGkwkkw':
            top.keys(key)
            time.sleep(0.05)
        for _ in range(30):
            top.keys('\x1b[5~')
        time.sleep(0.5)
        self.assertTrue(top.alive())
        self.assert_harmless(top)

    def test_V62_wide_text_in_the_log_is_where_it_belongs(self):
        task = self.ended_task("printf '日本|\\n👩‍💻|x\\ne\\314\\201|\\n🇩🇪|\\na\\tb|\\n'")
        top = self.top()
        top.shows(task)
        top.keys('\r')
        top.until(lambda: top.lines()[1].startswith(' ' + task), 'the log is open')
        columns = {}
        for number in range(2, 8):
            cells = [top.screen.buffer[number][n].data for n in range(80)]
            if '|' in cells:
                columns[cells[0][0]] = cells.index('|')
        self.assertIn('a', columns, top.text())
        self.assertEqual(columns['日'], 4)
        self.assertEqual(columns['👩'], 2)
        self.assertEqual(columns['a'], 9)
        self.assertEqual(sorted(columns.values()), [1, 2, 2, 4, 9])

    def test_V62_one_line_without_an_end(self):
        task = self.ended_task("head -c 3000000 /dev/zero | tr '\\0' x; echo THE END")
        top = self.top()
        top.shows(task, 'THE END')
        top.press('\r', f'{task} ·', 'THE END')
        top.keys('\x1b[5~' * 5 + 'g')
        top.until(lambda: 'THE END' not in top.text(), 'it scrolls')
        top.press('G', 'THE END')

    def test_V61_a_flood_is_followed_and_keys_are_answered(self):
        task = self.sh('i=0; while :; do i=$((i+1)); echo "flood $i"; done')
        top = self.top()
        top.shows(task, 'flood')
        before = time.monotonic()
        top.press('?', 'stop with a reason')
        self.assertLess(time.monotonic() - before, 3)
        top.press('q', '')
        top.ended(5)
        self.assert_harmless(top)


if __name__ == '__main__':
    unittest.main()
