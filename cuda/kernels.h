// The ABI of the kernel library and its manual: one header, two builds (cpu, cuda) with the same symbols.
// cuda/bindgen.ts reads this file and writes symbols.gen.ts; keep one declaration a statement and plain C types.
//
// Conventions
// - Every function that can fail returns rs_status; the text comes from rs_last_error on the same thread.
// - Tensors cross as integer handles (slot and generation); 0 means "none" where a parameter says it is optional.
//   A tensor is a flat run of `count` elements; shapes live above the ABI and are checked against counts here.
// - Argument order: outputs, inputs, sizes, scalars. B batch, T time, C channels, H heads, G key/value heads, D head
//   dim, V vocabulary, N rows. Dimensions are int32_t, element and byte counts are double (exact up to 2^53).
// - Buffers (void*) are typed arrays of the caller, read or filled during the call, each with its length in bytes.
// - Outputs may not alias inputs unless the op says so.
// - Floating-point tensors are float32, with these exceptions in the CUDA build: activations and their gradients may be
//   bfloat16, all of a call alike; operands, result and aux of rs_matmul, both of rs_axpby, b of the binary ops, both
//   of the sums may each be either. Weights, statistics (rstd, lse, mean, losses), gradients of weights and optimizer
//   states stay float32, and so do all sums inside of kernels. A product with a bfloat16 operand rounds the other one.
// - The CUDA build enqueues on one stream. A fault of the device, or an id outside its table, is reported by the next
//   call that waits (downloads, rs_sync) with the name of the op that it came from.
// - Determinism: same inputs, same build, same device give the same bits, whatever the number of threads. Each output
//   row of a product, norm or attention has the same bits wherever that row stands in the batch. (A product with a
//   transposed left operand is that of a weight's gradient: on CUDA it promises this for equal sizes alone.)
#pragma once
#include <stdint.h>

#ifdef __cplusplus
#define RS_API extern "C" __attribute__((visibility("default")))
#else
#define RS_API __attribute__((visibility("default")))
#endif

typedef int32_t rs_status;
typedef uint32_t rs_tensor;

enum { RS_OK = 0, RS_INVALID = 1, RS_STALE = 2, RS_OUT_OF_MEMORY = 3, RS_DEVICE = 4, RS_UNSUPPORTED = 5, RS_INTERNAL = 6 };
enum { RS_F32 = 0, RS_BF16 = 1, RS_I32 = 2, RS_U16 = 3, RS_U8 = 4 };

// ---- runtime ----

