#!/usr/bin/env bash
#
# What `cmake --install` leaves behind is enough: the example builds against it with find_package and with
# pkg-config, runs a task with the installed runner, and the installed command line works from where it lies.
set -euo pipefail

fail() {
  printf 'install_test: %s\n' "$*" >&2
  exit 1
}

scratch=$PERDURE_BUILD_DIR/scratch/install
rm -rf -- "$scratch"
mkdir -p -- "$scratch"
prefix="$scratch/a prefix"
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$PERDURE_BUILD_DIR/CMakeCache.txt")
unset PERDURE_RUNNER_PATH PERDURE_SESSION

cmake --install "$PERDURE_BUILD_DIR" --prefix "$prefix" >"$scratch/install.log"

for file in include/perdure/manager.h libexec/perdure/perdure-runner libexec/perdure/perdure-webhook share/doc/perdure/LICENSE \
  share/perdure/claude-code/.claude-plugin/plugin.json share/perdure/claude-code/.mcp.json share/perdure/gemini/gemini-extension.json; do
  [[ -e $prefix/$file ]] || fail "$file was not installed"
done

# embed PROGRAM: what the example prints about its task is exact.
embed() {
  local expected
  expected=$(printf 'completed, exit code 0\nhello from a task\n')
  local printed
  printed=$("$1" "$scratch/session" 'echo hello from a task') || fail "$1 exited with $?"
  [[ $printed == *"$expected" ]] || fail "$1 printed: $printed"
}

cmake -S "$PERDURE_SOURCE_DIR/examples/embedder" -B "$scratch/example" -G Ninja \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/configure.log"
cmake --build "$scratch/example" >"$scratch/build.log" || {
  cat "$scratch/build.log" >&2
  fail "the example does not build with find_package"
}
embed "$scratch/example/embedder"

PKG_CONFIG_PATH=$(dirname -- "$(find "$prefix" -name perdure.pc)")
export PKG_CONFIG_PATH
# pkg-config escapes spaces for a shell to read.
eval "flags=($(pkg-config --cflags --libs perdure))"
# shellcheck disable=SC2154  # set by the eval
"$compiler" "$PERDURE_SOURCE_DIR/examples/embedder/embedder.cpp" -o "$scratch/embedder" "${flags[@]}" \
  -Wl,-rpath,"${PKG_CONFIG_PATH%/pkgconfig}" ||
  fail "the example does not build with pkg-config"
embed "$scratch/embedder"

# A class of the library's can be derived from in a program of its own.
cat >"$scratch/sink.cpp" <<'CPP'
#include <perdure/manager.h>
#include <memory>
struct Counts : perdure::TelemetrySink {
  int events = 0;
  void record(std::string_view, std::string_view) override { ++events; }
};
int main(int, char** argv) {
  const auto counts = std::make_shared<Counts>();
  auto manager = perdure::TaskManager::open({.session = argv[1], .telemetry = counts});
  auto task = manager->start({.shell_line = "exit 0"});
  auto waited = manager->wait({.ids = {task->id}});
  perdure::TelemetrySink& sink = *counts;
  return dynamic_cast<Counts&>(sink).events == 3 && waited->ended.size() == 1 ? 0 : 1;  // created, completed, waited
}
CPP
"$compiler" -std=c++23 "$scratch/sink.cpp" -o "$scratch/sink" "${flags[@]}" \
  -Wl,-rpath,"${PKG_CONFIG_PATH%/pkgconfig}" || fail "a program with a sink of its own does not build"
"$scratch/sink" "$scratch/session" || fail "a sink of a program's own did not hear of its task"

if [[ -x $PERDURE_BIN/perdure ]]; then
  program=$prefix/bin/perdure
  [[ $("$program" --session "$scratch/cli" run --wait -c 'echo ran') == *-???????? ]] ||
    fail "the installed perdure did not run a task"
  # Nobody listens there: what counts is that it was found and tried.
  posted=$(echo '{}' | "$program" hook webhook http://127.0.0.1:1/ --retries 0 2>&1) || true
  [[ $posted == 'perdure: webhook: connecting to '* ]] || fail "the installed perdure-webhook was not found: $posted"
  for file in bash-completion/completions/perdure zsh/site-functions/_perdure fish/vendor_completions.d/perdure.fish; do
    [[ -s $prefix/share/$file ]] || fail "share/$file was not installed"
  done
  for page in man1/perdure.1 man5/perdure-config.5 man8/perdure-runner.8; do
    grep -q '^\.SH "SEE ALSO"' "$prefix/share/man/$page" || fail "share/man/$page was not installed"
  done
  [[ -s $prefix/share/doc/perdure/docs/guide/limits.md ]] || fail "docs/, to which the help points, was not installed"
  bash -n "$prefix/share/bash-completion/completions/perdure" || fail "the bash completion is no bash"
fi

# Built without this checkout's headers, linked without its libraries: nothing of it may be left in the program.
if ldd "$scratch/example/embedder" | grep -E 'boost|fmt'; then
  fail "libperdure needs more than the C++ runtime"
fi
