#!/bin/bash
# The "machines" of start.sh ISOLATE=1 (root). machine.sh boot|off|unplug|plug|exec|pid N [COMMAND...]
#   boot N    a pid, network, uts and mount namespace, address $NET.N, private /tmp, slurmd inside
#   off N     power cut: every process of the machine dies at once (its pid 1 is killed)
#   unplug N / plug N   network cable out / in; processes go on
#   exec N CMD...       run a command inside, as ssh would
set -euo pipefail
D=${SLURM_TEST_DIR:-/tmp/slurmtest} NET=${NET:-10.77.0} BR=${BR:-slbr0}
export PATH=/usr/sbin:/sbin:$PATH
cmd=${1:?} i=${2:?}; shift 2
pidf=$D/run/machine.n$i.pid
alive() { [ -s "$pidf" ] && [ -e "/proc/$(<"$pidf")/ns/net" ] && tr '\0' ' ' < "/proc/$(<"$pidf")/cmdline" | grep -q "machine-n$i"; }
case $cmd in
boot)
  alive && { echo "n$i is up" >&2; exit 1; }
  ip link del "${BR}v$i" 2>/dev/null || true
  rm -f "$pidf" "$D/run/net.n$i"
  # pid 1 of the machine: waits for its network, starts slurmd, reaps
  head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$D/run/boot-id.n$i"
  [ -s "$D/run/machine-id.n$i" ] || head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$D/run/machine-id.n$i"
  # shellcheck disable=SC2016 # expanded inside
  setsid unshare --uts --mount --net --pid --fork --mount-proc --kill-child=KILL bash -c '
    set -e; D=$1 i=$2
    hostname "n$i"; ip link set lo up
    mount --bind "$D/run/machine-id.n$i" /etc/machine-id
    mount --bind "$D/run/boot-id.n$i" /proc/sys/kernel/random/boot_id
    exec 9<"$D"; mount -t tmpfs -o mode=1777 tmpfs /tmp; mkdir -p "$D"; mount -c --bind /proc/self/fd/9 "$D"; exec 9<&-
    for _ in $(seq 500); do [ -e "$D/run/net.n$i" ] && break; sleep 0.01; done
    SLURM_CONF=$D/slurm.conf slurmd -f "$D/slurm.conf" -N "n$i"
    while :; do sleep 1000 & wait $! || true; done
  ' "machine-n$i" "$D" "$i" >"$D/log/machine.n$i.log" 2>&1 </dev/null &
  u=$!
  for _ in $(seq 500); do p=$(tr -d ' ' < "/proc/$u/task/$u/children" 2>/dev/null) && [ -n "$p" ] && break; sleep 0.01; done
  echo "$u" > "$D/run/unshare.n$i.pid"; echo "$p" > "$pidf"
  ip link add "${BR}v$i" type veth peer name eth0 netns "$p"
  ip link set "${BR}v$i" master "$BR" up
  nsenter -t "$p" -n ip addr add "$NET.$i/24" dev eth0
  nsenter -t "$p" -n ip link set eth0 up
  touch "$D/run/net.n$i";;
off) alive && kill -KILL "$(<"$pidf")"; rm -f "$pidf"; ip link del "${BR}v$i" 2>/dev/null || true;;
unplug) ip link set "${BR}v$i" down;;
plug) ip link set "${BR}v$i" up;;
pid) cat "$pidf";;
exec) alive; exec nsenter -t "$(<"$pidf")" -m -u -n -p env SLURM_CONF="$D/slurm.conf" "$@";;
*) echo "machine.sh: boot|off|unplug|plug|exec|pid" >&2; exit 2;;
esac