// Hash of this header as compiled in; lib.ts compares it with the one in symbols.gen.ts.
RS_API uint32_t rs_abi_hash(void);
// Opens the device: `device` is the GPU's index (ignored by the CPU build), `threads` the size of the CPU pool (0: all
// cores). Call once before anything else; a second call is an error.
RS_API rs_status rs_runtime_init(int32_t device, int32_t threads);
// Chooses the kernels: 0 the best the machine has, 1 portable; of the CPU build 2 AVX2, 3 AVX-512; of the CUDA build 1
// leaves out those made for one family of GPUs. For tests.
RS_API rs_status rs_runtime_set_isa(int32_t isa);
// Fills `buffer` with a line of UTF-8 such as "cpu avx2 2 threads" and returns its length in bytes, cut to `capacity`.
RS_API int32_t rs_runtime_describe(void* buffer, double capacity);
// Text of the last error on this thread, UTF-8, cut to `capacity` bytes; returns its length.
RS_API int32_t rs_last_error(void* buffer, double capacity);
// Status of the last failure on this thread, for functions that return a handle.
RS_API rs_status rs_last_status(void);
// Waits for all that was enqueued and reports a device fault with the op's name.
RS_API rs_status rs_sync(void);
// Guard words behind every buffer, looked at when it is freed and by rs_counters. Always there in the CPU build; the
// CUDA build makes them for buffers that are created after they were turned on (1), for they cost it time. For tests.
RS_API rs_status rs_memory_set_guards(int32_t on);
// The borders of a training step, which may repeat. After two steps that enqueue the same work, the CUDA build captures
// it as a graph and replays it: calls of a step are then compared with the captured ones and enqueued as a whole at
// its end (or, from the first that differs, as ever). Nothing else changes: numbers that differ from step to step
// are uploads. Downloads of up to 4096 bytes of what was written before the step do not wait for it. The CPU build does nothing.
RS_API rs_status rs_step_begin(void);
RS_API rs_status rs_step_end(void);
// Choices made by measurement (which algorithm a product of some shape uses), as UTF-8 text of lines. Load them before
// the first product. Fills `buffer` and returns the whole length in bytes, which may be above `capacity`. An unknown
// shape gets the first choice of the vendor's heuristic and is added. While measuring is on (1), it is timed instead:
// never in a process that trains for a result, where times would decide on bits.
RS_API int32_t rs_plans_save(void* buffer, double capacity);
RS_API rs_status rs_plans_load(const void* text, double text_bytes);
RS_API rs_status rs_plans_measure(int32_t on);
// Enqueues a kernel that reads an address that does not exist: the device is lost to this process. For tests of what
// happens then; RS_UNSUPPORTED in the CPU build.
RS_API rs_status rs_runtime_inject_fault(void);
// Fills float64[8]: live bytes, peak live bytes, bytes held from the system, live tensors, damaged guard words,
// counted operations since the start (2mnk of products, unmasked positions of attention, half of symmetric products),
// training steps that were replayed, 0. Resets nothing.
RS_API rs_status rs_counters(void* out, double out_bytes);
// Sets the peak to the bytes live now.
RS_API rs_status rs_memory_reset_peak(void);
// Refuses allocations beyond `bytes` live (0: no limit).
RS_API rs_status rs_memory_set_limit(double bytes);
// Gives cached free blocks back to the system.
RS_API rs_status rs_memory_trim(void);
// Has the system end this process when the one that started it ends: code that hangs can't notice by itself that
// nobody waits for it any more. Linux; elsewhere RS_UNSUPPORTED.
RS_API rs_status rs_end_with_parent(void);
// Starts (1) or stops (0) adding up time and calls by op; starting clears the sums.
RS_API rs_status rs_profile_enable(int32_t on);
// Fills `buffer` with lines "op calls seconds operations" (counted as by rs_counters) of UTF-8 and returns the length
// in bytes.
RS_API int32_t rs_profile_report(void* buffer, double capacity);
// Measures for about `seconds`: float64[2] = fused multiply-add GFLOP/s of all threads (CUDA: of a bfloat16 product of
// 8192³), copy GB/s (read + written).
RS_API rs_status rs_measure_peaks(void* out, double out_bytes, double seconds);

// ---- tensors ----

// Returns a handle to `count` elements, zero-filled, or 0 on failure. The zeros are written when something first reads
// them or writes a part, so an op's output costs no extra pass, and old contents of memory never show.
RS_API rs_tensor rs_tensor_create(int32_t dtype, double count);
RS_API rs_status rs_tensor_destroy(rs_tensor x);
// A handle to elements [offset, offset+count) of x that shares and keeps alive x's storage; 0 on failure.
RS_API rs_tensor rs_tensor_view(rs_tensor x, double offset, double count);
// Marks a weight: products may keep a packed copy of it until an op writes to it.
RS_API rs_status rs_tensor_mark_parameter(rs_tensor x);
// Copies host memory into elements [offset, …) of x; bytes must be whole elements that fit.
RS_API rs_status rs_tensor_upload(rs_tensor x, double offset, const void* source, double source_bytes);
RS_API rs_status rs_tensor_download(void* target, double target_bytes, rs_tensor x, double offset);
RS_API rs_status rs_tensor_fill(rs_tensor x, double value);
// y = x, converting between f32 and bf16 where the dtypes differ.
RS_API rs_status rs_tensor_copy(rs_tensor y, rs_tensor x);
// Uniform in [low, high) and normal numbers from a counter-based generator (Philox4x32-10): element i depends on seed
// and i alone, so both builds and any number of threads agree. The seed is two words of 32 bits.
RS_API rs_status rs_random_uniform(rs_tensor x, double low, double high, uint32_t seed_low, uint32_t seed_high);
RS_API rs_status rs_random_normal(rs_tensor x, double mean, double std, uint32_t seed_low, uint32_t seed_high);

