"""L12, L40: what stands between choosing a process and its signal, seen as system calls: the races can't be had at will."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from traced_runner import TracedTest, main  # noqa: E402


class Signalled(TracedTest):
    def signals(self, grace, line):
        trace = os.path.join(self.scratch, 'trace')
        task, _ = self.traced(['/bin/bash', '-c', line], trace=trace)
        self.ready(task)
        self.stop(task, grace)
        self.ended(task)
        self.runner_gone(task)
        for pid in self.s.wrappers:
            os.waitpid(pid, 0)
        self.s.wrappers.clear()
        opened, since, found = {}, {}, []
        with open(trace, encoding='utf-8', errors='replace') as f:
            for text in f:
                if match := re.search(r'pidfd_open\((\d+),.* = (\d+)', text):
                    opened[match[2]] = match[1]
                    since[match[1]] = []
                elif match := re.search(r'"/proc/(\d+)/(stat|exe)"', text):
                    since.setdefault(match[1], []).append(match[2])
                elif match := re.search(r'pidfd_send_signal\((\d+), (SIG\w+)', text):
                    pid = opened[match[1]]
                    since[pid].append(match[2])
                    found.append((match[2], since[pid][:-1]))
        return found

    def test_L55_a_stop_is_noted_before_it_is_acknowledged(self):
        self.signals(0, 'echo ready; exec sleep 300')
        with open(os.path.join(self.scratch, 'trace'), encoding='utf-8', errors='replace') as f:
            calls = f.read()
        noted, answered = re.search(r'pwrite64\(\d+, "stop ', calls), re.search(r'"ok(\\n)?"', calls)
        self.assertTrue(noted and answered, 'both are in the trace')
        self.assertLess(noted.start(), answered.start())

    def test_L53_a_process_of_another_program_is_not_asked_whether_it_is_a_runner(self):
        # Asking costs a process and, where the answer hangs, a fifth of a second for each.
        self.assertTrue(self.signals(0, 'PERDURE_RUNNER=x@/y setsid sh -c "echo ready; exec sleep 300" & wait'))
        with open(os.path.join(self.scratch, 'trace'), encoding='utf-8', errors='replace') as f:
            self.assertNotRegex(f.read(), r'/proc/\d+/environ')

    def test_L12_whose_child_it_is_is_looked_at_behind_the_pidfd(self):
        for signal_name, before in self.signals(20000, 'setsid sh -c "echo ready; exec sleep 300" & wait'):
            self.assertIn('stat', before, f'{signal_name}: the number may be a stranger\'s by now')

    def test_L12_L40_what_is_looked_at_is_stopped_until_it_is_killed(self):
        killed = [before for name, before in self.signals(0, 'setsid sh -c "echo ready; exec sleep 300" & wait') if name == 'SIGKILL']
        self.assertTrue(killed)
        for before in killed:
            self.assertIn('SIGSTOP', before, 'it may become a runner meanwhile')
            self.assertIn('exe', before[before.index('SIGSTOP'):])
            self.assertIn('stat', before[before.index('SIGSTOP'):])


if __name__ == '__main__':
    main()
