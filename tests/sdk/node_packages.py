"""The packages of node/package-lock.json, installed into the build folder by the first test that wants them."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
import npm_packages  # noqa: E402

SOURCE = os.path.dirname(os.path.dirname(HERE))
FOLDER = os.path.join(npm_packages.BUILD, 'sdk-packages')
MODULES = os.path.join(FOLDER, 'node_modules')


def install():
    try:
        npm_packages.install(os.path.join(HERE, 'node'), 'sdk-packages')
    except npm_packages.CannotInstall as error:
        sys.exit(f'tests/sdk/node/package-lock.json: {error}')
