#include "strop/serve/server.h"
