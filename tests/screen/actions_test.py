"""What can be done from the screen (V60): each action shows its command, and what it does is in the records."""
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from agent_case import AgentTest  # noqa: E402
from screen_case import ScreenTest, eventually  # noqa: E402


class Actions(ScreenTest):
    def ask(self, *args):
        return self.perdure('ask', *args, check=0).stdout.strip()

    def test_V60_stop_asks_first(self):
        task = self.sh('sleep 1000')
        top = self.top(columns=120)
        top.shows(task)
        top.press('s', f'stop {task}? y')
        top.keys('n')
        time.sleep(0.2)
        self.assertEqual(self.record(task)['status'], 'running')
        top.press('s', f'stop {task}? y')
        top.press('y', f"stop {task}")
        top.shows('■ killed')
        self.assertEqual(self.record(task)['status'], 'killed')

    def test_V60_stop_with_a_reason_and_its_command_is_shown(self):
        task = self.sh('trap "sleep 1; exit" TERM; while :; do sleep 0.1; done')
        top = self.top(columns=200)
        top.shows(task)
        top.press('S', 'because:')
        top.keys("too slöw, isn't it\r")
        top.shows('perdure --session', f"stop {task} --reason 'too slöw, isn'")
        top.shows('■ killed')
        self.assertEqual(self.record(task)['stopReason'], "too slöw, isn't it")

    def test_V60_the_screen_goes_on_while_a_stop_waits(self):
        task = self.sh('trap "" TERM; sleep 1000', '--grace', '30s')
        other = self.ended_task('echo hello')
        top = self.top(columns=120)
        top.shows(task, other)
        while not self.row_of(top, task)[1].startswith('>'):
            top.keys('k')
            time.sleep(0.05)
        top.press('s', '? y')
        top.press('y', 'stopping')
        top.press('?', 'stop with a reason')
        top.keys('q')
        self.assertEqual(top.ended(5), 0)
        self.perdure('stop', task, '--grace', '0', check=0)

    def test_V60_more_time(self):
        task = self.sh('sleep 1000', '--timeout', '10m')
        top = self.top(columns=120)
        top.shows(task)
        top.press('+', 'how long may it run')
        top.press('2h\r', 'may run 2h00m from now')
        self.assertEqual(self.record(task)['timeoutMs'], 7_200_000)
        top.press('+', 'how long may it run')
        top.press('soon\r', "soon")
        self.assertEqual(self.record(task)['timeoutMs'], 7_200_000)

    def test_V60_a_question_is_answered_by_its_button(self):
        question = self.ask('--choice', 'Yes', '--choice', 'No', '--deadline', '10m', 'Delete 3 migrations?')
        top = self.top()
        top.shows(question)
        top.press('a', '[1] Yes', '[2] No', 'in your own words', 'it expires')
        top.press('2', 'is answered')
        self.assertEqual(self.finished(question)['status'], 'completed')
        self.assertIn(b'No', self.log(question))

    def test_V60_a_question_is_answered_in_own_words_and_by_the_mouse(self):
        question = self.ask('--choice', 'Yes', '--choice', 'No', 'Delete?')
        top = self.top()
        top.shows(question)
        top.press('a', '[1] Yes')
        top.press('o', 'answer:')
        top.press('only the ßecond one\r', 'is answered')
        self.assertIn('only the ßecond one'.encode(), self.log(question))
        question = self.ask('--choice', 'Yes', '--choice', 'No', 'Really?')
        top.shows('Really?')
        while not self.row_of(top, 'Really?')[1].startswith('>'):
            top.keys('k')
            time.sleep(0.05)
        top.press('a', '[1] Yes')
        number = self.row_of(top, '[1] Yes')[0]
        top.press(f'\x1b[<0;5;{number + 1}M', 'is answered')
        self.assertIn(b'Yes', self.log(question))

    def test_V60_several_questions_and_several_choices(self):
        asked = ('[{"question":"Which?","options":[{"label":"a"},{"label":"b"},{"label":"c"}],"multi_select":true},'
                 '{"question":"And when?","options":[{"label":"now"},{"label":"later"}]}]')
        file = os.path.join(self.scratch, 'questions.json')
        with open(file, 'w', encoding='utf-8') as f:
            f.write(asked)
        question = self.ask('--questions', file)
        top = self.top()
        top.shows(question)
        top.press('a', 'Which?', '[1] [ ] a')
        top.press('1', '[1] [x] a')
        top.press('jj ', '[3] [x] c')
        top.press('\r', '→ a, c', '[1] now')
        top.press('2', 'is answered')
        self.assertIn(b'a, c', self.log(question))
        self.assertIn(b'later', self.log(question))

    def test_V60_a_question_is_dismissed(self):
        question = self.ask('Well?')
        top = self.top()
        top.shows(question)
        top.press('a', 'in your own words')
        top.press('x', 'because:')
        top.press('never mind\r', 'is dismissed')
        self.assertEqual(self.finished(question)['questionOutcome'], 'dismissed')

    def test_V60_a_line_for_its_input(self):
        task = self.sh('read a; echo "got $a"; read b', '--stdin', 'pipe')
        top = self.top()
        top.shows(task)
        top.press('i', 'to the input of')
        top.press('hällo\r', 'got hällo')
        other = self.sh('sleep 1000')
        top.shows(other)
        top.press('gi', 'to the input of')
        top.keys('x\r')
        top.shows('input')

    def test_V60_remove(self):
        task = self.ended_task('echo')
        top = self.top()
        top.shows(task)
        top.press('d', 'with its log? y')
        top.keys('y')
        top.shows(f'{task} is removed', 'no tasks')
        self.assertFalse(os.path.exists(self.path(task)))

    def test_V60_processes(self):
        task = self.sh('sleep 98765 & exec sh -c "sleep 98764; :"')
        top = self.top(columns=100)
        top.shows(task)
        top.press('p', 'sleep 98765', 'sleep 98764', 'MEMORY')
        self.perdure('stop', task, '--grace', '0', check=0)
        top.shows('no living process')
        top.press('h', 'DESCRIPTION')

    def test_V61_a_killed_runner_is_seen_at_once(self):
        task = self.sh('echo before; sleep 1000')
        top = self.top()
        top.shows('● running', 'before')
        os.kill(self.record(task)['runner']['pid'], signal.SIGKILL)
        top.until(lambda: '● running ' not in self.row_of(top, task)[1] + ' ' or 'running!' in top.text(), 'it is seen', 5)
        self.perdure('reconcile')
        top.shows('† lost', 'before')
        top.press('\r', 'before', f'{task} ·')


class Agents(AgentTest, ScreenTest):
    def test_V60_activity_and_resume(self):
        self.configure(mock={})
        task = self.agent('say hello there')
        self.finished(task)
        top = self.top(columns=120)
        top.shows(task, 'hello there')
        top.press('A', 'activity of')
        top.press('h', 'DESCRIPTION')
        top.press('r', 'resume with:')
        top.press('say again\r', 'goes on with')
        top.shows('2 ended')


if __name__ == '__main__':
    unittest.main()
