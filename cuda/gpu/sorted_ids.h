// The positions of a batch in the order of their ids, for sums over the positions of one id without atomics.
#pragma once
#include "gpu.h"

namespace rs::gpu {

struct SortedIds {
  const int32_t* ids;     // [n] rising; one outside 0 … v−1 counts as 0
  const int32_t* places;  // [n] where each stood; equal ids in the order they had
  const int32_t* ends;    // [v] one past an id's last element of `ids`; undefined for ids that do not occur
};

// Sorts ids[n] and reports those outside 0 … v−1. The result is kept beside the tensor until that is written to: all
// tables that are read by the same batch share it.
SortedIds sorted_ids(const Tensor* ids, int32_t n, int32_t v);

}  // namespace rs::gpu
