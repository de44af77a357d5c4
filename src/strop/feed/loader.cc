#include "strop/feed/loader.h"
