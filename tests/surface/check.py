#!/usr/bin/env python3
"""check.py [--update] [--build DIR]: is what users may rely on still what the checked-in text says?

Beside this file lie lists of verbs and options, JSON keys, exit statuses, error codes and public symbols, one a
line. They are compared with what the built programs show: their help, what they print about real tasks run in
a scratch session, the symbols of libperdure.so and the sizes of the structs that its headers define.

A line of the text that is gone fails, unless CMakeLists.txt has a higher version series than the text notes (`1`,
`2`, and below 1.0 `0.1`, `0.2`, as the soname has it) and CHANGELOG.md names what went. A new line fails too, until --update has written it down. --update never drops a
line that may not go. A line that ends in `?` depends on the machine: it may be absent.
"""
import argparse
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent


def default_build():
    return os.environ.get('PERDURE_BUILD_DIR') or str(SOURCE / 'build' / 'dev')


def version_series(cmake_text):
    """What may not change within it: (1,), (2,), below 1.0 (0, 1), (0, 2); the soname has the same numbers."""
    major, minor = map(int, re.search(r'project\(perdure VERSION (\d+)\.(\d+)', cmake_text).groups())
    return (major,) if major else (0, minor)


def text_of(series):
    return '.'.join(map(str, series))


def read_list(path):
    """(version series noted, lines) of a checked-in list; (None, []) where there is none yet."""
    if not path.exists():
        return None, []
    lines = path.read_text().splitlines()
    noted = re.match(r'# .*version ([\d.]+)$', lines[0])
    if not noted:
        raise SystemExit(f'{path}: the first line must note the version series')
    return tuple(map(int, noted.group(1).split('.'))), [line for line in lines[1:] if line.strip()]


def name_in_changelog(line):
    """The word by which CHANGELOG.md must name what a line of a list stands for."""
    line = re.sub(r'\[abi:\w+\]| \?$| is a record$', '', line)
    if ' bytes' in line:  # the size of a struct
        return line.split(':')[0]
    if '(' in line:  # a symbol with its parameters
        line = line.split('(')[0]
        return line.split()[-1].removeprefix('perdure::')
    return line.split(':')[0].split()[0] if re.match(r'\d', line) else line.split()[-1]


class Verdict:
    def __init__(self):
        self.complaints = []
        self.lines = []  # what the list should say


def compare(name, noted_series, noted, shown, series, changelog):
    """Holds one list against what is shown. Pure, so that rules_test.py can try it."""
    verdict = Verdict()
    optional = {line.removesuffix(' ?') for line in noted if line.endswith(' ?')}
    known = {line.removesuffix(' ?') for line in noted}
    for line in sorted(known - shown - optional):
        word = name_in_changelog(line)
        if noted_series is not None and series > noted_series and re.search(
                r'(?<![\w-])' + re.escape(word) + r'(?![\w-])', changelog):
            continue
        verdict.complaints.append(
            f'{name}: gone: {line}\n  users rely on it: it may go only with a higher version than '
            f'{text_of(noted_series or (0,))} and a line in CHANGELOG.md that names {word}')
        verdict.lines.append(line)
    for line in sorted(shown - known):
        verdict.complaints.append(f'{name}: new: {line}\n  write it down: tests/surface/check.py --update')
    verdict.lines += [line + ' ?' if line in optional else line for line in shown | optional]
    verdict.lines = sorted(set(verdict.lines))
    return verdict


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--update', action='store_true', help='write down what is new')
    parser.add_argument('--build', default=default_build(), help='build folder (default: build/dev)')
    options = parser.parse_args()

    import surface
    shown_lists = surface.collect(pathlib.Path(options.build).resolve(), SOURCE)
    series = version_series((SOURCE / 'CMakeLists.txt').read_text())
    changelog = (SOURCE / 'CHANGELOG.md').read_text()

    failures = []
    for name, (title, shown) in shown_lists.items():
        path = HERE / f'{name}.txt'
        noted_series, noted = read_list(path)
        verdict = compare(name, noted_series, noted, shown, series, changelog)
        if options.update:
            failures += [text for text in verdict.complaints if ': gone: ' in text]
            kept = noted_series if failures and noted_series is not None else series
            path.write_text(f'# {title}; version {text_of(kept)}\n' + ''.join(l + '\n' for l in verdict.lines))
        else:
            failures += verdict.complaints
    for text in failures:
        print(text, file=sys.stderr)
    checked = sum(len(shown) for _, shown in shown_lists.values())
    print(f'{checked} lines of surface looked at, {len(failures)} complaints')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.path.insert(0, str(HERE))
    sys.exit(main())