// ---- moving and combining ----

// Row i of y at [y_offset, y_offset+width) = (accumulate ? itself : 0) + row i of x at [x_offset, x_offset+width), for
// rows of y_stride and x_stride elements: split, concat and slices along any axis are this. f32 or i32 (no accumulate).
RS_API rs_status rs_copy_block(rs_tensor y, rs_tensor x, int32_t n, int32_t width, int32_t y_stride, int32_t y_offset,
                               int32_t x_stride, int32_t x_offset, int32_t accumulate);
// y[batch, cols, rows, inner] = x[batch, rows, cols, inner].
RS_API rs_status rs_transpose(rs_tensor y, rs_tensor x, int32_t batch, int32_t rows, int32_t cols, int32_t inner);
// y = alpha·x + beta·y over all elements (beta 0 does not read y). y may be x.
RS_API rs_status rs_axpby(rs_tensor y, rs_tensor x, double alpha, double beta);
// y = x·scale[0]. y may be x.
RS_API rs_status rs_scale_by(rs_tensor y, rs_tensor x, rs_tensor scale);

// Binary ops on a[N,C] and b, which has the shape a full [N,C], a row [C], a column [N] or a scalar [1].
enum { RS_ADD = 0, RS_SUBTRACT = 1, RS_MULTIPLY = 2, RS_DIVIDE = 3 };
enum { RS_FULL = 0, RS_ROW = 1, RS_COLUMN = 2, RS_SCALAR = 3 };
// y = a ∘ b. y may be a.
RS_API rs_status rs_binary_forward(rs_tensor y, rs_tensor a, rs_tensor b, int32_t kind, int32_t shape, int32_t n, int32_t c);
// da and db (either optional, 0) from dy; db is summed over what b was broadcast over.
RS_API rs_status rs_binary_backward(rs_tensor da, rs_tensor db, rs_tensor dy, rs_tensor a, rs_tensor b, int32_t kind,
                                    int32_t shape, int32_t n, int32_t c);

// Unary ops, element by element. relu2 = max(x,0)²; gelu is the tanh form (arXiv:1606.08415);
// silu = x·sigmoid(x); softcap = p·tanh(x/p).
enum { RS_RELU = 0, RS_RELU2 = 1, RS_GELU = 2, RS_SILU = 3, RS_SIGMOID = 4, RS_TANH = 5, RS_SOFTCAP = 6, RS_EXP = 7,
       RS_LOG = 8, RS_SQRT = 9, RS_SQUARE = 10, RS_NEGATE = 11 };
// y = f(x). y may be x.
RS_API rs_status rs_unary_forward(rs_tensor y, rs_tensor x, int32_t kind, double parameter);
// dx = dy·f'(x); y is f(x). dx may be dy.
RS_API rs_status rs_unary_backward(rs_tensor dx, rs_tensor dy, rs_tensor x, rs_tensor y, int32_t kind, double parameter);
// SwiGLU (arXiv:2002.05202): x[N,2C] = [a | b], y[N,C] = silu(a)·b.
RS_API rs_status rs_swiglu_forward(rs_tensor y, rs_tensor x, int32_t n, int32_t c);
RS_API rs_status rs_swiglu_backward(rs_tensor dx, rs_tensor dy, rs_tensor x, int32_t n, int32_t c);

