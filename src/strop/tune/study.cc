#include "strop/tune/study.h"
