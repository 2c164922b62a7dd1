// Output layer, soft cap, cross entropy and their gradients in one pass over blocks of rows.
//
// A block's rows go through the threads in pieces that stay in a core's second-level cache: logits, loss and their
// gradient in place, then the piece's dx; last the gradient is packed for dw. When the block is done, all threads add
// its share to dw. A row's results do not depend on the pieces, and dw adds up the blocks in their order, each a chain
// over its rows: the thread count changes nothing.
#include "cross_entropy_row.h"
#include "matmul.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

namespace {

constexpr int64_t block_rows = 8 * rows_at_once;

// w (or nothing) packed for the product x·wᵀ or dlogits·w: kept beside a parameter, in scratch memory otherwise.
class PackedWeight {
 public:
  PackedWeight(const Tensor* w, int64_t n, int64_t k, bool transposed)
      : kept_(w ? packed_weight(w, n, k, transposed) : nullptr),
        scratch_(kept_ || !w ? 0 : sizeof(float) * packed_b_size(n, k)) {
    if (w && !kept_) pack_all_of_b(scratch_.f32(), {w->f32(), transposed ? k : n, transposed}, n, k);
  }
  const float* data() const { return kept_ ? kept_ : scratch_.f32(); }

 private:
  const float* kept_;
  Scratch scratch_;
};

// All of a product of few rows by one thread, in runs of columns.
constexpr int64_t columns_at_once = 1024;
void multiply_rows(const Product& product, int64_t rows, float* workspace) {
  for (int64_t column = 0; column < product.n; column += columns_at_once)
    run_task(product, {0, rows, column, std::min(columns_at_once, product.n - column), 0, product.k, nullptr}, workspace);
}

}  // namespace

void linear_cross_entropy(Tensor* mean, Tensor* losses, Tensor* dx, Tensor* dw, const Tensor* x, const Tensor* w,
                          const Tensor* targets, int32_t n, int32_t c, int32_t v, double soft_cap) {
  const int32_t* target = targets->i32();
  const int64_t count = count_targets(target, n, v), threads = thread_count();
  const float cap = static_cast<float>(soft_cap), factor = cap > 0 ? cap : 1;
  const float scale = count > 0 ? 1 / static_cast<float>(count) : 0;
  const bool gradient = dx != nullptr;

  const PackedWeight forward(w, v, c, true);
  const PackedWeight backward(gradient ? w : nullptr, c, v, false);
  // Rows of logits are a line longer than v, so that a column's elements do not meet in one set of the cache.
  const int64_t stride = divide_up(v, 16) * 16 + 16;
  Product to_logits{{nullptr, c, false}, {}, forward.data(), v, c, {nullptr, stride}};
  Product to_dx{{nullptr, stride, false}, {}, backward.data(), c, v, {nullptr, c}};
  const int64_t logits_size = rows_at_once * stride;
  const int64_t workspace = std::max(workspace_size(to_logits, rows_at_once, columns_at_once),
                                     workspace_size(to_dx, rows_at_once, columns_at_once));
  Scratch memory(sizeof(float) * threads * (logits_size + workspace));
  const int64_t most = std::min<int64_t>(n, block_rows);
  Scratch packed_d(gradient ? sizeof(float) * divide_up(v, tile_rows) * tile_rows * most : 0);
  Scratch packed_x(gradient ? sizeof(float) * packed_b_size(c, most) : 0);

  for (int64_t first = 0; first < n; first += block_rows) {
    const int64_t rows = std::min(block_rows, n - first);
    const int64_t piece =
        std::clamp<int64_t>(rows / (4 * threads) / tile_rows * tile_rows, tile_rows, rows_at_once);
    parallel_for(rows, piece, [&](int64_t begin, int64_t end, int32_t thread) {
      float* logits = memory.f32() + thread * (logits_size + workspace);
      float* work = logits + logits_size;
      const float* inputs = x->f32() + (first + begin) * c;
      Product product = to_logits;
      product.a.data = inputs;
      product.target.c = logits;
      multiply_rows(product, end - begin, work);
      for (int64_t i = 0; i < end - begin; i++) {
        float* row = logits + i * stride;
        const int32_t wanted = target[first + begin + i];
        if (wanted < 0) {
          losses->f32()[first + begin + i] = 0;
          std::fill_n(row, v, 0.0f);
          continue;
        }
        if (cap > 0) squash_row(row, row, v, cap);
        const Partition partition = partition_of(row, v, factor);
        losses->f32()[first + begin + i] = static_cast<float>(partition.log() - double{factor} * row[wanted]);
        if (gradient)
          gradient_row(row, row, v, cap, partition.top, static_cast<float>(1 / partition.sum), wanted, scale);
      }
      if (!gradient) return;
      product = to_dx;
      product.a.data = logits;
      product.target.c = dx->f32() + (first + begin) * c;
      multiply_rows(product, end - begin, work);
      pack_a_by_term(packed_d.f32() + begin * tile_rows, tile_rows * rows, {logits, stride, true}, 0, v, 0, end - begin);
      pack_b(packed_x.f32() + begin * tile_cols, tile_cols * rows, {inputs, c, false}, 0, c, 0, end - begin);
    });
    if (!gradient) continue;
    parallel_for(v, rows_at_once, [&](int64_t begin, int64_t end, int32_t) {
      float* share = dw->f32() + begin * c;
      multiply_panels(packed_d.f32() + begin * rows, packed_x.f32(), end - begin, c, rows, share, c, first > 0);
    });
  }
  mean_of_losses(mean->f32(), losses->f32(), target, n, count);
  count_operations((gradient ? 6.0 : 2.0) * n * v * c);
}

}  // namespace rs::RS_BACKEND
