"""The same promises as in e2e, with an agent on the official SDK instead of the scripted one."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..', 'e2e'), os.path.join(HERE, '..', 'support')]
import agent_case  # noqa: E402
import agent_driver_test  # noqa: E402
import agent_test  # noqa: E402
import node_tools  # noqa: E402


def setUpModule():
    node_tools.install()
    agent_case.COMMAND[:] = [node_tools.NODE, node_tools.script('sdk_agent.mjs')]


class Outcomes(agent_driver_test.Outcomes):
    test_an_agent_that_reads_nothing_does_not_hold_the_driver_without_a_runner = None  # the SDK always reads


class Asked(agent_driver_test.Asked):
    pass


class Streams(agent_driver_test.Streams):
    pass


class Activity(agent_driver_test.Activity):
    pass


class Resume(agent_test.Resume):
    pass


class Ends(agent_test.Ends):
    test_its_background_commands_end_with_it_and_are_its_own = None  # of the MCP server in the scripted agent


if __name__ == '__main__':
    unittest.main()
