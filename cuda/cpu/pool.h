// Start of the thread pool, for device.cpp. parallel.h is what the ops use.
#pragma once
#include <cstdint>

namespace rs {

// Once a process; 0 threads: as many as this process may run on.
void pool_start(int32_t threads);

}  // namespace rs
