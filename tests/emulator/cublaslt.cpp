// The functions of cuBLASLt that cuda/gpu/cublaslt.h declares: one algorithm, which adds up in the order of k.
#include <cstdlib>
#include <string>
#include <vector>

#include "gpu/cublaslt.h"
#include "runtime.h"

namespace emulator {
namespace {

using namespace rs::gpu::lt;

struct EmulatedOperation {
  bool trans_a = false, trans_b = false;
};
struct EmulatedLayout {  // column-major
  int32_t type;
  int64_t rows, columns, leading;
  int32_t batch = 1;
  int64_t stride = 0;
};

struct Matrix {
  EmulatedLayout layout;
  void* data;
  float get(int64_t at) const {
    if (layout.type == kFloat32) return static_cast<const float*>(data)[at];
    return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[at]);
  }
  void set(int64_t at, float x) const {
    if (layout.type == kFloat32) static_cast<float*>(data)[at] = x;
    else static_cast<__nv_bfloat16*>(data)[at] = __float2bfloat16_rn(x);
  }
  int64_t place(int32_t item, int64_t row, int64_t column) const {
    return item * layout.stride + column * layout.leading + row;
  }
};

void multiply(EmulatedOperation operation, float alpha, Matrix a, Matrix b, float beta, Matrix c, Matrix d) {
  const int64_t m = d.layout.rows, n = d.layout.columns, k = operation.trans_a ? a.layout.rows : a.layout.columns;
  std::vector<float> left(size_t(m * k)), sums(static_cast<size_t>(m));
  for (int32_t item = 0; item < d.layout.batch; item++) {
    for (int64_t j = 0; j < k; j++)
      for (int64_t i = 0; i < m; i++)
        left[size_t(j * m + i)] = a.get(operation.trans_a ? a.place(item, j, i) : a.place(item, i, j));
    for (int64_t column = 0; column < n; column++) {
      sums.assign(size_t(m), 0.0f);
      for (int64_t j = 0; j < k; j++) {
        const float x = b.get(operation.trans_b ? b.place(item, column, j) : b.place(item, j, column));
        for (int64_t i = 0; i < m; i++) sums[size_t(i)] += left[size_t(j * m + i)] * x;
      }
      for (int64_t i = 0; i < m; i++) {
        const float added = beta == 0 ? 0.0f : beta * c.get(c.place(item, i, column));
        d.set(d.place(item, i, column), alpha * sums[size_t(i)] + added);
      }
    }
  }
}

Status matmul(Context*, EmulatedOperation* operation, const float* alpha, void* a, EmulatedLayout* a_layout, void* b,
              EmulatedLayout* b_layout, const float* beta, void* c, EmulatedLayout* c_layout, void* d,
              EmulatedLayout* d_layout, const Algorithm*, void*, size_t, cudaStream_t) {
  enqueue([o = *operation, x = *alpha, y = *beta, a = Matrix{*a_layout, a}, b = Matrix{*b_layout, b},
           c = Matrix{*c_layout, c}, d = Matrix{*d_layout, d}] { multiply(o, x, a, b, y, c, d); });
  return kSuccess;
}
Status create(Context** context) { return *context = static_cast<Context*>(malloc(1)), kSuccess; }
size_t version() { return 130000; }
const char* status_name(Status) { return "a status of the emulated library"; }
Status make_operation(EmulatedOperation** made, int32_t, int32_t) { return *made = new EmulatedOperation, kSuccess; }
Status set_operation(EmulatedOperation* operation, int32_t attribute, const int32_t* value, size_t) {
  (attribute == kOperationTransA ? operation->trans_a : operation->trans_b) = *value == kTransposed;
  return kSuccess;
}
Status make_layout(EmulatedLayout** made, int32_t type, uint64_t rows, uint64_t columns, int64_t leading) {
  return *made = new EmulatedLayout{type, int64_t(rows), int64_t(columns), leading}, kSuccess;
}
Status set_layout(EmulatedLayout* layout, int32_t attribute, const void* value, size_t bytes) {
  std::memcpy(attribute == kLayoutBatchCount ? static_cast<void*>(&layout->batch) : &layout->stride, value, bytes);
  return kSuccess;
}
Status make_preference(Preference** made) { return *made = static_cast<Preference*>(malloc(1)), kSuccess; }
Status free_preference(Preference* preference) { return free(preference), kSuccess; }
Status set_preference(Preference*, int32_t, const void*, size_t) { return kSuccess; }
Status heuristic(Context*, void*, void*, void*, void*, void*, Preference*, int, Candidate* candidate, int* found) {
  *candidate = {};
  return *found = 1, kSuccess;
}
Status check_algorithm(Context*, void*, void*, void*, void*, void*, const Algorithm* algorithm, Candidate* candidate) {
  *candidate = {};
  candidate->algorithm = *algorithm;
  return kSuccess;
}
Status get_attribute(const Algorithm*, int32_t, void* value, size_t bytes, size_t* written) {
  std::memset(value, 0, bytes);  // can't split sums, adds to c alone
  return *written = bytes, kSuccess;
}
Status set_attribute(Algorithm*, int32_t, const void*, size_t) { return kSuccess; }

struct Entry {
  const char* name;
  void* function;
};
const Entry entries[] = {
    {"cublasLtCreate", reinterpret_cast<void*>(&create)},
    {"cublasLtGetVersion", reinterpret_cast<void*>(&version)},
    {"cublasLtGetStatusName", reinterpret_cast<void*>(&status_name)},
    {"cublasLtMatmul", reinterpret_cast<void*>(&matmul)},
    {"cublasLtMatmulDescCreate", reinterpret_cast<void*>(&make_operation)},
    {"cublasLtMatmulDescSetAttribute", reinterpret_cast<void*>(&set_operation)},
    {"cublasLtMatrixLayoutCreate", reinterpret_cast<void*>(&make_layout)},
    {"cublasLtMatrixLayoutSetAttribute", reinterpret_cast<void*>(&set_layout)},
    {"cublasLtMatmulPreferenceCreate", reinterpret_cast<void*>(&make_preference)},
    {"cublasLtMatmulPreferenceDestroy", reinterpret_cast<void*>(&free_preference)},
    {"cublasLtMatmulPreferenceSetAttribute", reinterpret_cast<void*>(&set_preference)},
    {"cublasLtMatmulAlgoGetHeuristic", reinterpret_cast<void*>(&heuristic)},
    {"cublasLtMatmulAlgoCheck", reinterpret_cast<void*>(&check_algorithm)},
    {"cublasLtMatmulAlgoCapGetAttribute", reinterpret_cast<void*>(&get_attribute)},
    {"cublasLtMatmulAlgoConfigGetAttribute", reinterpret_cast<void*>(&get_attribute)},
    {"cublasLtMatmulAlgoConfigSetAttribute", reinterpret_cast<void*>(&set_attribute)},
};

}  // namespace

void* open_cublaslt(const char*, int) { return const_cast<Entry*>(entries); }
void* find_cublaslt(void*, const char* name) {
  for (const Entry& entry : entries)
    if (std::string(entry.name) == name) return entry.function;
  return nullptr;
}

}  // namespace emulator
