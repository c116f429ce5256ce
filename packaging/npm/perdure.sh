#!/bin/sh
# Starts the perdure of this machine's platform package (@perdure/linux-x64, @perdure/linux-arm64), which npm has put
# beside this one. No JavaScript: a coding agent starts this for every command.

me=$0
while [ -L "$me" ]; do
  link=$(readlink -- "$me") || break
  case $link in
    /*) me=$link ;;
    *) me=${me%/*}/$link ;;
  esac
done
case $me in */*) ;; *) me=./$me ;; esac
here=$(CDPATH='' cd -- "${me%/*}" && pwd -P) || exit 1

system=$(uname -s)
machine=$(uname -m)
case $system-$machine in
  Linux-x86_64 | Linux-amd64) platform=linux-x64 ;;
  Linux-aarch64 | Linux-arm64) platform=linux-arm64 ;;
  *)
    echo "perdure: Perdure runs on Linux only, on x86_64 and aarch64; this is $system on $machine" >&2
    exit 1
    ;;
esac

# As Node looks a package up: in the node_modules of each folder above.
folder=$here
while [ -n "$folder" ]; do
  program=$folder/node_modules/@perdure/$platform/bin/perdure
  if [ -x "$program" ]; then exec "$program" "$@"; fi
  folder=${folder%/*}
done

echo "perdure: the package @perdure/$platform is missing: was it installed with --no-optional or --omit=optional? \
Reinstall perdure on this machine ($platform) without it, or add @perdure/$platform" >&2
exit 1
