# Cross-compiles for 64-bit ARM with Debian's compiler and Debian's arm64 packages (./dev package installs both).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc-12)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++-12)
# Debian puts the libraries of every architecture into a folder of its own below /usr/lib.
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
# `cmake --install` runs perdure: it prints its completions and man pages itself.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static)
# find_package asks pkg-config first, which would answer with the libraries of the machine that builds.
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig)