// Sums of x[N,C] times `scale`: axis 0 over rows → y[C], 1 over columns → y[N], 2 over all → y[1].
RS_API rs_status rs_sum_forward(rs_tensor y, rs_tensor x, int32_t n, int32_t c, int32_t axis, double scale);
// dx[N,C] = scale·dy, broadcast back along the same axis.
RS_API rs_status rs_sum_backward(rs_tensor dx, rs_tensor dy, int32_t n, int32_t c, int32_t axis, double scale);
// Row softmax.
RS_API rs_status rs_softmax_forward(rs_tensor y, rs_tensor x, int32_t n, int32_t c);
RS_API rs_status rs_softmax_backward(rs_tensor dx, rs_tensor dy, rs_tensor y, int32_t n, int32_t c);
// Inverted dropout: element i survives with probability 1−rate by the generator above (seed, i), and is divided by
// 1−rate. The gradient is the same call on dy with the same seed.
RS_API rs_status rs_dropout(rs_tensor y, rs_tensor x, double rate, uint32_t seed_low, uint32_t seed_high);

// ---- products ----

// What a product does with its result before it stores it; `aux` has c's shape.
// RELU2: c = max(ab,0)². RELU2_BACKWARD: c = ab·2√aux, aux = relu2(pre-activation) of the forward product.
// ADD_AUX: c = ab + aux (aux may be c).
enum { RS_EPILOGUE_NONE = 0, RS_EPILOGUE_RELU2 = 1, RS_EPILOGUE_RELU2_BACKWARD = 2, RS_EPILOGUE_ADD_AUX = 3 };
// c[batch,M,N] = op(a)·op(b), then the epilogue. op(a) is a[M,K], or a stored as [K,M] when trans_a is 1; op(b) is
// b[K,N], or b stored as [N,K] when trans_b is 1. batch_b 0: one b for the whole batch. Sums over k run in one order
// that depends on K alone. aux 0: none.
RS_API rs_status rs_matmul(rs_tensor c, rs_tensor a, rs_tensor b, rs_tensor aux, int32_t batch, int32_t m, int32_t n,
                           int32_t k, int32_t trans_a, int32_t trans_b, int32_t batch_b, int32_t epilogue);

// c[M,N] = Σ over the terms a·b + (accumulate ? c : 0), in one pass where the device can: the gradient of an input that
// several layers read. A row of `table` is (a, b, k): a[M,k] and b[k,N]; 1 to 3 rows, all a of one type, all b too.
RS_API rs_status rs_matmul_sum(rs_tensor c, const void* table, double table_bytes, int32_t terms, int32_t m, int32_t n,
                               int32_t accumulate);

// ---- embedding ----

// y[N,C] = table[ids[N]], table[V,C]; an id outside 0…V−1 is RS_INVALID.
RS_API rs_status rs_embedding_forward(rs_tensor y, rs_tensor table, rs_tensor ids, int32_t n, int32_t c, int32_t v);
// dtable[ids[i]] += dy[i], in the order of i (no float atomics). dtable is added to.
RS_API rs_status rs_embedding_backward(rs_tensor dtable, rs_tensor dy, rs_tensor ids, int32_t n, int32_t c, int32_t v);
// Gated value embedding (ResFormer, arXiv:2410.17897, with a gate): y[N,G,D] = x + 2·sigmoid(gate[N,G])·table[ids[N]].
RS_API rs_status rs_gated_embedding_forward(rs_tensor y, rs_tensor x, rs_tensor table, rs_tensor ids, rs_tensor gate,
                                            int32_t n, int32_t g, int32_t d, int32_t v);
// dgate[N,G] is written, dtable[V,G·D] is added to; dx is dy.
RS_API rs_status rs_gated_embedding_backward(rs_tensor dgate, rs_tensor dtable, rs_tensor dy, rs_tensor table,
                                             rs_tensor ids, rs_tensor gate, int32_t n, int32_t g, int32_t d, int32_t v);

// ---- norms and positions ----

// y = x·rstd·weight, rstd[N] = 1/sqrt(mean(x²)+eps); weight[C] optional.
RS_API rs_status rs_rms_norm_forward(rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor weight, int32_t n, int32_t c,
                                     double eps);
// dx = residual + gradient of the norm; residual[N,C] (the gradient that reaches x by other ways) is optional and may
// be dx. dweight[C] is required exactly when weight is given; it is written.
RS_API rs_status rs_rms_norm_backward(rs_tensor dx, rs_tensor dweight, rs_tensor dy, rs_tensor x, rs_tensor rstd,
                                      rs_tensor weight, rs_tensor residual, int32_t n, int32_t c, double eps);
