"""Stand-ins for ssh, sbatch, squeue, scancel and srun that answer from a folder: fast enough to be killed at each step.

`ssh` runs what it is told on this machine, with a home folder of its own. `sbatch` keeps the job and runs its script at
once, in the background, as a node would; `squeue` tells of it. The answers have the shape of the real ones.

A file `hang` in the folder of the jobs, with names of programs in it, has those hang, as where the controller does.
"""
import os
import stat

SSH = r'''#!/bin/sh
# The last word is what the login shell is to run.
for word; do last=$word; done
HOME={home}; export HOME; cd "$HOME" || exit 255
exec env -i HOME="$HOME" PATH=/usr/local/bin:/usr/bin:/bin /bin/sh -c "$last"
'''

SBATCH = r'''#!/bin/sh
D={folder}
case $1 in --version) echo "slurm 22.05.8"; exit 0;; esac
for word; do case $word in --job-name=*) name=${word#*=};; --output=*) log=${word#*=};; esac; done
exec 9>"$D/lock"; flock 9
id=$(($(cat "$D/last" 2>/dev/null || echo 0) + 1)); echo "$id" > "$D/last"
for word; do :; done
cp "$word" "$D/$id.script"
echo "$name" > "$D/$id.name"
SLURM_JOB_ID=$id setsid sh -c 'trap : TERM; sh "$1" >> "$2" 2>&1; echo $? > "$3"' job "$D/$id.script" "$log" "$D/$id.exit" \
  9>&- </dev/null >/dev/null 2>&1 &
echo $! > "$D/$id.pid"
exec 9>&-
echo "$id"
'''

SQUEUE = r'''#!/bin/sh
D={folder}
case "$*" in *%e*) echo N/A; exit 0;; esac
for word; do case $word in --name=*) names=,${word#*=},;; esac; done
for file in "$D"/*.name; do
  [ -e "$file" ] || continue
  id=$(basename "$file" .name); name=$(cat "$file")
  case $names in *,"$name",*) ;; *) continue;; esac
  state=RUNNING; code=0
  if [ -e "$D/$id.exit" ]; then code=$(cat "$D/$id.exit"); state=COMPLETED; [ "$code" = 0 ] || state=FAILED; fi
  printf '%s|%-64s|%-24s|%s|%-64s|%-64s|\n' "$id" "$name" "$state" "$code" None n1
done
'''


SCANCEL = r'''#!/bin/sh
for id; do :; done
pid=$(cat {folder}/"$id".pid); job=$(cat "/proc/$pid/task/$pid/children") && kill -TERM $job
exit 0
'''

HANG = r'''case " $(cat {folder}/hang 2>/dev/null) " in *" {name} "*) exec sleep 1000;; esac
'''


def make(folder, home):
    """Programs in folder/bin, for the front of PATH."""
    programs = os.path.join(folder, 'bin')
    state = os.path.join(folder, 'jobs')
    for path in (programs, state):
        os.makedirs(path, exist_ok=True)
    for name, text in (('ssh', SSH), ('sbatch', SBATCH), ('squeue', SQUEUE), ('scancel', SCANCEL),
                       ('srun', '#!/bin/sh\nexit 1\n'), ('scontrol', '#!/bin/sh\necho "ClusterName = fake"\n'), ('sinfo', '#!/bin/sh\necho idle\n')):
        path = os.path.join(programs, name)
        with open(path, 'w', encoding='utf-8') as f:
            first, rest = text.split('\n', 1)
            f.write((first + '\n' + HANG + rest).replace('{home}', home).replace('{folder}', state).replace('{name}', name))
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return programs
