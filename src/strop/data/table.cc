#include "strop/data/table.h"
