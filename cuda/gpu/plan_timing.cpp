// Times of algorithms on the device, by events around real operands, with the result in memory of its own.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "convert.h"
#include "plan_library.h"
#include "stream.h"

namespace rs::gpu {

namespace {

// Median of the milliseconds that `run` takes on the stream, or infinity if it says that it can't.
template <class F>
float median_time(F&& run) {
  constexpr int kWarm = 3, kRuns = 7;
  cudaEvent_t begin, end;
  check_cuda(cudaEventCreate(&begin), "event");
  check_cuda(cudaEventCreate(&end), "event");
  std::vector<float> times;
  for (int i = 0; i < kWarm + kRuns; i++) {
    const cudaStream_t stream = compute_stream();
    check_cuda(cudaEventRecord(begin, stream), "event");
    if (!run(stream)) {
      times.assign(1, INFINITY);
      break;
    }
    check_cuda(cudaEventRecord(end, stream), "event");
    check_cuda(cudaEventSynchronize(end), "measuring");
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, begin, end), "event");
    if (i >= kWarm) times.push_back(milliseconds);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// A product's result in memory of its own, so that measuring changes nothing.
struct Trial {
  Scratch result, workspace;
  PreparedProduct prepared;

  explicit Trial(const Product& p)
      : result(element_size(p.c_type) * size_t((p.batch - 1) * p.stride_c + int64_t{p.m} * p.n)),
        workspace(kPlanWorkspace),
        prepared{nullptr, result.data(), p.a, p.b, p.beta != 0 ? p.add : nullptr, workspace.data(), p.alpha, p.beta} {
    if (p.beta != 0 && p.add == p.c) prepared.add = prepared.c;
  }
  float time(const ProductPlan& plan) {
    prepared.plan = &plan;
    if (prepared.add != nullptr && !plan.adds_elsewhere) prepared.add = prepared.c;
    return median_time([&](cudaStream_t stream) { return try_product(prepared, stream) == lt::kSuccess; });
  }
};

float time_own_kernel(HopperProduct product, void* result) {
  product.c = result;
  return median_time([&](cudaStream_t) {
    hopper_product(product);
    return true;
  });
}

Product of_library(const HopperProduct& h) {
  Product p{};
  p.c = h.c, p.a = h.a, p.b = h.b;
  p.c_type = h.c_type, p.type = RS_BF16;
  p.m = h.m, p.n = h.n, p.k = h.k;
  p.trans_b = true;
  if (h.epilogue == RS_EPILOGUE_ADD_AUX) p.add = h.aux, p.beta = 1;
  return p;
}

}  // namespace

float sort_by_time(std::vector<lt::Algorithm>& algorithms, const Product& p) {
  Trial trial(p);
  ProductPlan plan = describe(p);
  float best = INFINITY;
  for (size_t i = 0; i < algorithms.size(); i++) {
    const float time = accept(plan, algorithms[i]) ? trial.time(plan) : INFINITY;
    if (time >= best) continue;
    best = time;
    std::swap(algorithms[0], algorithms[i]);
  }
  return best;
}

bool own_kernel_is_faster(const HopperProduct& h) {
  try {
    const Product p = of_library(h);
    const ProductPlan* plan = find_plan(p);
    if (plan == nullptr) return true;
    Trial trial(p);
    const float theirs = trial.time(*plan);
    return time_own_kernel(h, trial.result.data()) <= theirs;
  } catch (const Error& error) {
    if (error.code != RS_OUT_OF_MEMORY && error.code != RS_UNSUPPORTED) throw;
    return true;
  }
}

double measure_product_rate(double seconds) {
  constexpr int32_t kSize = 8192;
  constexpr int64_t kCount = int64_t{kSize} * kSize;
  Scratch a(sizeof(bf16) * kCount), b(sizeof(bf16) * kCount), c(sizeof(bf16) * kCount);
  for (const Scratch* operand : {&a, &b}) {
    Scratch numbers(sizeof(float) * kCount);
    Tensor tensor{numbers.data(), kCount, RS_F32, false, 0, nullptr};
    random_uniform(&tensor, -1, 1, operand == &a ? 1 : 2);
    round_to_bf16(static_cast<bf16*>(operand->data()), numbers.f32(), kCount);
  }
  const HopperProduct h{c.data(), static_cast<bf16*>(a.data()), static_cast<bf16*>(b.data()), nullptr, RS_BF16,
                        kSize, kSize, kSize, RS_EPILOGUE_NONE};
  const Product p = of_library(h);
  std::vector<lt::Algorithm> algorithms = propose(p);
  Trial trial(p);
  ProductPlan plan = describe(p);
  float best = sort_by_time(algorithms, p);
  const bool has_plan = !algorithms.empty() && accept(plan, algorithms[0]);
  const bool has_own = has_hopper_kernels() && hopper_product_supports(h);
  // The clock follows the heat, so what was fastest is tried until the time is over.
  const auto start = std::chrono::steady_clock::now();
  do {
    if (has_own) best = std::min(best, time_own_kernel(h, c.data()));
    if (has_plan) best = std::min(best, trial.time(plan));
  } while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds);
  return 2.0 * kSize * kSize * kSize / (double(best) / 1e3);
}

}  // namespace rs::gpu
