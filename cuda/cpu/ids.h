// The check that every op with token ids makes before it writes anything.
#pragma once
#include "../impl.h"

namespace rs::RS_BACKEND {

// Fails when one of ids[n] is outside 0 … v−1.
static inline void check_ids(const int32_t* ids, int64_t n, int32_t v) {
  for (int64_t i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] >= v)
      fail(RS_INVALID, "id %d at %lld is outside 0…%d", ids[i], static_cast<long long>(i), v - 1);
}

}  // namespace rs::RS_BACKEND
