#!/usr/bin/env python3
"""The man pages tell all that the program knows: every command and option, every setting, every exit status."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

PERDURE = pathlib.Path(os.environ['PERDURE_BIN']).resolve() / 'perdure'
SOURCE = pathlib.Path(os.environ['PERDURE_SOURCE_DIR'])
PAGES = ('perdure.1', 'perdure-config.5', 'perdure-runner.8')


def perdure(*words, **more):
    return subprocess.run([PERDURE, *words], capture_output=True, text=True, timeout=60, check=True, **more).stdout


def page(name, epoch='1796000000'):
    return perdure('__man', name, env={**os.environ, 'SOURCE_DATE_EPOCH': epoch})


def plain(roff):
    return re.sub(r'\\f[BIR]', '', roff).replace('\\-', '-')


class ManPages(unittest.TestCase):
    def test_every_page_is_listed(self):
        self.assertEqual(tuple(perdure('__man').split()), PAGES)

    def test_every_command_and_option_of_the_help_is_in_perdure_1(self):
        text = plain(page('perdure.1'))
        overview = perdure('help').split('Commands\n')[1].split('\n\n')[0]
        verbs = re.findall(r'^  ([a-z-]+) {2,}', overview, re.M)
        self.assertGreater(len(verbs), 20)
        completed = perdure('completion', 'bash')  # knows no option that is for tests only
        for verb in verbs:
            self.assertRegex(text, rf'(?m)^\.SS "perdure {verb}[ "]')
            if verb == 'help':
                continue
            section = re.split(rf'(?m)^\.SS "perdure {verb}[ "].*', text)[1].split('\n.S')[0]
            own = perdure('help', verb).split('Options of every command')[0].split('\nOptions\n')[1]
            offered = re.search(rf"(?m)^    {verb}\) words='([^']*)'", completed).group(1).split()
            for option in set(re.findall(r'^  (--?[a-z][a-z-]*)', own, re.M)) & set(offered):
                self.assertRegex(section, rf'(?m)^(.*, )?{option}( |,|$)', f'{verb} {option}')

    def test_every_setting_is_in_perdure_config_5(self):
        text = page('perdure-config.5')
        with tempfile.TemporaryDirectory() as home:
            settings = json.loads(perdure('config', '--json', env={'HOME': home}))
        for name in settings.keys() - {'session', 'runner'}:
            self.assertIn(f'\\fB{name.rsplit(".", 1)[-1]}\\fR', text.replace('\\-', '-'), name)

    def test_exit_statuses_are_those_of_the_documentation(self):
        section = page('perdure.1').split('.SH "EXIT STATUS"')[1].split('.SH')[0]
        named = re.findall(r'^\\fB(.*)\\fR$', section, re.M)
        document = next(path for path in sorted((SOURCE / 'docs').rglob('*.md')) if '## Exit status' in path.read_text())
        table = document.read_text().split('## Exit status')[1].split('\n## ')[0]
        rows = [row for row in re.findall(r'^\| ([^|]*) \|', table, re.M) if row not in ('status', '---')]
        self.assertEqual(named, rows)

    def test_the_day_is_that_of_the_commit(self):
        self.assertRegex(page('perdure.1', '86400'), r'(?m)^\.TH PERDURE 1 "1970-01-02"')
        self.assertEqual(page('perdure.1', '86400'), page('perdure.1', '86401'))
        refused = subprocess.run([PERDURE, '__man', 'perdure.1'], capture_output=True, env={'SOURCE_DATE_EPOCH': 'now'}, check=False)
        self.assertEqual(refused.returncode, 2)

    @unittest.skipUnless(shutil.which('mandoc'), 'there is no mandoc')
    def test_roff_has_nothing_to_complain_about(self):
        for name in PAGES:
            found = subprocess.run(['mandoc', '-T', 'lint', '-W', 'style'], input=page(name), capture_output=True, text=True, check=False)
            self.assertEqual(found.stdout, '', name)


if __name__ == '__main__':
    unittest.main()
