#include "strop/cli/verb.h"
