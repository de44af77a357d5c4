#include "strop/train/trainer.h"
