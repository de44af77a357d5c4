#include "strop/model/graph.h"
