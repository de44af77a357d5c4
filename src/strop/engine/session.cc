#include "strop/engine/session.h"
