// Calls of cuBLASLt about one product: what it is, which algorithms there are, and the product itself.
#include "plan_library.h"

#include <algorithm>
#include <cstring>

namespace rs::gpu {

namespace {

constexpr int kCandidates = 16;
constexpr lt::Status kNotSupported = 15;

int32_t library_type(int32_t type) { return type == RS_BF16 ? lt::kBfloat16 : lt::kFloat32; }

Product with_rows(Product p, int32_t m) {
  p.m = m;
  if (p.stride_a != 0) p.stride_a = int64_t{m} * p.k;
  if (p.stride_c != 0) p.stride_c = int64_t{m} * p.n;
  return p;
}

lt::Layout* make_layout(int32_t type, int64_t rows, int64_t cols, int32_t batch, int64_t stride) {
  const lt::Library& library = lt::library();
  lt::Layout* made;
  lt::check(library.MatrixLayoutCreate(&made, library_type(type), uint64_t(rows), uint64_t(cols), rows), "layout");
  if (batch > 1) {
    lt::check(library.MatrixLayoutSetAttribute(made, lt::kLayoutBatchCount, &batch, sizeof batch), "layout");
    lt::check(library.MatrixLayoutSetAttribute(made, lt::kLayoutBatchStride, &stride, sizeof stride), "layout");
  }
  return made;
}

template <class T>
T setting(const lt::Algorithm& algorithm, int32_t attribute) {
  T value{};
  size_t written = 0;
  lt::check(lt::library().MatmulAlgoConfigGetAttribute(&algorithm, attribute, &value, sizeof value, &written),
            "setting");
  return value;
}

// Parts of a sum over K may be added only in float32 and in one order, and not at all where M must not matter.
bool keeps_bits(const lt::Algorithm& algorithm, bool exact) {
  const auto splits = setting<int32_t>(algorithm, lt::kConfigSplits);
  const auto reduction = setting<uint32_t>(algorithm, lt::kConfigReduction);
  if (splits >= 0 && splits <= 1 && reduction == lt::kReduceNone) return true;
  return exact && splits >= 0 && reduction == lt::kReduceInWorkspace;
}

// For these very sizes.
std::vector<lt::Algorithm> ask_heuristic(const Product& p) {
  const lt::Library& library = lt::library();
  const ProductPlan plan = describe(p);
  const bool exact = is_exact(p);
  const uint64_t workspace = kPlanWorkspace;
  const uint32_t reductions = exact ? lt::kReduceInWorkspace : lt::kReduceNone, alignment = 16;
  lt::Preference* preference;
  lt::check(library.MatmulPreferenceCreate(&preference), "preference");
  const auto prefer = [&](int32_t attribute, const void* value, size_t bytes) {
    lt::check(library.MatmulPreferenceSetAttribute(preference, attribute, value, bytes), "preference");
  };
  prefer(lt::kPreferenceWorkspace, &workspace, sizeof workspace);
  prefer(lt::kPreferenceReductions, &reductions, sizeof reductions);
  for (int32_t attribute = lt::kPreferenceAlignA; attribute <= lt::kPreferenceAlignD; attribute++) {
    prefer(attribute, &alignment, sizeof alignment);
  }
  lt::Candidate found[kCandidates];
  int count = 0;
  const lt::Status status = library.MatmulAlgoGetHeuristic(library.context, plan.operation, plan.b, plan.a, plan.c,
                                                           plan.c, preference, kCandidates, found, &count);
  library.MatmulPreferenceDestroy(preference);
  if (status == kNotSupported) return {};
  lt::check(status, "heuristic");
  std::vector<lt::Algorithm> algorithms;
  for (int i = 0; i < count; i++) {
    const lt::Algorithm& algorithm = found[i].algorithm;
    if (found[i].state == lt::kSuccess && keeps_bits(algorithm, exact)) algorithms.push_back(algorithm);
  }
  return algorithms;
}

}  // namespace

Product representative(const Product& p) {
  if (is_exact(p)) return p;
  Product some = p;
  some.batch = representative_batch(p);
  return with_rows(some, some.batch > 1 ? 1024 : 16384);
}

// A row-major matrix is the transposed one in columns, so c = a·b is asked for as cᵀ = bᵀ·aᵀ: the library's first
// operand is b. What is made here stays: there is one for each shape, and a few for each choice.
ProductPlan describe(const Product& p) {
  const lt::Library& library = lt::library();
  ProductPlan plan{};
  lt::check(library.MatmulDescCreate(&plan.operation, lt::kComputeFloat32, lt::kFloat32), "operation");
  const int32_t yes = lt::kTransposed;
  if (p.trans_b) {
    lt::check(library.MatmulDescSetAttribute(plan.operation, lt::kOperationTransA, &yes, sizeof yes), "operation");
  }
  if (p.trans_a) {
    lt::check(library.MatmulDescSetAttribute(plan.operation, lt::kOperationTransB, &yes, sizeof yes), "operation");
  }
  plan.a = make_layout(p.type, p.trans_a ? p.m : p.k, p.trans_a ? p.k : p.m, p.batch, p.stride_a);
  plan.b = make_layout(p.type, p.trans_b ? p.k : p.n, p.trans_b ? p.n : p.k, p.batch, p.stride_b);
  plan.c = make_layout(p.c_type, p.n, p.m, p.batch, p.stride_c);
  return plan;
}

bool accept(ProductPlan& plan, const lt::Algorithm& algorithm) {
  const lt::Library& library = lt::library();
  lt::Candidate result{};
  const lt::Status status = library.MatmulAlgoCheck(library.context, plan.operation, plan.b, plan.a, plan.c, plan.c,
                                                    &algorithm, &result);
  if (status != lt::kSuccess || result.workspace > kPlanWorkspace) return false;
  int32_t elsewhere = 0;
  size_t written = 0;
  plan.algorithm = algorithm;
  plan.workspace = result.workspace;
  const lt::Status asked =
      library.MatmulAlgoCapGetAttribute(&algorithm, lt::kCanAddElsewhere, &elsewhere, sizeof elsewhere, &written);
  plan.adds_elsewhere = asked == lt::kSuccess && elsewhere != 0;
  return true;
}

std::vector<lt::Algorithm> propose(const Product& p) {
  const std::vector<lt::Algorithm> all = ask_heuristic(representative(p));
  if (is_exact(p)) return all;
  std::vector<lt::Algorithm> algorithms = all;
  for (const int32_t rows : {1, 1000, p.batch > 1 ? 1 << 14 : rows_at_once(p)}) {
    ProductPlan plan = describe(with_rows(p, rows));
    const auto refused = [&](const lt::Algorithm& algorithm) { return !accept(plan, algorithm); };
    algorithms.erase(std::remove_if(algorithms.begin(), algorithms.end(), refused), algorithms.end());
  }
  return algorithms.empty() ? all : algorithms;
}

void add_splits(std::vector<lt::Algorithm>& algorithms, const Product& p) {
  const lt::Library& library = lt::library();
  ProductPlan plan = describe(p);
  for (size_t i = 0, first = std::min<size_t>(algorithms.size(), 4); i < first; i++) {
    int32_t can_split = 0;
    uint32_t schemes = 0;
    size_t written = 0;
    library.MatmulAlgoCapGetAttribute(&algorithms[i], lt::kCanSplit, &can_split, sizeof can_split, &written);
    library.MatmulAlgoCapGetAttribute(&algorithms[i], lt::kCanReduce, &schemes, sizeof schemes, &written);
    if (can_split == 0 || (schemes & lt::kReduceInWorkspace) == 0) continue;
    for (const int32_t splits : {2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64}) {
      lt::Algorithm variant = algorithms[i];
      const uint32_t reduction = lt::kReduceInWorkspace;
      if (library.MatmulAlgoConfigSetAttribute(&variant, lt::kConfigSplits, &splits, sizeof splits) != lt::kSuccess ||
          library.MatmulAlgoConfigSetAttribute(&variant, lt::kConfigReduction, &reduction, sizeof reduction) !=
              lt::kSuccess || !accept(plan, variant)) {
        continue;
      }
      const auto same = [&](const lt::Algorithm& other) { return std::memcmp(&other, &variant, sizeof variant) == 0; };
      if (std::none_of(algorithms.begin(), algorithms.end(), same)) algorithms.push_back(variant);
    }
  }
}

lt::Status try_product(const PreparedProduct& p, cudaStream_t stream) {
  const lt::Library& library = lt::library();
  const ProductPlan& plan = *p.plan;
  return library.Matmul(library.context, plan.operation, &p.alpha, p.b, plan.b, p.a, plan.a, &p.beta,
                        p.add != nullptr ? p.add : p.c, plan.c, p.c, plan.c, &plan.algorithm, p.workspace,
                        plan.workspace, stream);
}

void run_product(const PreparedProduct& product, cudaStream_t stream) {
  lt::check(try_product(product, stream), "product");
}

}  // namespace rs::gpu
