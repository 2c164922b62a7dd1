// Products of any matrices: which kernel takes what, and what it takes to bring it into the form that kernel wants.
#include "large_product.h"

#include <algorithm>

#include "convert.h"
#include "plans.h"

namespace rs::gpu {

namespace {

bool aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }

const void* advance(const void* data, int32_t type, int64_t elements) {
  return data == nullptr ? nullptr : static_cast<const char*>(data) + elements * int64_t(element_size(type));
}

// The same elements at an aligned address. Where they stand must not choose the kernel, or it would decide on bits.
const void* at_aligned(const void* data, size_t bytes, std::optional<Scratch>& spare) {
  if (data == nullptr || aligned(data)) return data;
  enqueue_copy(spare.emplace(bytes).data(), data, bytes);
  return spare->data();
}

MixedProduct mixed(const Product& p) {
  return {p.c,     p.a,    p.b, p.add, p.m, p.stride_a,      p.stride_b, p.stride_c, p.c_type, p.type, p.type,
          p.batch, p.n, p.k, RS_EPILOGUE_NONE, p.trans_a, p.trans_b, 0, p.alpha, p.beta};
}

// One call of cuBLASLt; a product that it has no algorithm for is made by the kernel that takes everything.
void multiply_by_library(Product p) {
  const ProductPlan* plan = find_plan(p);
  if (plan == nullptr) return tiled_product(mixed(p));
  if (p.beta == 0) p.add = nullptr;
  if (p.add != nullptr && p.add != p.c && !plan->adds_elsewhere) {
    for (int32_t i = 0; i < p.batch; i++) {
      void* to = const_cast<void*>(advance(p.c, p.c_type, i * p.stride_c));
      enqueue_copy(to, advance(p.add, p.c_type, i * p.stride_c), element_size(p.c_type) * size_t(p.m) * size_t(p.n));
    }
    p.add = p.c;
  }
  std::optional<Scratch> workspace;
  if (plan->workspace > 0) workspace.emplace(plan->workspace);
  enqueue_product({plan, p.c, p.a, p.b, p.add, workspace ? workspace->data() : nullptr, p.alpha, p.beta});
}

// Rows [first, first + count) of a product whose rows are independent.
Product rows_of(Product p, int64_t first, int64_t count) {
  p.m = int32_t(count);
  p.a = advance(p.a, p.type, first * p.k);
  p.c = const_cast<void*>(advance(p.c, p.c_type, first * p.n));
  p.add = advance(p.add, p.c_type, first * p.n);
  return p;
}

// Calls f for parts of at most `most` rows, or once where rows can't be taken apart.
template <class F>
void by_rows(const Product& p, int64_t most, F&& f) {
  if (p.trans_a || p.batch != 1) return f(p);
  for (int64_t first = 0; first < p.m; first += most) f(rows_of(p, first, std::min<int64_t>(most, p.m - first)));
}

// cuBLASLt with an epilogue of ours behind it, and for results in a type that it does not have. The sums stay float32
// up to the end; those of bfloat16 results lie in scratch memory, few enough rows at a time to be read from the cache.
void multiply_and_finish(const Product& whole, int32_t epilogue) {
  constexpr int64_t kCached = int64_t{8} << 20;  // floats
  const bool in_place = whole.c_type == RS_F32;
  const int64_t most = in_place ? rows_at_once(whole) : std::max<int64_t>(256, kCached / whole.n / 256 * 256);
  by_rows(whole, most, [&](const Product& part) {
    std::optional<Scratch> spare;
    Product sums = part;
    sums.c_type = RS_F32, sums.beta = 0, sums.add = nullptr;
    sums.stride_c = int64_t{part.m} * part.n;
    if (!in_place) sums.c = spare.emplace(sizeof(float) * size_t(part.batch * sums.stride_c)).data();
    multiply_by_library(sums);
    for (int32_t i = 0; i < part.batch; i++) {
      finish_elements(const_cast<void*>(advance(part.c, part.c_type, i * part.stride_c)), part.c_type,
                      static_cast<const float*>(sums.c) + i * sums.stride_c,
                      advance(part.add, part.c_type, i * part.stride_c), part.beta, epilogue, sums.stride_c);
    }
  });
}

}  // namespace

void large_product(const Product& given, int32_t epilogue) {
  Product p = given;
  std::optional<Scratch> spare_a, spare_b, spare_add, spare_c;
  const int64_t last = p.batch - 1, c_count = last * p.stride_c + int64_t{p.m} * p.n;
  const size_t c_size = element_size(p.c_type), size = element_size(p.type);
  p.a = at_aligned(p.a, size * size_t(last * p.stride_a + int64_t{p.m} * p.k), spare_a);
  p.b = at_aligned(p.b, size * size_t(last * p.stride_b + int64_t{p.n} * p.k), spare_b);
  p.add = at_aligned(p.add, c_size * size_t(c_count), spare_add);
  if (!aligned(p.c)) p.c = spare_c.emplace(c_size * size_t(c_count)).data();

  const bool plain =
      p.batch == 1 && !p.batched && !p.trans_a && p.trans_b && p.type == RS_BF16 && p.alpha == 1 && !p.exact;
  const HopperProduct own{p.c, static_cast<const bf16*>(p.a), static_cast<const bf16*>(p.b), p.add, p.c_type, p.m, p.n,
                          p.k, p.beta != 0 ? int32_t(RS_EPILOGUE_ADD_AUX) : epilogue};
  if (plain && (p.beta == 0 || p.beta == 1) && has_hopper_kernels() && hopper_product_supports(own) &&
      prefers_own_kernel(own)) {
    hopper_product(own);
  } else if (epilogue != RS_EPILOGUE_NONE || (p.type == RS_F32 && p.c_type == RS_BF16)) {
    multiply_and_finish(p, epilogue);
  } else {
    by_rows(p, rows_at_once(p), multiply_by_library);
  }

  if (!spare_c) return;
  for (int64_t i = 0; i < p.batch; i++) {
    enqueue_copy(const_cast<void*>(advance(given.c, p.c_type, i * p.stride_c)), advance(p.c, p.c_type, i * p.stride_c),
                 c_size * size_t(p.m) * size_t(p.n));
  }
}

void multiply(const Product& product) {
  if (skinny_product(mixed(product))) return;
  if (fits_library(product)) large_product(product, RS_EPILOGUE_NONE);
  else tiled_product(mixed(product));
}

}  // namespace rs::gpu
