"""The perdure program under strace, which kills it, or makes a system call fail, at a call that one chooses."""
import os
import subprocess

from session import PERDURE, SessionTest
from traced_runner import STRACE, calls_about

ROUNDS = int(os.environ.get('PERDURE_CRASH_ROUNDS', '100'))


class TracedPerdure(SessionTest):
    def traced(self, args, *rules, trace='/dev/null', seconds=60):
        """strace lets go of the runner at its exec, so only the program itself meets the rules."""
        line = [STRACE, '-f', '-b', 'execve', '-qq', '-s', '300', '-o', trace]
        for rule in rules:
            line += ['-e', 'inject=' + rule]
        return subprocess.run([*line, PERDURE, '--session', self.session, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=seconds, check=False)

    def calls(self, args):
        """(call, which of them, the line) from the first on that is about the session: what is before is the loader's."""
        trace = os.path.join(self.scratch, 'trace')
        self.traced(args, trace=trace)
        return calls_about(self.session, trace)

    def instants(self, args, most):
        """(call, which of them), evenly chosen; fewer where PERDURE_CRASH_ROUNDS is below 100."""
        found = [(call, n) for call, n, _ in self.calls(args)]
        self.assertGreater(len(found), 10)
        most = max(5, most * min(ROUNDS, 100) // 100)
        chosen = found[::max(1, -(-len(found) // most))]
        print(f'{args[0]}: {len(chosen)} of {len(found)} instants', flush=True)
        return chosen

    def fresh(self, n):
        """Another session of the same test."""
        self.session = os.path.join(self.scratch, f'session-{n}')
        self.tasks = os.path.join(self.session, 'tasks')

    def tearDown(self):
        # Of all sessions of the test: they have one folder.
        self.session = self.scratch
        super().tearDown()
