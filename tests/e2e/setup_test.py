"""`perdure setup`: every client's file before and after, the handshake that proves it, and --remove to the byte; docs/guide/setup.md."""
import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
import time
import tomllib
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from session import PERDURE, SOURCE, SessionTest  # noqa: E402

FILES = {'claude': '.claude.json', 'codex': '.codex/config.toml', 'gemini': '.gemini/settings.json', 'qwen': '.qwen/settings.json',
         'opencode': '.config/opencode/opencode.json', 'kimi': '.kimi-code/mcp.json', 'copilot': '.copilot/mcp-config.json',
         'vscode': '.config/Code/User/mcp.json', 'cursor': '.cursor/mcp.json'}
GROUPS = {'codex': 'mcp_servers', 'opencode': 'mcp', 'vscode': 'servers'}
HOOKS = {'Stop': 'rewake', 'UserPromptSubmit': 'prompt', 'SessionStart': 'session-start', 'PreCompact': 'precompact'}

COMMENTED = '''\ufeff// made by hand
{
    /* one */ "theme": "dark", // keep
    "GROUP": {
        "other": {"command": "o", "args": ["a", "b"]} // the last one
        // nothing more
    },
    "numbers": [1.50, 1e3,],
}
// the end'''
TOML = '''# mine
model = "x"  # kept
notes = """
[mcp_servers.perdure]
not a header
"""
[mcp_servers.other]
command = "o"
args = [
  "[mcp_servers.perdure]",
]

# about the next one
[tui]
theme = 'dark'
'''


