// Between the emulated device and the emulated runtime.
#pragma once
#include <functional>

#include "device.h"

namespace emulator {

// What a CUtensorMap holds here: an array of two-byte elements.
struct TensorMap {
  uint8_t* data;
  int64_t sizes[5], strides[5];  // elements; bytes
  int16_t box[5], axes, swizzled;
};
static_assert(sizeof(TensorMap) <= sizeof(CUtensorMap));

// Runs a kernel to its end; values[i] points to parameter i.
void run_grid(const void* kernel, dim3 grid, dim3 block, uint32_t shared_bytes, uint32_t cluster,
              void* const* values);
// Does it now or, while a graph is captured, whenever that is launched.
void enqueue(std::function<void()> work);

}  // namespace emulator
