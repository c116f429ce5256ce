"""`perdure mcp install`: what each client's configuration gets, and what stays as it was."""
import json
import os
import subprocess
import sys
import tomllib
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SessionTest  # noqa: E402

FILES = {'claude': '.mcp.json', 'codex': '.codex/config.toml', 'copilot': '.copilot/mcp-config.json', 'cursor': '.cursor/mcp.json', 'gemini': '.gemini/settings.json', 'kimi': '.kimi-code/mcp.json',
         'opencode': '.config/opencode/opencode.json', 'qwen': '.qwen/settings.json', 'vscode': '.vscode/mcp.json'}


class Install(SessionTest):
    def install(self, *args, check=0, **env):
        clean = {name: '' for name in ('CODEX_HOME', 'COPILOT_HOME', 'KIMI_CODE_HOME', 'XDG_CONFIG_HOME')}
        return self.perdure('mcp', 'install', *args, check=check, cwd=self.scratch, env={'HOME': self.scratch, **clean, **env})

    def file(self, name):
        return os.path.join(self.scratch, FILES[name])

    def written(self, name):
        with open(self.file(name), 'rb') as f:
            return tomllib.load(f) if name == 'codex' else json.load(f)

    def put(self, name, text):
        os.makedirs(os.path.dirname(self.file(name)), exist_ok=True)
        with open(self.file(name), 'w', encoding='utf-8') as f:
            f.write(text)

    def command(self, name):
        group = {'codex': 'mcp_servers', 'opencode': 'mcp', 'vscode': 'servers'}.get(name, 'mcpServers')
        entry = self.written(name)[group]['perdure']
        return entry['command'] if name == 'opencode' else [entry['command'], *entry['args']]

    def test_it_prints_and_writes_nothing_unless_told_to(self):
        for name, path in FILES.items():
            done = self.install(name)
            self.assertIn(PERDURE, done.stdout)
            self.assertIn(path, done.stderr)
            self.assertFalse(os.path.exists(self.file(name)))

    def test_every_client_gets_a_command_that_works(self):
        for name in FILES:
            self.install(name, '--owner', 'me', '--write')
            self.assertEqual(self.command(name), [PERDURE, 'mcp', '--session', self.session, '--owner', 'me'])

    def test_A9_the_session_of_the_environment_is_written_since_a_client_may_filter_that(self):
        done = self.perdure('mcp', 'install', 'codex', '--write', check=0, session=None, cwd=self.scratch,
                            env={'HOME': self.scratch, 'CODEX_HOME': '', 'PERDURE_SESSION': '/elsewhere'})
        self.assertEqual(self.command('codex')[-1], self.session, 'what is said goes first')
        self.assertNotIn('PERDURE_SESSION', done.stderr)
        done = subprocess.run([PERDURE, 'mcp', 'install', 'codex', '--write'], capture_output=True, text=True, check=True, cwd=self.scratch,
                              env={**os.environ, 'HOME': self.scratch, 'CODEX_HOME': '', 'PERDURE_SESSION': '/elsewhere'})
        self.assertEqual(self.command('codex'), [PERDURE, 'mcp', '--session', '/elsewhere'])
        self.assertIn('PERDURE_SESSION, /elsewhere', done.stderr)

    def test_what_was_there_stays_and_an_older_entry_is_replaced(self):
        for name in FILES:
            if name == 'codex':
                self.put(name, 'model = "x"  # kept\n[mcp_servers.perdure]\ncommand = "old"\n\n[other]\na = [1, 2]')
            else:
                self.put(name, '{"z": [1, {"é": null}], "mcp": {"other": {}}, "servers": {"o": 1}, "mcpServers": {"perdure": {"old": 1}, "o": {}}, "a": 1.5}')
            self.install(name, '--write')
            got = self.written(name)
            if name == 'codex':
                self.assertEqual((got['model'], got['other'], got['mcp_servers']['perdure']['command']), ('x', {'a': [1, 2]}, PERDURE))
                with open(self.file(name), encoding='utf-8') as f:
                    self.assertIn('# kept', f.read())
            else:
                self.assertEqual((got['z'], got['a'], list(got)), ([1, {'é': None}], 1.5, ['z', 'mcp', 'servers', 'mcpServers', 'a']))
                self.assertIn('o', got['mcpServers'])
            before = os.stat(self.file(name)).st_ino
            self.install(name, '--write')  # nothing to change
            self.assertEqual(os.stat(self.file(name)).st_ino, before)

    def test_comments_stay(self):
        self.put('vscode', '{\n  // mine\n  "servers": {} // empty\n}\n')
        self.install('vscode', '--write')
        with open(self.file('vscode'), encoding='utf-8') as f:
            text = f.read()
        self.assertTrue(text.startswith('{\n  // mine\n  "servers": {\n    "perdure": {\n'), text)
        self.assertTrue(text.endswith('    }\n  } // empty\n}\n'), text)

    def test_a_malformed_file_is_left_alone(self):
        self.put('vscode', '{"servers": {}')
        self.assertIn("line 1, column 15: expected", self.install('vscode', '--write', check=2).stderr)
        with open(self.file('vscode'), encoding='utf-8') as f:
            self.assertEqual(f.read(), '{"servers": {}')

    def test_links_and_folders_of_the_persons_own(self):
        os.mkdir(os.path.join(self.scratch, 'dotfiles'))
        os.symlink(os.path.join(self.scratch, 'dotfiles', 'qwen.json'), os.path.join(self.scratch, 'link.json'))
        os.mkdir(os.path.join(self.scratch, '.qwen'))
        with open(os.path.join(self.scratch, 'dotfiles', 'qwen.json'), 'w', encoding='utf-8') as f:
            f.write('{"a": 1}')
        os.symlink(os.path.join(self.scratch, 'link.json'), self.file('qwen'))
        self.install('qwen', '--write')
        self.assertTrue(os.path.islink(self.file('qwen')))
        self.assertEqual(self.written('qwen')['a'], 1)
        self.install('codex', '--write', CODEX_HOME=os.path.join(self.scratch, 'elsewhere'))
        self.assertTrue(os.path.exists(os.path.join(self.scratch, 'elsewhere', 'config.toml')))

    def test_N25_a_file_that_a_project_shares_names_no_path_of_this_machine(self):
        os.symlink(PERDURE, os.path.join(self.scratch, 'perdure'))
        os.umask(0o022)
        self.put('claude', '{}')
        os.chmod(self.file('claude'), 0o664)
        for name in ('claude', 'vscode', 'gemini'):
            self.install(name, '--write', PATH=self.scratch + ':/usr/bin:/bin')
        self.assertEqual([self.command(name)[0] for name in ('claude', 'vscode')], ['perdure'] * 2)
        self.assertEqual(self.command('gemini')[0], os.path.join(self.scratch, 'perdure'))
        self.assertEqual(os.stat(self.file('claude')).st_mode & 0o777, 0o664)

    def test_wrong_usage(self):
        for args in ([], ['emacs'], ['claude', 'codex']):
            self.assertIn('claude, codex', self.install(*args, check=2).stderr)
        self.perdure('mcp', '--write', check=2)
        self.perdure('mcp', 'uninstall', check=2)


if __name__ == '__main__':
    unittest.main()
