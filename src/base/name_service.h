#pragma once

#ifdef PERDURE_STATIC
#include <nss.h>
#endif

namespace perdure {

/// To be called first in a program that may be static: users are then looked up in /etc/passwd, and names of hosts in
/// /etc/hosts and by DNS. The C library in a static program would load the modules that /etc/nsswitch.conf names; they
/// belong to the machine's own C library, and to load two of these crashes. Does nothing in other programs.
inline void use_own_name_service() {
#ifdef PERDURE_STATIC
  ::__nss_configure_lookup("passwd", "files");
  ::__nss_configure_lookup("hosts", "files dns");
#endif
}

}  // namespace perdure
