#pragma once

#ifdef PERDURE_STATIC
#include <nss.h>
#endif

namespace perdure {

/// Call first in a program that may be static: users are then looked up in /etc/passwd, and host names in /etc/hosts
/// and by DNS. The C library of a static program would load the modules that /etc/nsswitch.conf names. Those belong to
/// the machine's own C library, and loading both crashes. Has no effect in other programs.
inline void use_own_name_service() {
#ifdef PERDURE_STATIC
  ::__nss_configure_lookup("passwd", "files");
  ::__nss_configure_lookup("hosts", "files dns");
#endif
}

}  // namespace perdure
