"""A session with top on it."""
import json

from screen import Top
from session import SessionTest, eventually


class ScreenTest(SessionTest):
    def setUp(self):
        super().setUp()
        self.tops = []

    def tearDown(self):
        for top in self.tops:
            top.close()
        for task in json.loads(self.perdure('--json', 'list').stdout or '[]'):
            self.perdure('stop', task['taskId'], '--grace', '0')
        super().tearDown()

    def top(self, *args, **kw):
        top = Top(self.session, *args, config_home=self.config_home, **kw)
        self.tops.append(top)
        return top

    def ended_task(self, line, *options):
        task = self.sh(line, *options)
        self.finished(task)
        return task

    @staticmethod
    def row_of(top, text):
        """The row of the screen that holds the text, and its number."""
        return next(((n, line) for n, line in enumerate(top.lines()) if text in line), (None, ''))


__all__ = ['ScreenTest', 'eventually']
