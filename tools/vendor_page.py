#!/usr/bin/env python3
"""vendor_page.py MODULES [--check]: copies the libraries of the page of `perdure web` out of a node_modules folder.

Import specifiers become relative paths, and the reference to a source map goes: a browser resolves no package names. Nothing
else changes; --check compares instead of writing.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.join(HERE, '..', 'src', 'web', 'page', 'files', 'vendor')
FILES = {
    'preact.js': 'preact/dist/preact.mjs',
    'hooks.js': 'preact/hooks/dist/hooks.mjs',
    'htm.js': 'htm/dist/htm.module.js',
    'LICENSE.preact': 'preact/LICENSE',
    'LICENSE.htm': 'htm/LICENSE',
}


def rewritten(text):
    text = re.sub(r'from"preact"', 'from"./preact.js"', text)
    return re.sub(r'\n?//# sourceMappingURL=\S+\n?', '\n', text)


def main():
    modules = sys.argv[1]
    wrong = []
    for name, source in FILES.items():
        with open(os.path.join(modules, source), encoding='utf-8') as f:
            text = f.read() if name.startswith('LICENSE') else rewritten(f.read())
        path = os.path.join(TARGET, name)
        if '--check' in sys.argv:
            with open(path, encoding='utf-8') as f:
                if f.read() != text:
                    wrong.append(name)
        else:
            with open(path, 'w', encoding='utf-8') as f:
                f.write(text)
    if wrong:
        sys.exit(f'not what the packages hold: {", ".join(wrong)}')


if __name__ == '__main__':
    main()
