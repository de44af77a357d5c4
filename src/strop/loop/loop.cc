#include "strop/loop/loop.h"
