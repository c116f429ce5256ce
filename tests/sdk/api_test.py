#!/usr/bin/env python3
"""api_test.py [--update]: the public surface of the SDKs, name by name, is what sdk/api.txt says (V52).

A name that is gone breaks programs: it may go only with a line in CHANGELOG.md and a new major version. Node's part is
looked at where there is Node."""
import importlib.util
import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
LIST = SOURCE / 'sdk' / 'api.txt'
sys.dont_write_bytecode = True


def python_lines():
    spec = importlib.util.spec_from_file_location('perdure', SOURCE / 'sdk' / 'python' / 'perdure.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules['perdure'] = module
    spec.loader.exec_module(module)
    for name in module.__all__:
        value = getattr(module, name)
        if not inspect.isclass(value):
            yield f'python {name}{inspect.signature(value) if callable(value) else ""}'
            continue
        yield f'python {name}'
        for member, what in vars(value).items():
            if member.startswith('_') or value.__module__ == 'typing':
                continue
            parameters = ', '.join(inspect.signature(what).parameters) if inspect.isfunction(what) else None
            yield f'python {name}.{member}' + (f'({parameters})' if parameters is not None else '')


def node_lines():
    done = subprocess.run(['node', str(HERE / 'node' / 'api.mjs')], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    yield from done.stdout.splitlines()


def undeclared(lines):
    """Names of Node's part that no declaration has."""
    declared = {name: (SOURCE / 'sdk' / 'node' / f'{name}.d.ts').read_text() for name in ('index', 'kimi')}
    for line in lines:
        _, module, name = line.split()
        if not re.search(rf'\b{re.escape(name.split(".")[-1])}\b', declared[module]):
            yield line


def main():
    has_node = shutil.which('node') is not None
    node = sorted(node_lines()) if has_node else [one for one in LIST.read_text().splitlines() if one.startswith('node ')]
    shown = [*node, *sorted(set(python_lines()))]
    if '--update' in sys.argv:
        LIST.write_text('\n'.join(shown) + '\n')
        return 0
    noted = LIST.read_text().splitlines()
    complaints = [f'gone: {line}' for line in noted if line not in shown] + [f'new: {line}' for line in shown if line not in noted]
    if has_node:
        complaints += [f'not declared: {line}' for line in undeclared(node)]
    if complaints:
        print('\n'.join(complaints))
        print('what is meant: note it in CHANGELOG.md, then run tests/sdk/api_test.py --update')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
