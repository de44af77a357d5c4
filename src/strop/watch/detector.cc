#include "strop/watch/detector.h"