// y = (x−mean)·rstd·weight + bias; weight, bias [C] optional (both or none). mean, rstd: [N], kept for the gradient.
RS_API rs_status rs_layer_norm_forward(rs_tensor y, rs_tensor mean, rs_tensor rstd, rs_tensor x, rs_tensor weight,
                                       rs_tensor bias, int32_t n, int32_t c, double eps);
RS_API rs_status rs_layer_norm_backward(rs_tensor dx, rs_tensor dweight, rs_tensor dbias, rs_tensor dy, rs_tensor x,
                                        rs_tensor mean, rs_tensor rstd, rs_tensor weight, int32_t n, int32_t c);
// Residual mix, then norm: mixed = a[index]·x + b[index]·x0; y = mixed·rstd. x0 may be x.
RS_API rs_status rs_mix_rms_norm_forward(rs_tensor mixed, rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor x0,
                                         rs_tensor a, rs_tensor b, int32_t index, int32_t n, int32_t c, double eps);
// From dy and dmixed (optional, the gradient that reaches mixed by other ways): dx is written, dx0 is added to (they
// are two tensors even where x0 is x), da[index] and db[index] are added to.
RS_API rs_status rs_mix_rms_norm_backward(rs_tensor dx, rs_tensor dx0, rs_tensor da, rs_tensor db, rs_tensor dy,
                                          rs_tensor dmixed, rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor x0,
                                          rs_tensor a, rs_tensor b, int32_t index, int32_t n, int32_t c);
// Rotary positions (arXiv:2104.09864) on x[B,T,H,D], by halves: (p, q) → (p·cos + q·sin, q·cos − p·sin), cos and sin
// [T, D/2]. inverse 1 rotates back: that is the gradient.
RS_API rs_status rs_rope(rs_tensor y, rs_tensor x, rs_tensor cos, rs_tensor sin, int32_t b, int32_t t, int32_t h,
                         int32_t d, int32_t inverse);
// RoPE, then norm over D: what query and key go through (arXiv:2010.04245). rstd: [B,T,H].
RS_API rs_status rs_rope_rms_norm_forward(rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor cos, rs_tensor sin,
                                          int32_t b, int32_t t, int32_t h, int32_t d, double eps);
RS_API rs_status rs_rope_rms_norm_backward(rs_tensor dx, rs_tensor dy, rs_tensor y, rs_tensor rstd, rs_tensor cos,
                                           rs_tensor sin, int32_t b, int32_t t, int32_t h, int32_t d);
// The same of a product: x[B·T,C]·w[H·D,C]ᵀ goes through RoPE and norm before it is stored. rstd: [B,T,H].
RS_API rs_status rs_linear_rope_rms_norm_forward(rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor w, rs_tensor cos,
                                                 rs_tensor sin, int32_t b, int32_t t, int32_t h, int32_t d, int32_t c,
                                                 double eps);

// ---- attention ----

// Causal softmax attention: q[B,T,H,D], k and v[B,T,G,D], query head h reads key/value head ⌊h·G/H⌋, position t sees
// max(0,t−window) … t; scores are multiplied by `scale`. y[B,T,H,D]; lse[B,H,T] (log of the sum of exponentials) is
// kept for the gradient. Never holds T×T. With q_rstd[B,T,H], k_rstd[B,T,G], cos and sin [T,D/2] (all, or all 0), q and k
// are results of rs_rope_rms_norm_forward, and dq and dk become the gradients of what went in there.
RS_API rs_status rs_attention_forward(rs_tensor y, rs_tensor lse, rs_tensor q, rs_tensor k, rs_tensor v, int32_t b,
                                      int32_t t, int32_t h, int32_t g, int32_t d, int32_t window, double scale);
RS_API rs_status rs_attention_backward(rs_tensor dq, rs_tensor dk, rs_tensor dv, rs_tensor dy, rs_tensor y,
                                       rs_tensor lse, rs_tensor q, rs_tensor k, rs_tensor v, rs_tensor q_rstd,
                                       rs_tensor k_rstd, rs_tensor cos, rs_tensor sin, int32_t b, int32_t t, int32_t h,
                                       int32_t g, int32_t d, int32_t window, double scale);

