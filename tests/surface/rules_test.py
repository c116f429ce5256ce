#!/usr/bin/env python3
"""The rules of check.py, tried on made-up lists (L37)."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check
import surface


def complaints(noted, shown, series=(0, 1), noted_series=(0, 1), changelog=''):
    return check.compare('verbs', noted_series, noted, set(shown), series, changelog).complaints


class L37_NothingGoesQuietly(unittest.TestCase):
    def test_the_same_is_fine(self):
        self.assertEqual(complaints(['perdure run', 'perdure run --cwd'], ['perdure run', 'perdure run --cwd']), [])

    def test_gone_fails(self):
        self.assertIn('gone: perdure run --cwd', complaints(['perdure run --cwd'], [])[0])

    def test_a_changelog_line_alone_is_not_enough(self):
        self.assertTrue(complaints(['perdure run --cwd'], [], changelog='removed `--cwd`'))

    def test_a_higher_version_alone_is_not_enough(self):
        self.assertTrue(complaints(['perdure run --cwd'], [], series=(0, 2)))

    def test_both_are(self):
        self.assertEqual(complaints(['perdure run --cwd'], [], series=(0, 2), changelog='removed `--cwd`'), [])

    def test_a_longer_word_does_not_name_it(self):
        self.assertTrue(complaints(['perdure run --cwd'], [], series=(0, 2), changelog='removed `--cwd-of`'))

    def test_below_1_0_the_minor_version_counts_and_later_the_major_alone(self):
        self.assertEqual(check.version_series('project(perdure VERSION 0.2.0 LANGUAGES'), (0, 2))
        self.assertEqual(check.version_series('project(perdure VERSION 0.2.7 LANGUAGES'), (0, 2))
        self.assertEqual(check.version_series('project(perdure VERSION 1.3.0 LANGUAGES'), (1,))
        self.assertGreater((1,), (0, 9))

    def test_a_struct_that_grew_fails_in_the_same_series(self):
        found = complaints(['Task: 64 bytes'], ['Task: 72 bytes'])
        self.assertIn('gone: Task: 64 bytes', found[0])
        later = complaints(['Task: 64 bytes'], ['Task: 72 bytes'], series=(0, 2), changelog='`Task` is grouped')
        self.assertEqual(['new: ' in text for text in later], [True])

    def test_new_fails_with_the_hint(self):
        self.assertIn('--update', complaints([], ['perdure run --new'])[0])

    def test_what_depends_on_the_machine_may_be_absent(self):
        self.assertEqual(complaints(['show: machineId ?'], []), [])
        self.assertEqual(complaints(['show: machineId ?'], ['show: machineId']), [])

    def test_an_update_keeps_what_may_not_go(self):
        verdict = check.compare('verbs', (0, 1), ['a', 'b ?'], {'c'}, (0, 1), '')
        self.assertEqual(verdict.lines, ['a', 'b ?', 'c'])

    def test_symbols_and_statuses_are_named_by_what_a_user_writes(self):
        self.assertEqual(check.name_in_changelog('perdure::TaskManager::stop(perdure::TaskId const&)'),
                         'TaskManager::stop')
        self.assertEqual(check.name_in_changelog('perdure::record_json[abi:cxx11](perdure::Task const&)'), 'record_json')
        self.assertEqual(check.name_in_changelog('124: run --wait, wait: timed out'), '124')
        self.assertEqual(check.name_in_changelog('show: output.preview'), 'output.preview')


class Help(unittest.TestCase):
    TEXT = '''Durable tasks
Usage: perdure [OPTIONS] SUBCOMMAND

Options:
  -h,--help                   Print this help message and exit
  --session TEXT              not --this one
  -c TEXT                     a line

Subcommands:
  run                         Start a task
  list                        Show tasks
'''

    def test_verbs(self):
        self.assertEqual(surface.listed_verbs(self.TEXT), ['run', 'list'])

    def test_options(self):
        self.assertEqual(surface.listed_options(self.TEXT), {'-h', '--help', '--session', '-c'})


if __name__ == '__main__':
    unittest.main()
