#!/usr/bin/env python3
"""A plain function-calling agent loop with background tasks: `agent_loop.py SESSION`.

The model is a script here, so that the example runs anywhere; put your own in its place. What matters is between:
tools that start, look at and stop tasks, and endings that reach the model as they come, with no polling.
"""
import json
import sys

import perdure

OWNER = 'example-agent'


def tools(p):
    """What the model may call, by name."""
    return {
        'start': lambda command, description='': {'id': p.start(command, description=description, timeout_ms=600_000).id},
        'look': lambda id: {'status': p.get(id).status, 'output': p.text(id, tail_lines=20)},  # noqa: A002
        'stop': lambda id, reason: {'status': p.stop(id, reason=reason).status},  # noqa: A002
    }


def scripted_model():
    """Stands for a model: it is sent messages, and answers with a call of a tool, or with its final words."""
    message = yield {'call': 'start', 'arguments': {'command': 'echo building; sleep 0.2; echo done; exit 3', 'description': 'build'}}
    build = message['result']['id']
    message = yield {'call': 'start', 'arguments': {'command': 'sleep 600', 'description': 'server'}}
    server = message['result']['id']
    message = yield {'wait': True}
    assert build in message['news'], message
    message = yield {'call': 'look', 'arguments': {'id': build}}
    output = message['result']['output']
    yield {'call': 'stop', 'arguments': {'id': server, 'reason': 'the build failed'}}
    yield {'final': f'The build failed; it printed: {output!r}'}


def run(session):
    with perdure.open(session, owner=OWNER) as p:
        known = tools(p)
        model = scripted_model()
        answer = next(model)
        while 'final' not in answer:
            if 'call' in answer:
                try:
                    result = known[answer['call']](**answer['arguments'])
                except perdure.PerdureError as error:
                    result = {'error': error.code, 'message': str(error)}
                message = {'result': result}
            else:
                # Nothing to do until a task has ended, whoever ends it.
                p.call('notifications.await')
                news = p.notifications()
                message = {'news': '\n'.join(f"{one['title']} {' '.join(one['tasks'])}\n{one['preview']}" for one in news)}
                p.acknowledge([one['id'] for one in news], via='agent-loop')
            print('->', json.dumps(message))
            answer = model.send(message)
        print(answer['final'])


if __name__ == '__main__':
    run(sys.argv[1])
