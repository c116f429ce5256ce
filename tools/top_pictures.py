#!/usr/bin/env python3
"""top_pictures.py [--check] PERDURE: pictures of `perdure top` for the documentation.

Runs the program PERDURE on a terminal that pyte plays, in a session of its own, and writes what a person would see as
docs/images/top-*.svg. What differs from run to run (ids, ages, the host) is replaced, so that the pictures change only
when the screen does. --check: nothing is written, and the exit status is 1 if a picture is not what would be; 77 where
python3-pyte is not installed.
"""
import html
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMAGES = ROOT / 'docs' / 'images'
CELL_WIDTH, CELL_HEIGHT, FONT = 8.4, 18, 14
GROUND, TEXT = '#101418', '#d8dee4'
COLOURS = {'black': '#3b4252', 'red': '#f07178', 'green': '#9ece6a', 'brown': '#e0af68', 'blue': '#7aa2f7', 'magenta': '#c792ea', 'cyan': '#7dcfff', 'white': '#d8dee4',
           'brightblack': '#6b7480', 'brightred': '#ff8a80', 'brightgreen': '#b9f27c', 'brightbrown': '#ffd479', 'brightblue': '#9ab8ff', 'brightmagenta': '#dda8ff',
           'brightcyan': '#a6e3ff', 'brightwhite': '#ffffff'}
ID = re.compile(r'(?:bash|question)-[0-9a-z]{8}')


def style_of(cell):
    colour = lambda name, usual: usual if name == 'default' else COLOURS.get(name, f'#{name}')  # noqa: E731
    front, back = colour(cell.fg, TEXT), colour(cell.bg, GROUND)
    if cell.reverse:
        front, back = back, front
    return front, back, cell.bold, cell.underscore


def grid_of(screen):
    """Rows of (character, style); the second half of a wide character has ''."""
    return [[(screen.buffer[y][x].data, style_of(screen.buffer[y][x])) for x in range(screen.columns)] for y in range(screen.lines)]


def words_of(row):
    return ''.join(char or ' ' for char, _ in row)


def put(row, at, words):
    for i, char in enumerate(words):
        row[at + i] = (char, row[at + i][1])


def settle(grid, names, times):
    """Replaces what differs from run to run. `times`: by the fixed id, (age, time, last output)."""
    heads = {}
    for row in grid:
        line = words_of(row)
        if not heads and 'DESCRIPTION' in line:
            for head in ('AGE', 'TIME', 'LAST OUT'):
                heads[head] = line.index(head)
        for found in ID.finditer(line):
            put(row, found.start(), names[found.group()])
        listed = re.match(r'[> ]((?:bash|question)-[0-9a-z]{8}) ', words_of(row))
        if listed and heads:
            for head, words in zip(('AGE', 'TIME', 'LAST OUT'), times[listed.group(1)]):
                width = {'AGE': 5, 'TIME': 6, 'LAST OUT': 8}[head]
                put(row, heads[head], words.ljust(width)[:width])
    head = words_of(grid[0])
    host = socket.gethostname()
    if head.startswith(' perdure top') and host in head:
        middle = head.index(host)
        end = middle + len(re.match(r'\S+ +\S*', head[middle:]).group())
        path = head[middle + len(host):end]
        put(grid[0], middle, ('workshop' + path).ljust(max(end, middle + len('workshop' + path)) - middle))


def svg_of(grid, title):
    rows, columns = len(grid), len(grid[0])
    width, height = columns * CELL_WIDTH + 16, rows * CELL_HEIGHT + 16
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" aria-label="{html.escape(title)}">',
             f'<rect width="{width:g}" height="{height:g}" rx="6" fill="{GROUND}"/>',
             f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{FONT}" xml:space="preserve">']
    for y, row in enumerate(grid):
        x = 0
        while x < columns:
            style, begin, words = row[x][1], x, ''
            while x < columns and row[x][1] == style:
                words += row[x][0]
                x += 1
            front, back, bold, underlined = style
            left, top = 8 + begin * CELL_WIDTH, 8 + y * CELL_HEIGHT
            if back != GROUND:
                parts.append(f'<rect x="{left:g}" y="{top:g}" width="{(x - begin) * CELL_WIDTH:g}" height="{CELL_HEIGHT}" fill="{back}"/>')
            # Each word stands in its own cells: a font of another width moves nothing.
            for word in re.finditer(r'\S+(?: \S+)*', words):
                at = begin + sum(2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in words[:word.start()])
                cells = sum(2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in word.group())
                weight = ' font-weight="bold"' if bold else ''
                line = ' text-decoration="underline"' if underlined else ''
                parts.append(f'<text x="{8 + at * CELL_WIDTH:g}" y="{top + 13:g}" fill="{front}"{weight}{line} textLength="{cells * CELL_WIDTH:g}">{html.escape(word.group(), quote=False)}</text>')
    return '\n'.join([*parts, '</g>', '</svg>', ''])


