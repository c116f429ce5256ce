#pragma once

#ifdef PERDURE_STATIC
#include <nss.h>
#endif

namespace perdure {

/// What prepare_name_lookup() does; set by use_own_name_service().
inline void (*before_name_lookup)() = nullptr;

/// To be called first in a program that may be static: users are then looked up in /etc/passwd, and names of hosts in
/// /etc/hosts and by DNS. The C library in a static program would load the modules that /etc/nsswitch.conf names; they
/// belong to the machine's own C library, and to load two of these crashes. Does nothing in other programs.
/// This call only stores a function: most commands look up no user, and the set-up of the C library costs eight system
/// calls.
inline void use_own_name_service() {
#ifdef PERDURE_STATIC
  before_name_lookup = [] {
    ::__nss_configure_lookup("passwd", "files");
    ::__nss_configure_lookup("hosts", "files dns");
  };
#endif
}

/// To be called before every lookup of a user or a host.
inline void prepare_name_lookup() {
  if (before_name_lookup != nullptr) before_name_lookup();
}

}  // namespace perdure
