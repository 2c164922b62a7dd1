// Which algorithm multiplies what: made once for each shape, then looked up. See plans.h.
#include "plans.h"

#include <algorithm>
#include <tuple>

#include "plan_library.h"

namespace rs::gpu {

namespace {

auto key(const PlanShape& s) {
  return std::tie(s.type, s.c_type, s.trans_a, s.trans_b, s.batch, s.m, s.n, s.k, s.add, s.one_a, s.one_b);
}
auto key(const KernelShape& s) { return std::tie(s.c_type, s.n, s.k, s.epilogue); }
auto key(const ExactShape& s) { return std::tie(s.shape, s.batch, s.m, s.stride_a, s.stride_b, s.stride_c); }

}  // namespace

bool operator<(const PlanShape& left, const PlanShape& right) { return key(left) < key(right); }
bool operator<(const KernelShape& left, const KernelShape& right) { return key(left) < key(right); }
bool operator<(const ExactShape& left, const ExactShape& right) { return key(left) < key(right); }

Plans& plans() {
  static Plans* made = new Plans;  // never destroyed, like all of the library's state
  return *made;
}

namespace {

PlanShape shape_of(const Product& p) {
  const int32_t batch = representative_batch(p);
  return {p.type, p.c_type, p.trans_a, p.trans_b, batch, is_exact(p) ? p.m : 0, p.n, p.k, p.beta != 0,
          batch > 1 && p.stride_a == 0, batch > 1 && p.stride_b == 0};
}

PlanChoice choose(const Product& p) {
  std::vector<lt::Algorithm> algorithms = propose(p);
  if (algorithms.empty()) return {false, true, {}};
  if (plans().measuring) {
    if (is_exact(p)) add_splits(algorithms, p);
    try {
      sort_by_time(algorithms, p);
    } catch (const Error& error) {
      if (error.code != RS_OUT_OF_MEMORY) throw;  // no room for a second result: the heuristic's first, then
    }
  }
  return {true, true, algorithms[0]};
}

}  // namespace

bool fits_library(const Product& p) {
  const int32_t lengths[] = {p.trans_a ? p.m : p.k, p.trans_b ? p.k : p.n, p.n};
  const int64_t strides[] = {p.stride_a, p.stride_b, p.stride_c};
  for (const int32_t length : lengths)
    if (length % 8 != 0) return false;
  for (const int64_t stride : strides)
    if (p.batch > 1 && stride % 8 != 0) return false;
  return true;
}

int32_t rows_at_once(const Product& p) {
  const int64_t most = INT32_MAX / std::max(p.n, p.k) / 256 * 256;
  return int32_t(std::clamp<int64_t>(most, 256, int64_t{1} << 20));
}

const ProductPlan* find_plan(const Product& p) {
  Plans& all = plans();
  const PlanShape shape = shape_of(p);
  const ExactShape exact{shape, p.batch, p.m, p.batch > 1 ? p.stride_a : 0, p.batch > 1 ? p.stride_b : 0,
                         p.batch > 1 ? p.stride_c : 0};
  if (const auto known = all.made.find(exact); known != all.made.end()) return known->second;
  auto chosen = all.choices.find(shape);
  if (chosen == all.choices.end()) chosen = all.choices.emplace(shape, choose(p)).first;
  PlanChoice& choice = chosen->second;
  if (choice.any && !choice.checked) {
    ProductPlan plan = describe(representative(p));
    if (!accept(plan, choice.algorithm)) {
      fail(RS_INVALID, "cuBLASLt refuses an algorithm of the plans that were loaded: measure them anew (%s)",
           plan_line(shape, choice).substr(0, 80).c_str());
    }
    choice.checked = true;
  }
  ProductPlan* made = nullptr;
  if (choice.any) {
    made = new ProductPlan(describe(p));
    if (!accept(*made, choice.algorithm)) {  // a size beyond what was tried when it was chosen
      delete made;
      made = nullptr;
    }
  }
  all.made.emplace(exact, made);
  return made;
}

bool prefers_own_kernel(const HopperProduct& product) {
  Plans& all = plans();
  const KernelShape shape{product.c_type, product.n, product.k, product.epilogue};
  if (const auto known = all.kernels.find(shape); known != all.kernels.end()) return known->second;
  const bool open = product.epilogue == RS_EPILOGUE_NONE || product.epilogue == RS_EPILOGUE_ADD_AUX;
  const bool own = !(all.measuring && open) || own_kernel_is_faster(product);
  all.kernels.emplace(shape, own);
  return own;
}

}  // namespace rs::gpu