class Stage:
    """A session with tasks that are worth a picture."""

    def __init__(self, program, scratch):
        self.program, self.scratch = program, scratch
        self.session = os.path.join(scratch, 's', 'default')
        self.env = {**os.environ, 'HOME': scratch, 'XDG_CONFIG_HOME': os.path.join(scratch, 'config'), 'XDG_STATE_HOME': os.path.join(scratch, 'state'),
                    'COLORTERM': ''}
        # What changes the screen is the same everywhere, also where a test runner sets NO_COLOR.
        for name in ('NO_COLOR', 'CLICOLOR', 'CLICOLOR_FORCE', 'FORCE_COLOR', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', *(n for n in self.env if n.startswith('PERDURE_') and n != 'PERDURE_BIN')):
            self.env.pop(name, None)
        self.env['LC_ALL'] = 'C.UTF-8'
        self.names, self.times = {}, {}

    def perdure(self, *args):
        return subprocess.run([self.program, '--session', self.session, *args], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, text=True).stdout.strip()

    def task(self, fixed, times, *args):
        task = self.perdure(*args)
        self.names[task], self.times[fixed] = fixed, times
        return task

    def wait(self, task):
        self.perdure('wait', task)
        return task

    def fill(self):
        self.wait(self.task('bash-8fj2m0xw', ('2h', '8.1s', ''), 'run', '--description', 'pip install -r requirements.txt', '-c', 'echo installed'))
        self.failed = self.wait(self.task('bash-0aa91kd2', ('1h', '32s', ''), 'run', '--description', 'npm test', '-c',
                                          'for i in $(seq 240); do echo "ok $i - part $i works"; done; printf "\\033[31mnot ok 241 - login\\033[0m\\n"; '
                                          'echo "AssertionError: expected 200, got 401"; echo "1 of 241 failed"; exit 2'))
        self.running = self.task('bash-k3v9q0zd', ('4m', '4m12s', '2s ago'), 'run', '--description', 'make -j4 && ctest', '-c',
                                 'for i in $(seq 62 71); do printf "[ %s%%] \\033[32mBuilding CXX object\\033[0m src/view/part_%s.cpp.o\\n" $i $i; done; '
                                 'printf "\\033[1;33mwarning:\\033[0m unused variable \\047left\\047\\n"; exec sleep 600')
        self.task('bash-c7w1p5ae', ('9m', '9m02s', '12s ago'), 'run', '--description', 'watch the dev server', '-c', 'echo "listening on http://localhost:5173"; exec sleep 600')
        self.question = self.task('question-7pyg0ab2', ('1m', '', ''), 'ask', '--choice', 'Yes', '--choice', 'No', '--choice', 'Only the last one', 'Delete 3 migrations?')
        end = time.monotonic() + 20
        while 'warning' not in self.perdure('output', self.running) and time.monotonic() < end:
            time.sleep(0.02)

    def clear(self):
        for task in json.loads(self.perdure('--json', 'list') or '[]'):
            self.perdure('answer' if task['kind'] == 'question' else 'stop', task['taskId'], *(['--dismiss'] if task['kind'] == 'question' else ['--grace', '0']))

    def pictures(self, Top):
        """{name: SVG}"""
        top = Top(self.session, rows=24, columns=100, env={**dict.fromkeys(os.environ), **self.env}, config_home=self.env['XDG_CONFIG_HOME'], program=self.program)
        try:
            made = {}

            def taken(name, title, *signs):
                top.shows(*signs)
                time.sleep(0.3)  # what came with it is drawn, too
                with top.lock:
                    grid = grid_of(top.screen)
                settle(grid, self.names, self.times)
                made[name] = svg_of(grid, title)
            top.shows(*self.names)
            for _ in range(10):
                if f'>{self.running}' in top.text():
                    break
                top.keys('j')
                time.sleep(0.1)
            taken('top-list', 'perdure top: tasks, and the log of the selected one', f'>{self.running}', 'unused variable')
            for _ in range(10):
                if f'>{self.failed}' in top.text():
                    break
                top.keys('j')
                time.sleep(0.1)
            top.press('\r', '1 of 241 failed')
            top.press('/', 'earch')
            top.keys('works\r')
            taken('top-log', 'perdure top: a log with the matches of a search', '/240')
            top.keys('\x1b')
            time.sleep(0.1)
            top.press('h', 'DESCRIPTION')
            for _ in range(10):
                if f'>{self.question}' in top.text():
                    break
                top.keys('k')
                time.sleep(0.1)
            top.keys('a')
            taken('top-question', 'perdure top: a question with its options', 'Only the last one')
            return made
        finally:
            top.close()


def main():
    arguments = [one for one in sys.argv[1:] if one != '--check']
    if len(arguments) != 1:
        sys.exit(__doc__)
    program = os.path.abspath(arguments[0])
    os.environ['PERDURE_BIN'] = os.path.dirname(program)
    sys.path.insert(0, str(ROOT / 'tests' / 'support'))
    from screen import Top  # noqa: E402  exits with 77 where pyte is not there
    scratch = os.path.realpath(tempfile.mkdtemp(prefix='perdure-pictures-'))
    stage = Stage(program, scratch)
    try:
        stage.fill()
        made = stage.pictures(Top)
    finally:
        stage.clear()
        time.sleep(0.3)
        shutil.rmtree(scratch, ignore_errors=True)
    stale = [name for name, text in made.items() if not (IMAGES / f'{name}.svg').is_file() or (IMAGES / f'{name}.svg').read_text(encoding='utf-8') != text]
    if '--check' in sys.argv[1:]:
        for name in stale:
            print(f'docs/images/{name}.svg is not what the program shows: run tools/top_pictures.py {os.path.relpath(program, ROOT)}')
        sys.exit(1 if stale else 0)
    for name in made:
        (IMAGES / f'{name}.svg').write_text(made[name], encoding='utf-8')
        print(f'docs/images/{name}.svg{"" if name in stale else " (unchanged)"}')


if __name__ == '__main__':
    main()