class Setup(SessionTest):
    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.scratch, 'home')
        self.bin = os.path.join(self.scratch, 'bin')
        os.makedirs(self.home)
        os.makedirs(self.bin)

    def environment(self, **more):
        clean = {name: value for name, value in os.environ.items() if name not in
                 ('CODEX_HOME', 'KIMI_CODE_HOME', 'COPILOT_HOME', 'CLAUDE_CONFIG_DIR', 'XDG_CONFIG_HOME', 'PERDURE_SESSION')}
        return {**clean, 'HOME': self.home, 'PATH': self.bin + ':/usr/bin:/bin', 'XDG_STATE_HOME': os.path.join(self.scratch, 'state'), **more}

    def setup_verb(self, *args, check=0, session=True, stdin=subprocess.DEVNULL, **env):
        begin = ['--session', self.session] if session else []
        done = subprocess.run([PERDURE, *begin, 'setup', *args], stdin=stdin, capture_output=True, text=True, timeout=120, check=False,
                              env=self.environment(**env), cwd=self.scratch)
        self.assertEqual(done.returncode, check, f'{args}: {done.stdout} {done.stderr}')
        return done

    def agents(self, *args, **kw):
        answer = json.loads(self.setup_verb('--json', *args, **kw).stdout)
        return {agent['name']: agent for agent in answer['agents']}

    def file(self, name):
        return os.path.join(self.home, FILES[name])

    def settings(self):
        return os.path.join(self.home, '.claude', 'settings.json')

    def put(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8', newline='') as f:
            f.write(text)
        os.chmod(path, mode)

    def text(self, path):
        with open(path, encoding='utf-8', newline='') as f:
            return f.read()

    def tree(self):
        """All below the home folder: names, contents, modes, links."""
        found = {}
        for folder, folders, files in os.walk(self.home):
            for name in folders + files:
                path = os.path.join(folder, name)
                mode = os.lstat(path).st_mode
                content = os.readlink(path) if stat.S_ISLNK(mode) else None if stat.S_ISDIR(mode) else self.text(path)
                found[os.path.relpath(path, self.home)] = (mode, content)
        return found

    def entry(self, name, text=None):
        text = self.text(self.file(name)) if text is None else text
        everything = tomllib.loads(text) if name == 'codex' else json.loads(text)
        return everything[GROUPS.get(name, 'mcpServers')]['perdure']

    def commented(self, name):
        return TOML if name == 'codex' else COMMENTED.replace('GROUP', GROUPS.get(name, 'mcpServers'))

    # -- what is written

    def test_missing_files_are_made_and_remove_leaves_nothing(self):
        before = self.tree()
        done = self.agents('--yes', *FILES)
        for name in FILES:
            self.assertEqual((done[name]['status'], done[name]['files'][0]['action']), ('set_up', 'create'), done[name])
            self.assertGreaterEqual(done[name]['server']['tools'], 9)
            entry = self.entry(name)
            command = entry['command'] if name == 'opencode' else [entry['command'], *entry['args']]
            self.assertEqual(command, [PERDURE, 'mcp', '--session', self.session])
            self.assertEqual(stat.S_IMODE(os.stat(self.file(name)).st_mode), 0o600)
        self.assertEqual(self.entry('copilot')['tools'], ['*'])
        self.assertEqual({a['status'] for a in self.agents('--yes', '--remove').values()}, {'removed'})
        self.assertEqual(self.tree(), before)
        self.assertEqual(os.listdir(os.path.join(self.scratch, 'state', 'perdure', 'setup')), [])

    def test_comments_and_order_stay_and_remove_restores_the_bytes(self):
        for name in FILES:
            self.put(self.file(name), self.commented(name), 0o640)
        self.put(self.settings(), '{ "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "mine"}]}]}, /* c */ "permissions": {"allow": ["Bash(ls)"] } }')
        before = self.tree()
        self.agents('--yes', *FILES)
        after = self.tree()
        for name in FILES:
            mode, text = after[FILES[name]]
            self.assertEqual(stat.S_IMODE(mode), 0o640)
            # Every line that was there still is, in its order; one of them got a comma.
            lines = iter(text.split('\n'))
            for line in self.commented(name).split('\n'):
                self.assertTrue(any(line.strip() == got.strip() or line.strip() == got.strip().replace('},', '}', 1) for got in lines), (name, line, text))
        self.assertEqual(self.entry('codex')['command'], PERDURE)
        got = tomllib.loads(self.text(self.file('codex')))
        self.assertEqual((got['model'], got['tui'], got['mcp_servers']['other']['command']), ('x', {'theme': 'dark'}, 'o'))
        self.assertIn('"other": {"command": "o", "args": ["a", "b"]}, // the last one\n        "perdure"', after[FILES['cursor']][1])
        self.assertEqual({a['status'] for a in self.agents('--yes', '--remove').values()}, {'removed'})
        self.assertEqual(self.tree(), before)

    def test_an_older_entry_is_replaced_and_comes_back(self):
        for name in FILES:
            if name == 'codex':
                self.put(self.file(name), 'a = 1\n[mcp_servers.perdure]\ncommand = "old" # mine\n\n[mcp_servers.perdure.env]\nX = "1"\n\n# below\n[b]\nc = 1')
            else:
                self.put(self.file(name), '{\r\n\t"GROUP": {\r\n\t\t"perdure": {"command": "old", "env": {"X": "1"}}\r\n\t}\r\n}\r\n'.replace('GROUP', GROUPS.get(name, 'mcpServers')))
        before = self.tree()
        self.agents('--yes', *FILES)
        for name in FILES:
            self.assertNotIn('old', self.text(self.file(name)))
            self.assertNotIn('env', {k: v for k, v in self.entry(name).items() if name != 'codex'})
        self.assertNotIn('X', self.entry('codex').get('env', {}))
        self.assertIn('\n\n# below\n[b]\nc = 1', self.text(self.file('codex')))
        self.agents('--yes', '--remove')
        self.assertEqual(self.tree(), before)

    def test_claude_code_gets_hooks_and_permissions_to_read(self):
        self.agents('--yes', 'claude-code')
        settings = json.loads(self.text(self.settings()))
        for event, verb in HOOKS.items():
            hook = settings['hooks'][event][0]['hooks'][0]
            self.assertEqual(hook['command'], f'{PERDURE} --session {self.session} hook claude-code {verb}')
        self.assertTrue(settings['hooks']['Stop'][0]['hooks'][0]['asyncRewake'])
        self.assertNotIn('mcp__perdure__Bash', settings['permissions']['allow'])
        # The shell can run it as it stands.
        line = settings['hooks']['UserPromptSubmit'][0]['hooks'][0]['command']
        self.assertEqual(subprocess.run(['sh', '-c', line], input='{}', capture_output=True, text=True, check=False, timeout=60,
                                        env=self.environment()).returncode, 0)

    def test_hooks_made_by_hand_are_left_alone(self):
        self.put(self.settings(), '{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "perdure hook claude-code rewake"}]}]}}')
        done = self.agents('--yes', 'claude')['claude']
        self.assertEqual(len(json.loads(self.text(self.settings()))['hooks']['Stop']), 1)
        self.assertIn('Stop is there already', ' '.join(done['notes']))

    def test_a_second_run_changes_nothing_and_a_newer_program_is_one_change(self):
        self.put(self.file('gemini'), self.commented('gemini'))
        before = self.tree()
        self.agents('--yes', 'gemini', 'codex', 'claude')
        written = self.tree()
        again = self.agents('--yes', 'gemini', 'codex', 'claude')
        self.assertEqual({a['status'] for a in again.values()}, {'already'})
        self.assertGreaterEqual(again['gemini']['server']['tools'], 9)
        self.assertEqual(self.tree(), written)
        self.agents('--yes', '--owner', 'me', 'gemini', 'codex', 'claude')
        self.assertIn('--owner', self.entry('codex')['args'])
        self.agents('--yes', '--remove')
        self.assertEqual(self.tree(), before)

    # -- --remove after others wrote the file, too

    def test_remove_after_the_client_wrote_its_file_anew(self):
        for name in ('claude', 'gemini', 'vscode'):
            self.put(self.file(name), json.dumps({'a': 1, GROUPS.get(name, 'mcpServers'): {'o': {'command': 'x'}}}))
            self.agents('--yes', name)
            everything = json.loads(self.text(self.file(name)))
            everything['new'] = True
            everything[GROUPS.get(name, 'mcpServers')]['later'] = {'command': 'y'}
            self.put(self.file(name), json.dumps(everything, indent=4))
        self.put(self.settings(), json.dumps(json.loads(self.text(self.settings())) | {'model': 'm'}))
        self.agents('--yes', '--remove')
        for name in ('claude', 'gemini', 'vscode'):
            self.assertEqual(json.loads(self.text(self.file(name))),
                             {'a': 1, 'new': True, GROUPS.get(name, 'mcpServers'): {'o': {'command': 'x'}, 'later': {'command': 'y'}}})
        self.assertEqual(json.loads(self.text(self.settings())), {'model': 'm'})

    def test_remove_of_a_file_that_setup_made_and_its_program_rewrote(self):
        self.agents('--yes', 'cursor', 'kimi', 'claude')
        for path in (self.file('cursor'), self.file('claude'), self.settings()):
            self.put(path, json.dumps(json.loads(self.text(path))))
        os.unlink(self.file('kimi'))
        os.rmdir(os.path.dirname(self.file('kimi')))
        self.assertEqual({a['status'] for a in self.agents('--yes', '--remove').values()}, {'removed'})
        self.assertEqual(self.tree(), {})

    def test_remove_keeps_what_was_added_around_it(self):
        self.put(self.file('codex'), TOML)
        self.agents('--yes', 'codex', 'cursor')
        with open(self.file('codex'), 'a', encoding='utf-8') as f:
            f.write('\n[later]\na = 1\n')
        self.put(self.file('cursor'), self.text(self.file('cursor')).replace('{\n', '{\n  // mine\n', 1))
        self.agents('--yes', '--remove')
        self.assertEqual(self.text(self.file('codex')), TOML + '\n[later]\na = 1\n')
        self.assertIn('// mine', self.text(self.file('cursor')))
        self.assertNotIn('perdure', self.text(self.file('cursor')))

    def test_remove_leaves_an_entry_that_was_changed_or_is_not_ours(self):
        self.put(self.file('qwen'), '{"mcpServers": {"perdure": {"command": "perdure", "args": ["mcp"]}}}')
        before = self.tree()
        self.assertEqual(self.agents('--yes', '--remove', 'qwen')['qwen']['status'], 'not_set_up')
        self.assertEqual(self.tree(), before)
        self.agents('--yes', 'gemini')
        self.put(self.file('gemini'), '{"mcpServers": {"perdure": {"command": "another"}}}')
        before = self.tree()
        self.assertIn('changed since', self.agents('--yes', '--remove', 'gemini', check=1)['gemini']['error']['message'])
        self.assertEqual(self.tree(), before)
        self.assertIn('nothing to remove', self.setup_verb('--yes', '--remove', 'kimi').stdout)

    # -- what is refused

    def test_malformed_files_are_named_and_nothing_changes(self):
        bad = {'gemini': '{\n  "a": 1\n  "b": 2\n}', 'vscode': '{"servers": {"x": tru}}', 'kimi': '[]', 'codex': 'a = \n', 'cursor': '{"mcpServers": 3}',
               'qwen': '{"mcpServers": {}, "mcpServers": {}}', 'opencode': '{"a": "b'}
        for name, text in bad.items():
            self.put(self.file(name), text)
        self.put(self.settings(), '{"hooks": []}')  # its other file is fine, and must not be written either
        before = self.tree()
        done = self.agents('--yes', 'claude', *bad, check=1)
        for name in ('claude', *bad):
            self.assertEqual(done[name]['status'], 'failed')
            self.assertIn('nothing was changed', done[name]['error']['message'])
        self.assertIn(self.file('gemini') + ': line 3, column 3: expected', done['gemini']['error']['message'])
        self.assertIn(self.settings(), done['claude']['error']['message'])
        self.assertEqual(self.tree(), before)

    def test_a_file_that_is_not_utf8_is_refused(self):
        os.makedirs(os.path.dirname(self.file('kimi')))
        with open(self.file('kimi'), 'wb') as f:
            f.write(b'{ // \xff\n}')
        self.assertIn('is not UTF-8', self.agents('--yes', 'kimi', check=1)['kimi']['error']['message'])
        with open(self.file('kimi'), 'rb') as f:
            self.assertEqual(f.read(), b'{ // \xff\n}')

    def test_a_toml_entry_in_another_form_is_not_doubled(self):
        for text in ('mcp_servers = { perdure = { command = "x" } }\n', '[mcp_servers]\nperdure = { command = "x" }\n', 'mcp_servers.perdure.command = "x"\n'):
            self.put(self.file('codex'), text)
            self.assertIn('change it by hand', self.agents('--yes', 'codex', check=1)['codex']['error']['message'])
            self.assertEqual(self.text(self.file('codex')), text)

    def test_every_shape_of_toml(self):
        shapes = ['', '# only a comment', 'a = 1', 'a = 1\r\n[b]\r\nc = 2\r\n', '\ufeffa = 1\n', "s = \'\'\'\n[mcp_servers.perdure]\n\'\'\'\n",
                  's = """a\\"""b"""""\n[x]\n', '[[list]]\na = 1\n[[list]]\na = 2\n', '[ mcp_servers . "perdure" ] # old\ncommand = "old"\n\n\n# c\n[z]\n',
                  '[mcp_servers.perdure]\ncommand = "old"\nargs = [ # why\n  "[a]", \'#\',\n]', '[mcp_servers]\n[mcp_servers.perdure2]\ncommand = "x"\n',
                  '[mcp_servers.perdure]\n[mcp_servers.perdure.env]\nX = "1"\n[z]\n', 'a."b.c" = { d = "}" }\n[mcp_servers.a]\ncommand = "[mcp_servers.perdure]"\n']
        for shape in shapes:
            self.put(self.file('codex'), shape)
            before = self.tree()
            self.agents('--yes', 'codex')
            text = self.text(self.file('codex'))
            wanted, got = tomllib.loads(shape.lstrip('\ufeff')), tomllib.loads(text.lstrip('\ufeff'))
            self.assertEqual(got['mcp_servers'].pop('perdure')['command'], PERDURE)
            wanted.setdefault('mcp_servers', {}).pop('perdure', None)
            self.assertEqual(got, wanted, shape)
            self.assertEqual(text.count('\r\n') > 0, '\r\n' in shape)
            self.assertEqual(re.search('[^\r]\n', text) is None, '\r\n' in shape)
            self.agents('--yes', '--remove', 'codex')
            self.assertEqual(self.tree(), before)

    def test_every_shape_of_json(self):
        shapes = ['', ' \n', '{}', '{ }\n', '{\n}', '{ // c\n}', '{ /* c */ }', '{"a": 1}', '{"a": 1,}', '{"a": 1 /* c */}', '{"a": 1 // c\n}', '{"a": [1, 2\n], "b": {}}',
                  '{"mcpServers": {}}', '{"mcpServers": {\n  // none\n}}', '{\n\t"mcpServers": {\n\t\t"o": {},\n\t},\n}\n', '{"mcpServers": {"o": {}, /* c */}}',
                  '{"mcpServers": {"o": {"command": "//"} // c\n, "p": {}}}', '{"mcp\\u0053ervers": {"perdure": {"command": "old"}}}', '{"\u00e9": "\u2028", "n": 12345678901234567890, "f": 1.50}']
        for shape in shapes:
            self.put(self.file('cursor'), shape)
            before = self.tree()
            done = self.agents('--yes', 'cursor')['cursor']
            self.assertEqual(done['status'], 'set_up', shape)
            text = self.text(self.file('cursor'))
            for part in re.findall('// \\w+|/\\* c \\*/|12345678901234567890|1\\.50', shape):
                self.assertIn(part, text)
            self.agents('--yes', '--remove', 'cursor')
            self.assertEqual(self.tree(), before, shape)

    def test_read_only_files_stay(self):
        for name in ('gemini', 'codex'):
            self.put(self.file(name), '', 0o444)
        before = self.tree()
        done = self.agents('--yes', 'gemini', 'codex', 'cursor', check=1)
        for name in ('gemini', 'codex'):
            self.assertIn('is read-only', done[name]['error']['message'])
        self.assertEqual(done['cursor']['status'], 'set_up')  # one that fails does not keep the others
        self.agents('--yes', '--remove')
        self.assertEqual(self.tree(), before)

    def test_links_are_followed_and_kept(self):
        kept = os.path.join(self.home, 'dotfiles', 'qwen.json')
        self.put(kept, '{"a": 1}')
        os.makedirs(os.path.join(self.home, '.qwen'))
        os.symlink('../dotfiles/qwen.json', self.file('qwen'))
        before = self.tree()
        self.agents('--yes', 'qwen')
        self.assertTrue(os.path.islink(self.file('qwen')))
        self.assertEqual(self.entry('qwen', self.text(kept))['command'], PERDURE)
        self.agents('--yes', '--remove')
        self.assertEqual(self.tree(), before)
        os.unlink(kept)
        self.assertIn('link to a file that does not exist', self.agents('--yes', 'qwen', check=1)['qwen']['error']['message'])
        self.put(self.file('kimi'), '{}')
        os.link(self.file('kimi'), os.path.join(self.home, 'second'))
        self.assertIn('hard links', self.agents('--yes', 'kimi', check=1)['kimi']['error']['message'])
        self.assertEqual(self.text(self.file('kimi')), '{}')

    def test_a_server_that_does_not_start_is_no_setup(self):
        self.put(self.file('gemini'), self.commented('gemini'))
        self.put(os.path.join(self.home, '.config', 'perdure', 'config.toml'), 'no_such_setting = 1\n')
        before = self.tree()
        done = self.agents('--yes', 'gemini', 'codex', check=1)
        for name in ('gemini', 'codex'):
            self.assertIn('does not start', done[name]['error']['message'])
        self.assertEqual(self.tree(), before)
        self.assertEqual(self.agents('--remove', '--yes'), {})

    # -- finding, showing, asking

    def test_it_finds_programs_and_folders(self):
        self.put(os.path.join(self.bin, 'opencode'), '#!/bin/sh\n', 0o755)
        os.makedirs(os.path.join(self.home, '.cursor'))
        found = self.agents('--dry-run', PATH=self.bin)
        self.assertEqual({name: agent['found'] for name, agent in found.items()},
                         {'opencode': os.path.join(self.bin, 'opencode'), 'cursor': os.path.join(self.home, '.cursor')})
        self.assertEqual(self.tree(), {'.cursor': self.tree()['.cursor']})

    def test_nothing_found_and_wrong_names(self):
        self.assertIn('no coding agent was found', self.setup_verb('--yes', check=1, PATH=self.bin).stderr)
        self.assertIn("unknown agent 'emacs'; expected claude, codex", self.setup_verb('emacs', check=2).stderr)
        self.assertIn('--yes or --dry-run', self.setup_verb('--json', 'codex', check=2).stderr)

    def test_a_dry_run_shows_the_exact_change(self):
        self.put(self.file('gemini'), '{\n  "secret": "s3cr3t",\n  "mcpServers": {}\n}\n')
        before = self.tree()
        shown = self.setup_verb('--dry-run', 'gemini').stdout
        self.assertIn(self.file('gemini'), shown)
        self.assertIn('+    "perdure": {', shown)
        self.assertNotIn('s3cr3t', shown)
        self.assertIn('--dry-run', shown)
        self.assertEqual(self.tree(), before)

    def test_with_nobody_to_ask_nothing_is_written(self):
        done = self.setup_verb('codex', 'kimi', check=2)
        self.assertIn('[mcp_servers.perdure]', done.stdout)
        self.assertIn('--yes', done.stderr)
        self.assertEqual(self.tree(), {})

    def ask(self, answer, *args):
        """Runs it on a terminal and types the answer when it is asked for."""
        master, slave = pty.openpty()
        child = subprocess.Popen([PERDURE, '--session', self.session, 'setup', *args], stdin=slave, stdout=slave, stderr=slave,
                                 env=self.environment(), cwd=self.scratch, close_fds=True)
        os.close(slave)
        seen, until, typed = b'', time.monotonic() + 60, False
        while time.monotonic() < until:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    seen += os.read(master, 65536)
                except OSError:
                    break
            if b'[y/N]' in seen and not typed:
                os.write(master, answer.encode() + b'\n')
                typed = True
        os.close(master)
        self.assertEqual(child.wait(30), 0, seen)
        return seen.decode()

    def test_a_terminal_is_asked(self):
        self.assertIn('left as it was', self.ask('n', 'kimi'))
        self.assertEqual(self.tree(), {})
        self.assertIn('the server starts and answers', self.ask('y', 'kimi'))
        self.assertEqual(self.entry('kimi')['command'], PERDURE)
        self.assertIn('left as it was', self.ask('', '--remove'))
        self.assertEqual(self.entry('kimi')['command'], PERDURE)
        self.ask('yes', '--remove')
        self.assertEqual(self.tree(), {})

    # -- environment

    def test_A9_codex_filters_the_environment_so_the_entry_names_the_session(self):
        other = os.path.join(self.scratch, 'other')
        done = self.agents('--yes', 'codex', 'gemini', session=False, PERDURE_SESSION=other)
        self.assertEqual(self.entry('codex')['args'], ['mcp', '--session', other])
        self.assertEqual(self.entry('codex')['env'], {'XDG_STATE_HOME': os.path.join(self.scratch, 'state')})
        self.assertIn('PERDURE_SESSION', ' '.join(done['codex']['notes']))
        self.assertEqual(self.entry('gemini')['args'], ['mcp'])

    def test_folders_of_the_persons_own(self):
        own = os.path.join(self.home, 'own')
        env = {'CODEX_HOME': own + '/codex', 'CLAUDE_CONFIG_DIR': own + '/claude', 'COPILOT_HOME': own + '/copilot', 'XDG_CONFIG_HOME': own}
        self.put(own + '/opencode/opencode.jsonc', '{}')
        self.agents('--yes', 'codex', 'claude', 'copilot', 'vscode', 'opencode', **env)
        for path in ('codex/config.toml', 'claude/.claude.json', 'claude/settings.json', 'copilot/mcp-config.json', 'Code/User/mcp.json', 'opencode/opencode.jsonc'):
            self.assertIn('perdure', self.text(os.path.join(own, path)))
        self.assertFalse(os.path.exists(own + '/opencode/opencode.json'))
        self.agents('--yes', '--remove')
        self.assertEqual(self.text(own + '/opencode/opencode.jsonc'), '{}')
        self.assertFalse(os.path.exists(own + '/claude'))

    def test_N25_a_link_in_PATH_is_named_instead_of_what_it_leads_to(self):
        os.symlink(PERDURE, os.path.join(self.bin, 'perdure'))
        answer = json.loads(self.setup_verb('--json', '--yes', 'cursor').stdout)
        self.assertEqual(self.entry('cursor')['command'], os.path.join(self.bin, 'perdure'))
        self.assertEqual(answer['notes'], [])
        os.unlink(os.path.join(self.bin, 'perdure'))
        answer = json.loads(self.setup_verb('--json', '--dry-run', 'cursor').stdout)
        self.assertIn('not in PATH', answer['notes'][0])  # A13


class Integrations(SessionTest):
    """The plugin for Claude Code and the extension for Gemini CLI, as they are installed."""

    def setUp(self):
        super().setUp()
        self.folder = os.path.join(SOURCE, 'integrations')
        os.symlink(PERDURE, os.path.join(self.scratch, 'perdure'))
        self.environment = {**os.environ, 'PATH': self.scratch + ':/usr/bin:/bin', 'HOME': self.scratch, 'PERDURE_SESSION': self.session}

    def text(self, *path):
        with open(os.path.join(self.folder, *path), encoding='utf-8') as f:
            return f.read()

    def tools_of(self, entry):
        asked = [{'id': 1, 'method': 'initialize', 'params': {'protocolVersion': '2025-06-18', 'capabilities': {}, 'clientInfo': {'name': 'x', 'version': '1'}}},
                 {'method': 'notifications/initialized'}, {'id': 2, 'method': 'tools/list'}]
        with subprocess.Popen([entry['command'], *entry['args']], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment) as server:
            server.stdin.write(''.join(json.dumps({'jsonrpc': '2.0', **one}) + '\n' for one in asked))
            server.stdin.flush()
            for line in server.stdout:
                if json.loads(line).get('id') == 2:
                    server.stdin.close()
                    return {tool['name'] for tool in json.loads(line)['result']['tools']}
        return set()

    def test_the_servers_start_and_the_texts_name_tools_that_exist(self):
        plugin = json.loads(self.text('claude-code', '.mcp.json'))['mcpServers']['perdure']
        extension = json.loads(self.text('gemini', 'gemini-extension.json.in'))
        for entry, text in ((plugin, self.text('claude-code', 'skills', 'background-tasks', 'SKILL.md')),
                            (extension['mcpServers']['perdure'], self.text('gemini', extension['contextFileName']))):
            tools = self.tools_of(entry)
            named = set(re.findall(r'`([A-Z][a-zA-Z]+)`', text))
            self.assertGreaterEqual(len(named), 6)
            self.assertEqual(named - tools, set())

    def test_the_plugin_has_the_hooks_that_setup_writes(self):
        hooks = json.loads(self.text('claude-code', 'hooks', 'hooks.json'))['hooks']
        self.assertEqual({event: groups[0]['hooks'][0]['command'] for event, groups in hooks.items()},
                         {event: f'perdure hook claude-code {verb}' for event, verb in HOOKS.items()})
        self.assertTrue(hooks['Stop'][0]['hooks'][0]['asyncRewake'])
        for path in ('plugin.json.in', 'marketplace.json'):
            self.assertEqual(json.loads(self.text('claude-code', '.claude-plugin', path))['name'], 'perdure')
        skill = self.text('claude-code', 'skills', 'background-tasks', 'SKILL.md')
        head = re.match(r'---\nname: (\S+)\ndescription: (.+)\n---\n', skill)
        self.assertEqual(head.group(1), 'background-tasks')
        self.assertLess(len(head.group(2)), 1024)


if __name__ == '__main__':
    unittest.main()
