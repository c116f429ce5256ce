#pragma once

/// Marks what the shared library promises to its users; everything else in it is hidden.
#define PERDURE_API __attribute__((visibility("default")))
