// What both builds implement behind the ABI. The api_*.cpp check handles, dtypes, counts and aliasing once, then call
// these; an op may assume its arguments fit, and reports what only it can see (an id out of range, memory) by throwing Error.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels.h"

namespace rs {

struct Error {
  rs_status code;
  std::string text;
};

// Throws Error with a text made like printf (core.cpp). Op files call this and never build the text themselves: the
// library's inline string code, compiled for AVX-512, would be merged into the portable build by the linker.
[[noreturn]] void fail(rs_status code, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Where elements live: one block of the allocator, shared by a tensor and its views.
struct Storage;

struct Tensor {
  void* data;          // first element (host memory in the CPU build, device memory in the CUDA build)
  int64_t count;       // elements
  int32_t dtype;       // RS_F32 …
  bool parameter;      // products may keep a packed copy …
  uint64_t version;    // … valid for this version of its storage; a write to the tensor or to any view of the same
                       // storage gives a new one, and none repeats in a process
  Storage* storage;

  float* f32() const { return static_cast<float*>(data); }
  int32_t* i32() const { return static_cast<int32_t*>(data); }
};

// ---- the device (cpu/device.cpp, gpu/device.cu) ----
void device_init(int32_t device, int32_t threads);
void device_set_isa(int32_t isa);
std::string device_describe();
void device_sync();
void* device_allocate(size_t bytes);             // from the system, 64-byte aligned; nullptr when out of memory
void device_free(void* block, size_t bytes);
size_t device_free_bytes();                      // what the system could still give
void device_upload(void* target, const void* source, size_t bytes);
// Waits for what was enqueued in training step `step` (of device_current_step) and before, at least.
void device_download(void* target, const void* source, size_t bytes, uint64_t step = UINT64_MAX);
// Reads without a word of what else went wrong: false where the device can't tell. And waits in the same way.
bool device_peek(void* target, const void* source, size_t bytes) noexcept;
void device_settle() noexcept;
uint64_t device_current_step();
void device_zero(void* target, size_t bytes);
void device_measure_peaks(double out[2], double seconds);
bool device_has_bf16();                          // whether ops take bfloat16 activations
bool device_reads_cheaply();                     // whether guard words cost nothing, so that they are always there
void device_enter(const char* op);               // before each op: whose work is enqueued from here on
double device_replayed_steps();
void device_step(bool begin);                    // the borders of a training step, see rs_step_begin
// The choices that were made by measurement, as text; empty where a device makes none.
std::string device_plans();
void device_set_plans(const std::string& text);
void device_measure_plans(bool on);
void device_inject_fault();

// Scratch memory of the running op, taken from the caching allocator and given back when it goes out of scope.
class Scratch {
 public:
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* f32() const { return static_cast<float*>(data_); }
  void* data() const { return data_; }

 private:
  void* data_;
  Storage* storage_;
};

// What an op derives from a tensor and keeps beside it (packed panels of a parameter, sorted ids), under a `key` of its
// own (which tells layouts and sizes apart; not 0). `find_derived` gives the one made for exactly these elements since
// they were last written, or nullptr. `keep_derived` gives `bytes` of 64-byte aligned memory to fill, reusing an outdated
// one's block; it may throw Error. The memory goes with the tensor's storage.
void* find_derived(const Tensor* x, uint64_t key);
void* keep_derived(const Tensor* x, uint64_t key, size_t bytes);

// Adds to the count of operations that rs_counters reports.
void count_operations(double operations);

struct ProductTerm { const Tensor *a, *b; int32_t k; };
struct AdamWRow { Tensor *p, *g, *m, *v; int32_t offset; };
struct MuonRow { Tensor *p, *g, *momentum, *second; };

// ---- the ops: a Tensor* is null where the ABI lets a handle be 0; meanings are in kernels.h ----
// The CPU build compiles each cpu/<op>.cpp once for every instruction set, with RS_BACKEND naming the namespace; the
// running one is chosen through a table of function pointers. Whatever an op file defines or includes with a body must
// therefore live in namespace rs::RS_BACKEND (or be static): a shared inline function would be merged by the linker.
#ifndef RS_BACKEND
#define RS_BACKEND declared
#endif
namespace RS_BACKEND {
void fill(Tensor* x, double value);
void copy(Tensor* y, const Tensor* x);
void random_uniform(Tensor* x, double low, double high, uint64_t seed);
void random_normal(Tensor* x, double mean, double std, uint64_t seed);
void copy_block(Tensor* y, const Tensor* x, int32_t n, int32_t width, int32_t y_stride, int32_t y_offset,
                int32_t x_stride, int32_t x_offset, bool accumulate);
void transpose(Tensor* y, const Tensor* x, int32_t batch, int32_t rows, int32_t cols, int32_t inner);
void axpby(Tensor* y, const Tensor* x, double alpha, double beta);
void scale_by(Tensor* y, const Tensor* x, const Tensor* scale);
void binary_forward(Tensor* y, const Tensor* a, const Tensor* b, int32_t kind, int32_t shape, int32_t n, int32_t c);
void binary_backward(Tensor* da, Tensor* db, const Tensor* dy, const Tensor* a, const Tensor* b, int32_t kind,
                     int32_t shape, int32_t n, int32_t c);
void unary_forward(Tensor* y, const Tensor* x, int32_t kind, double parameter);
void unary_backward(Tensor* dx, const Tensor* dy, const Tensor* x, const Tensor* y, int32_t kind, double parameter);
void swiglu_forward(Tensor* y, const Tensor* x, int32_t n, int32_t c);
void swiglu_backward(Tensor* dx, const Tensor* dy, const Tensor* x, int32_t n, int32_t c);
void sum_forward(Tensor* y, const Tensor* x, int32_t n, int32_t c, int32_t axis, double scale);
void sum_backward(Tensor* dx, const Tensor* dy, int32_t n, int32_t c, int32_t axis, double scale);
void softmax_forward(Tensor* y, const Tensor* x, int32_t n, int32_t c);
void softmax_backward(Tensor* dx, const Tensor* dy, const Tensor* y, int32_t n, int32_t c);
void dropout(Tensor* y, const Tensor* x, double rate, uint64_t seed);
void matmul(Tensor* c, const Tensor* a, const Tensor* b, const Tensor* aux, int32_t batch, int32_t m, int32_t n,
            int32_t k, bool trans_a, bool trans_b, bool batch_b, int32_t epilogue);
void matmul_sum(Tensor* c, const ProductTerm* terms, int32_t count, int32_t m, int32_t n, bool accumulate);
void embedding_forward(Tensor* y, const Tensor* table, const Tensor* ids, int32_t n, int32_t c, int32_t v);
void embedding_backward(Tensor* dtable, const Tensor* dy, const Tensor* ids, int32_t n, int32_t c, int32_t v);
void gated_embedding_forward(Tensor* y, const Tensor* x, const Tensor* table, const Tensor* ids, const Tensor* gate,
                             int32_t n, int32_t g, int32_t d, int32_t v);
void gated_embedding_backward(Tensor* dgate, Tensor* dtable, const Tensor* dy, const Tensor* table, const Tensor* ids,
                              const Tensor* gate, int32_t n, int32_t g, int32_t d, int32_t v);
void rms_norm_forward(Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* weight, int32_t n, int32_t c, double eps);
void rms_norm_backward(Tensor* dx, Tensor* dweight, const Tensor* dy, const Tensor* x, const Tensor* rstd,
                       const Tensor* weight, const Tensor* residual, int32_t n, int32_t c, double eps);
void layer_norm_forward(Tensor* y, Tensor* mean, Tensor* rstd, const Tensor* x, const Tensor* weight,
                        const Tensor* bias, int32_t n, int32_t c, double eps);
void layer_norm_backward(Tensor* dx, Tensor* dweight, Tensor* dbias, const Tensor* dy, const Tensor* x,
                         const Tensor* mean, const Tensor* rstd, const Tensor* weight, int32_t n, int32_t c);
void mix_rms_norm_forward(Tensor* mixed, Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* x0, const Tensor* a,
                          const Tensor* b, int32_t index, int32_t n, int32_t c, double eps);
void mix_rms_norm_backward(Tensor* dx, Tensor* dx0, Tensor* da, Tensor* db, const Tensor* dy, const Tensor* dmixed,
                           const Tensor* y, const Tensor* rstd, const Tensor* x, const Tensor* x0, const Tensor* a,
                           const Tensor* b, int32_t index, int32_t n, int32_t c);
void rope(Tensor* y, const Tensor* x, const Tensor* cos, const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t d,
          bool inverse);
void rope_rms_norm_forward(Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* cos, const Tensor* sin, int32_t b,
                           int32_t t, int32_t h, int32_t d, double eps);
void rope_rms_norm_backward(Tensor* dx, const Tensor* dy, const Tensor* y, const Tensor* rstd, const Tensor* cos,
                            const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t d);
void linear_rope_rms_norm_forward(Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* w, const Tensor* cos,
                                  const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t d, int32_t c,
                                  double eps);
void attention_forward(Tensor* y, Tensor* lse, const Tensor* q, const Tensor* k, const Tensor* v, int32_t b, int32_t t,
                       int32_t h, int32_t g, int32_t d, int32_t window, double scale);
void attention_backward(Tensor* dq, Tensor* dk, Tensor* dv, const Tensor* dy, const Tensor* y, const Tensor* lse,
                        const Tensor* q, const Tensor* k, const Tensor* v, const Tensor* q_rstd, const Tensor* k_rstd,
                        const Tensor* cos, const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t g, int32_t d,
                        int32_t window, double scale);
void cross_entropy_forward(Tensor* mean, Tensor* losses, Tensor* lse, const Tensor* logits, const Tensor* targets,
                           int32_t n, int32_t v, double soft_cap);
void cross_entropy_backward(Tensor* dlogits, const Tensor* dmean, const Tensor* mean, const Tensor* lse,
                            const Tensor* logits, const Tensor* targets, int32_t n, int32_t v, double soft_cap);
void linear_cross_entropy(Tensor* mean, Tensor* losses, Tensor* dx, Tensor* dw, const Tensor* x, const Tensor* w,
                          const Tensor* targets, int32_t n, int32_t c, int32_t v, double soft_cap);

void adamw_step(const AdamWRow* rows, int32_t tensors, const Tensor* scalars);
void muon_step(const MuonRow* rows, int32_t tensors, int32_t height, int32_t width, int32_t iterations, int32_t dtype,
               const Tensor* scalars, int32_t offset);
// nats, hashes, targets and the key's two words are host memory; see rs_score_logits.
void score_logits(float* nats, uint64_t* hashes, const int32_t* targets, const uint64_t* key, const Tensor* logits,
                  int32_t n, int32_t v);
}  // namespace RS_BACKEND

#define RS_OPS(X) \
  X(fill) X(copy) X(random_uniform) X(random_normal) X(copy_block) X(transpose) X(axpby) X(scale_by) \
  X(binary_forward) X(binary_backward) X(unary_forward) X(unary_backward) X(swiglu_forward) X(swiglu_backward) \
  X(sum_forward) X(sum_backward) X(softmax_forward) X(softmax_backward) X(dropout) X(matmul) X(matmul_sum) \
  X(embedding_forward) X(embedding_backward) X(gated_embedding_forward) X(gated_embedding_backward) \
  X(rms_norm_forward) X(rms_norm_backward) X(layer_norm_forward) X(layer_norm_backward) X(mix_rms_norm_forward) \
  X(mix_rms_norm_backward) X(rope) X(rope_rms_norm_forward) X(rope_rms_norm_backward) \
  X(linear_rope_rms_norm_forward) X(attention_forward) \
  X(attention_backward) X(cross_entropy_forward) X(cross_entropy_backward) X(linear_cross_entropy) \
  X(adamw_step) X(muon_step) X(score_logits)

struct Ops {
#define RS_OP_MEMBER(name) decltype(&RS_BACKEND::name) name;
  RS_OPS(RS_OP_MEMBER)
#undef RS_OP_MEMBER
};
namespace RS_BACKEND {
extern const Ops ops;  // defined in cpu/table.cpp (once for every instruction set) and gpu/table.cpp
}
const Ops& device_ops();  // the table in use

}  // namespace rs
