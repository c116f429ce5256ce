#!/bin/sh
# Removes exactly what the tarball put here: the files of share/doc/perdure/manifest, then the folders left empty.
# Sessions (~/.local/state/perdure) and settings (~/.config/perdure) stay.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
manifest=$here/share/doc/perdure/manifest
[ -f "$manifest" ] || {
  echo "uninstall: $manifest: not found; perdure was not installed from a tarball here" >&2
  exit 1
}
files=$(cat "$manifest")
echo "$files" | while IFS= read -r file; do rm -f -- "$here/$file"; done
# Deepest first, so that a folder is looked at after those in it. A folder that holds something else stays.
echo "$files" | while IFS= read -r file; do
  while [ "${file%/*}" != "$file" ]; do
    file=${file%/*}
    echo "$file"
  done
done | sort -ru | while IFS= read -r folder; do rmdir -- "$here/$folder" 2>/dev/null || :; done
echo "perdure was removed from $here"