// ---- loss ----

// Cross entropy of logits[N,V] after the soft cap cap·tanh(x/cap) (cap 0: none). targets i32[N], −1 is ignored.
// losses[N] in nats (0 where ignored); lse[N]; mean[2] = mean over the targets that count, and their number.
RS_API rs_status rs_cross_entropy_forward(rs_tensor mean, rs_tensor losses, rs_tensor lse, rs_tensor logits,
                                          rs_tensor targets, int32_t n, int32_t v, double soft_cap);
// dlogits[N,V] of dmean[1]·mean; dlogits may be logits.
RS_API rs_status rs_cross_entropy_backward(rs_tensor dlogits, rs_tensor dmean, rs_tensor mean, rs_tensor lse,
                                           rs_tensor logits, rs_tensor targets, int32_t n, int32_t v, double soft_cap);
// Output layer, soft cap and cross entropy in one pass over blocks of rows, so that only a block's logits exist:
// logits = x[N,C]·w[V,C]ᵀ. Also writes the gradients of the mean: dx[N,C] and dw[V,C] (both 0: loss only).
RS_API rs_status rs_linear_cross_entropy(rs_tensor mean, rs_tensor losses, rs_tensor dx, rs_tensor dw, rs_tensor x,
                                         rs_tensor w, rs_tensor targets, int32_t n, int32_t c, int32_t v,
                                         double soft_cap);

// ---- optimizers ----
// Numbers that change every step lie in `scalars` (f32, on the device), so that a captured step can be replayed.
// `table` is uint32 rows of handles, `table_bytes` its length.

// AdamW (arXiv:1711.05101) for all tensors in one call. A row is (p, g, m, v, offset); scalars[offset …] are
// (lr, beta1, beta2, eps, weight_decay, step), step counting from 1:
// m ← β₁m+(1−β₁)g, v ← β₂v+(1−β₂)g², p ← p − lr·wd·p − lr·m̂/(sqrt(v̂)+eps).
RS_API rs_status rs_adamw_step(const void* table, double table_bytes, int32_t tensors, rs_tensor scalars);
// Muon for `tensors` matrices [rows, cols] in one batched pass. A row is (p, g, momentum, second): momentum[rows,cols],
// second[rows] if rows ≥ cols else [cols]. scalars[offset …] are (lr, momentum, beta2, weight_decay); lr is used as
// given (the caller applies sqrt(max(1, rows/cols))). Nesterov, then `iterations` of Polar Express
// (arXiv:2505.16932), variance normalisation (arXiv:2510.05491) where beta2 > 0, cautious decay
// (arXiv:2411.16085 in spirit): p ← p − lr·u − lr·wd·p·[u·p ≥ 0]. iterations 1…5. dtype is the type of the matrices in
// the products of the iterations: RS_F32, or RS_BF16 in the CUDA build.
RS_API rs_status rs_muon_step(const void* table, double table_bytes, int32_t tensors, int32_t rows, int32_t cols,
                              int32_t iterations, int32_t dtype, rs_tensor scalars, int32_t offset);

// ---- scoring: targets and results are buffers of the caller, never tensors ----

// For N positions of logits[N,V]: nats[N] float32 = cross entropy of targets i32[N] (0 where −1), and hashes uint64[N]
// of each row, so that two passes can be compared position by position: SipHash-2-4 (Aumasson & Bernstein 2012) of the
// row's 4·V bytes under key[16]. Who holds the key must not show it to the code that makes the logits, or that code can
// compute rows with equal hashes; the library reads it during the call and does not keep it. key_bytes must be 16.
// Reads one snapshot of the logits.
RS_API rs_status rs_score_logits(void* nats, double nats_bytes, void* hashes, double hashes_bytes, const void* targets,
                                 double targets_bytes, const void* key, double key_bytes, rs_tensor logits, int32_t n,
                                 int32_t v);
