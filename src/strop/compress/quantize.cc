#include "strop/compress/quantize.h"
