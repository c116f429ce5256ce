#!/usr/bin/env python3
"""What the docs, the sources and the help point to exists: links of Markdown files with their headings, and docs/NAME.md."""
import os
import pathlib
import re
import unittest

SOURCE = pathlib.Path(os.environ.get('PERDURE_SOURCE_DIR', pathlib.Path(__file__).resolve().parents[2]))
ROOTS = ('cmake', 'docs', 'examples', 'include', 'integrations', 'packaging', 'sdk', 'src', 'tests', 'tools')
TEXT = {'.md', '.h', '.cpp', '.c', '.py', '.js', '.mjs', '.ts', '.sh', '.cmake', '.txt', '.toml', '.json'}


def files():
    yield from SOURCE.glob('*.md')
    for root in ROOTS:
        for path in (SOURCE / root).rglob('*'):
            if path.suffix in TEXT and 'node_modules' not in path.parts and path.is_file():
                yield path


def heading_names(path):
    """As GitHub and npm name the headings of a page."""
    text = re.sub(r'^```.*?^```', '', path.read_text(encoding='utf-8'), flags=re.DOTALL | re.MULTILINE)
    for line in re.findall(r'^#+ +(.*)$', text, re.MULTILINE):
        plain = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', line).replace('`', '')
        yield re.sub(r'[^\w\- ]', '', plain.lower()).strip().replace(' ', '-')


class Links(unittest.TestCase):
    def test_links_of_pages_lead_to_a_file_and_a_heading(self):
        dead = []
        for page in (path for path in files() if path.suffix == '.md' and 'fixtures' not in path.parts):
            for target, heading in re.findall(r'\]\(([^)#:\s]*)(#[^)\s]*)?\)', page.read_text(encoding='utf-8')):
                path = page.parent / target if target else page
                if not path.exists():
                    dead.append(f'{page.relative_to(SOURCE)}: {target}')
                elif heading and heading[1:] not in set(heading_names(path)):
                    dead.append(f'{page.relative_to(SOURCE)}: {target}{heading}')
        self.assertEqual(dead, [])

    def test_pages_that_sources_name_exist(self):
        dead = []
        for path in files():
            for name in re.findall(r'(?<![\w/])docs/[a-z/-]+\.md', path.read_text(encoding='utf-8', errors='replace')):
                if not (SOURCE / name).exists():
                    dead.append(f'{path.relative_to(SOURCE)}: {name}')
        self.assertEqual(dead, [])

    def test_each_page_is_in_the_index(self):
        index = (SOURCE / 'docs/README.md').read_text(encoding='utf-8')
        pages = [str(page.relative_to(SOURCE / 'docs')) for page in (SOURCE / 'docs').rglob('*.md') if page.name != 'README.md']
        self.assertEqual([page for page in pages if f']({page})' not in index], [])


if __name__ == '__main__':
    unittest.main()