// float64[2]: Σ nats and Σ bytes over the targets with token_bytes (uint16[V]) > 0; bits per byte is the quotient over
// ln 2. Special tokens have 0 bytes and count in neither sum.
RS_API rs_status rs_bits_per_byte_sums(void* out, double out_bytes, const void* nats, double nats_bytes,
                                       const void* targets, double targets_bytes, const void* token_bytes,
                                       double token_bytes_bytes, int32_t n, int32_t v);

// ---- tokenizer (the same code in both builds; cuda/tokenizer/) ----
// Byte-pair vocabularies over UTF-8 text (arXiv:1508.07909 on bytes). Text is first cut into the pieces of the pattern in
// cuda/tokenizer/split.h; a byte outside any well-formed UTF-8 sequence is one character of no class and passes through
// unchanged. Entry b < 256 is the byte b, every later entry a merge of two earlier ones. Special tokens live above the
// ABI, with ids behind the last entry: text never gives them. Results do not depend on the number of threads (0: all
// cores). Documents are byte ranges of one buffer: document i is text[ends[i-1] … ends[i]), ends float64[documents],
// rising, the last one text_bytes. Handles are slot and generation; 0 is failure. No runtime has to be open.
typedef uint32_t rs_bpe_trainer;
typedef uint32_t rs_tokenizer;

RS_API rs_bpe_trainer rs_bpe_trainer_create(int32_t threads);
RS_API rs_status rs_bpe_trainer_destroy(rs_bpe_trainer trainer);
// Counts the pieces of documents; pieces do not cross documents. RS_INVALID after rs_bpe_trainer_begin.
RS_API rs_status rs_bpe_trainer_add(rs_bpe_trainer trainer, const void* text, double text_bytes, const void* ends,
                                    double ends_bytes);
// Ends the counting; once, before the first step.
RS_API rs_status rs_bpe_trainer_begin(rs_bpe_trainer trainer);
// Makes up to `merges` more entries, each of the most frequent pair (overlapping places counted; of equals the lowest
// first id, then the lowest second id). Fills float64[2]: merges made so far, 1 if no pair is left, else 0.
RS_API rs_status rs_bpe_trainer_step(void* out, double out_bytes, rs_bpe_trainer trainer, int32_t merges);
// The vocabulary of the merges made so far; the trainer stays as it is.
RS_API rs_tokenizer rs_tokenizer_create_trained(rs_bpe_trainer trainer, int32_t threads);
// A vocabulary from the bytes of its entries, entry i being bytes[ends[i-1] … ends[i]). Fails unless the first 256 are
// the single bytes in order and each later one is what the entries before it leave as exactly two.
RS_API rs_tokenizer rs_tokenizer_create(const void* bytes, double bytes_bytes, const void* ends, double ends_bytes,
                                        int32_t threads);
RS_API rs_status rs_tokenizer_destroy(rs_tokenizer tokenizer);
// Fills float64[2]: entries, and bytes of all entries together.
RS_API rs_status rs_tokenizer_sizes(void* out, double out_bytes, rs_tokenizer tokenizer);
// Fills uint8[bytes] and float64[entries] in the form that rs_tokenizer_create takes.
RS_API rs_status rs_tokenizer_entries(void* bytes, double bytes_bytes, void* ends, double ends_bytes,
                                      rs_tokenizer tokenizer);
// Fills uint32[2·(entries − 256)]: the two parts of each entry from 256 on.
RS_API rs_status rs_tokenizer_merges(void* merges, double merges_bytes, rs_tokenizer tokenizer);
// Writes the ids of all documents one after another to `ids` (uint16 if id_bytes is 2, uint32 if 4; room for one id a
// byte of text) and where each document's ids end to id_ends (float64[documents]). What lies behind the last id is
// undefined. uint16 needs at most 65,536 entries.
RS_API rs_status rs_tokenizer_encode(void* ids, double ids_bytes, void* id_ends, double id_ends_bytes, const void* text,
                                     double text_bytes, const void* ends, double ends_bytes, rs_tokenizer tokenizer,
                                     int32_t id_bytes);
