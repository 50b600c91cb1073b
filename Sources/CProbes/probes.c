// The probes are made where they are called.
#include "probes.h"
