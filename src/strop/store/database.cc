#include "strop/store/database.h"
