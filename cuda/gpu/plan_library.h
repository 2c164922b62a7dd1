// What plans.cpp and plan_timing.cpp share: calls of cuBLASLt about one product, and measured times.
#pragma once
#include <vector>

#include "plans.h"

namespace rs::gpu {

// ---- plan_library.cpp ----

constexpr size_t kPlanWorkspace = size_t{32} << 20;  // bytes, at most: what NVIDIA advises for sm_90

// Whether M and the batch may take part in the choice of the algorithm.
inline bool is_exact(const Product& p) { return p.trans_a || p.exact; }
// The batch that an algorithm is chosen for.
inline int32_t representative_batch(const Product& p) { return p.batched && !is_exact(p) ? 64 : p.batch; }
// The product that stands for all M, and for all batches, where the algorithm may not depend on them: as many rows as
// fill the device.
Product representative(const Product& product);
// Everything of a plan but the algorithm.
ProductPlan describe(const Product& product);
// Takes the algorithm into the plan if the library accepts it for these sizes.
bool accept(ProductPlan& plan, const lt::Algorithm& algorithm);
// What the heuristic proposes, best first: without is_exact, of what takes any M without splitting sums.
std::vector<lt::Algorithm> propose(const Product& product);
// Adds the first ones with their sums split, too: a gradient of weights has few elements and long sums.
void add_splits(std::vector<lt::Algorithm>& algorithms, const Product& product);
lt::Status try_product(const PreparedProduct& product, cudaStream_t stream);

// ---- plan_timing.cpp ----

// Puts the fastest for these operands first, and tells its milliseconds.
float sort_by_time(std::vector<lt::Algorithm>& algorithms, const Product& product);
bool own_kernel_is_faster(const HopperProduct& product);

}  // namespace rs::gpu
