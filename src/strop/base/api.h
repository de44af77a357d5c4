#pragma once

// Marks what a room's shared library exports; everything else is hidden. Exception types must carry it, so
// that they are caught across libraries.
#define STROP_API __attribute__((visibility("default")))
