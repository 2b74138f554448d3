/* The object's constants. Weak: every linked file has them, the linker keeps one. */
#pragma once

#include "causeway/abi/config.h"
#include "kernel_types.h"

const volatile struct cw_config config __weak = {};
