#!/usr/bin/env python3
"""check.py [--update] [--build DIR]: is what users may rely on still what the checked-in text says?

Beside this file lie lists of verbs and options, JSON keys, exit statuses, error codes and public symbols, one a
line. They are compared with what the built programs show: their help, what they print about real tasks run in
a scratch session, and the symbols of libperdure.so.

A line of the text that is gone fails, unless CMakeLists.txt has a higher major version than the text notes and
CHANGELOG.md names what went. A new line fails too, until --update has written it down. --update never drops a
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


def major_version(cmake_text):
    return int(re.search(r'project\(perdure VERSION (\d+)\.', cmake_text).group(1))


def read_list(path):
    """(major version noted, lines) of a checked-in list; (None, []) where there is none yet."""
    if not path.exists():
        return None, []
    lines = path.read_text().splitlines()
    noted = re.match(r'# .*major version (\d+)', lines[0])
    if not noted:
        raise SystemExit(f'{path}: the first line must note the major version')
    return int(noted.group(1)), [line for line in lines[1:] if line.strip()]


def name_in_changelog(line):
    """The word by which CHANGELOG.md must name what a line of a list stands for."""
    line = re.sub(r'\[abi:\w+\]| \?$| is a record$', '', line)
    if '(' in line:  # a symbol with its parameters
        line = line.split('(')[0]
        return line.split()[-1].removeprefix('perdure::')
    return line.split(':')[0].split()[0] if re.match(r'\d', line) else line.split()[-1]


class Verdict:
    def __init__(self):
        self.complaints = []
        self.lines = []  # what the list should say


def compare(name, noted_major, noted, shown, major, changelog):
    """Holds one list against what is shown. Pure, so that rules_test.py can try it."""
    verdict = Verdict()
    optional = {line.removesuffix(' ?') for line in noted if line.endswith(' ?')}
    known = {line.removesuffix(' ?') for line in noted}
    for line in sorted(known - shown - optional):
        word = name_in_changelog(line)
        if noted_major is not None and major > noted_major and re.search(
                r'(?<![\w-])' + re.escape(word) + r'(?![\w-])', changelog):
            continue
        verdict.complaints.append(
            f'{name}: gone: {line}\n  users rely on it: it may go only with a higher major version than '
            f'{noted_major} and a line in CHANGELOG.md that names {word}')
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
    major = major_version((SOURCE / 'CMakeLists.txt').read_text())
    changelog = (SOURCE / 'CHANGELOG.md').read_text()

    failures = []
    for name, (title, shown) in shown_lists.items():
        path = HERE / f'{name}.txt'
        noted_major, noted = read_list(path)
        verdict = compare(name, noted_major, noted, shown, major, changelog)
        if options.update:
            failures += [text for text in verdict.complaints if ': gone: ' in text]
            kept_major = noted_major if failures and noted_major is not None else major
            path.write_text(f'# {title}; major version {kept_major}\n' + ''.join(l + '\n' for l in verdict.lines))
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
