"""The software bill of materials of one architecture: SPDX 2.3, as JSON."""
import datetime
import hashlib
import json
import re
import uuid

# Of the project, not of a host: names of documents must be unique, not reachable.
_NAMESPACE = uuid.UUID('6f2c7f0e-4b0b-5d0f-9c55-3a0f5b0b8f5a')


def _id(text):
    return 'SPDXRef-' + re.sub(r'[^A-Za-z0-9.-]', '-', text)


def _package(name, version, licence, home, **more):
    return {'SPDXID': _id(f'Package-{name}'), 'name': name, 'versionInfo': version, 'downloadLocation': 'NOASSERTION',
            'filesAnalyzed': False, 'licenseConcluded': 'NOASSERTION', 'licenseDeclared': licence,
            'copyrightText': 'NOASSERTION', **({'homepage': home} if home else {}), **more}


def bill(version, commit, epoch, arch, programs, parts, compiler):
    """`programs`: name of a program -> its bytes; `parts`: the components linked in."""
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')
    main = _package('perdure', version, 'Apache-2.0', None, sourceInfo=f'built from commit {commit}', primaryPackagePurpose='APPLICATION',
                    supplier='Organization: Perdure')
    packages, relations = [main], [('SPDXRef-DOCUMENT', 'DESCRIBES', main['SPDXID'])]
    files = []
    for name, data in sorted(programs.items()):
        files.append({'SPDXID': _id(f'File-{name}'), 'fileName': f'./{name}', 'fileTypes': ['BINARY'],
                      'checksums': [{'algorithm': word, 'checksumValue': hashlib.new(word.lower(), data).hexdigest()}
                                    for word in ('SHA1', 'SHA256')],
                      'licenseConcluded': 'NOASSERTION', 'licenseInfoInFiles': ['NOASSERTION'], 'copyrightText': 'NOASSERTION'})
        relations.append((main['SPDXID'], 'CONTAINS', _id(f'File-{name}')))
    for part in parts:
        source = part.package.split(':')[0]
        packages.append(_package(part.name, part.version, part.licence, part.home, supplier='Organization: Debian',
                                 externalRefs=[{'referenceCategory': 'PACKAGE-MANAGER', 'referenceType': 'purl',
                                                'referenceLocator': f'pkg:deb/debian/{source}@{part.version}?distro=bookworm'}]))
        relations += [(_id(f'File-{program.rsplit("/", 1)[-1]}'), 'STATIC_LINK', packages[-1]['SPDXID'])
                      for program in part.programs]
    packages.append(_package('g++', compiler, 'GPL-3.0-or-later WITH GCC-exception-3.1', 'https://gcc.gnu.org/'))
    relations.append((packages[-1]['SPDXID'], 'BUILD_TOOL_OF', main['SPDXID']))
    digest = hashlib.sha256(b''.join(name.encode() + data for name, data in sorted(programs.items()))).hexdigest()
    document = {
        'spdxVersion': 'SPDX-2.3', 'dataLicense': 'CC0-1.0', 'SPDXID': 'SPDXRef-DOCUMENT', 'name': f'perdure-{version}-linux-{arch}',
        'documentNamespace': f'urn:uuid:{uuid.uuid5(_NAMESPACE, f"{commit} {arch} {digest}")}',
        'creationInfo': {'created': created, 'creators': ['Organization: Perdure', 'Tool: packaging/sbom.py']},
        'packages': packages, 'files': files,
        'relationships': [{'spdxElementId': a, 'relationshipType': kind, 'relatedSpdxElement': b} for a, kind, b in relations]}
    return json.dumps(document, indent=1, ensure_ascii=False) + '\n'
