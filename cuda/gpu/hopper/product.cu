// Products on Hopper: what fits, tensor maps, and which tiles. The kernel is in product_kernel.h.
#include "product.h"

#include "product_kernel.h"
#include "product_loss.h"
#include "product_rope.h"

namespace rs::gpu {
namespace {

// Measured on an H100, TFLOP/s at M = 262144. Where K is short and the epilogue reads no aux, keeping b and taking
// turns wins: 615 at N=K=512 (wide tiles 584); in pairs 670 at N=1536, K=512 (alone 635, wide 585) and 640 with relu²
// at N=2048 (wide 618). Elsewhere wide tiles win: 459 at N=K=512 with aux added (kept 438), 493 with the gradient of
// relu² at N=2048, K=512 (kept 486), 636 with aux added at N=512, K=2048.
using WideTiles = product::Tiling<256, 4>;
using NarrowTiles = product::Tiling<128, 6>;
using KeptTiles = product::Tiling<128, 6, true>;
using KeptPairTiles = product::Tiling<128, 6, true, 2>;

// A row-major matrix in boxes of 64 columns by `rows` rows, as it is.
CUtensorMap matrix_map(const bf16* data, int64_t rows, int64_t columns, int32_t box_rows) {
  const int64_t sizes[] = {columns, rows}, strides[] = {columns};
  const int32_t box[] = {64, box_rows};
  return tensor_map(data, 2, sizes, strides, box);
}

// The same with five axes. With `grouped` (rows a multiple of 32), row 32g + 8i + 2j + e of a box (i, j < 4, e < 2) is
// row 32g + 8j + 2i + e of the matrix: see Output in product_epilogue.h. A box is given by its column and by its first
// row (second coordinate) or, grouped, by that row / 32 (fifth).
CUtensorMap five_axes_map(const bf16* data, int64_t rows, int64_t columns, int32_t box_rows, bool grouped) {
  if (grouped) {
    const int64_t sizes[] = {columns, 2, 4, 4, rows / 32};
    const int64_t strides[] = {columns, 8 * columns, 2 * columns, 32 * columns};
    const int32_t box[] = {64, 2, 4, 4, box_rows / 32};
    return tensor_map(data, 5, sizes, strides, box);
  }
  const int64_t sizes[] = {columns, rows, 1, 1, 1}, strides[] = {columns, columns, columns, columns};
  const int32_t box[] = {64, box_rows, 1, 1, 1};
  return tensor_map(data, 5, sizes, strides, box);
}

template <class T, class Out, bool Grouped>
void enqueue_product(const HopperProduct& p, const typename Out::Target& target) {
  product::Maps maps = {};
  product::Shape shape = {};
  int32_t ends[3];
  for (int i = 0; i < 3; i++) {
    if (i < p.segments) {
      const bf16 *a = i == 0 ? p.a : p.more_a[i - 1], *b = i == 0 ? p.b : p.more_b[i - 1];
      const int32_t k = i == 0 ? p.k : p.more_k[i - 1];
      maps.a[i] = matrix_map(a, p.m, k, T::rows / T::cluster);
      maps.b[i] = five_axes_map(b, p.n, k, T::columns, Grouped);
      shape.steps += int32_t(ceil_div(k, T::step));
    }
    ends[i] = shape.steps;
  }
  shape.m = p.m, shape.n = p.n, shape.first_ends = ends[0], shape.second_ends = ends[1];
  shape.column_tiles = int32_t(ceil_div(p.n, T::columns));
  const int64_t clusters = multiprocessors() / T::cluster;
  if constexpr (T::kept) {
    shape.columns_at_once = int32_t(ceil_div(shape.column_tiles, T::cluster));
    shape.whole = shape.items = int32_t(ceil_div(p.m, T::rows));
    shape.stride = int32_t(clusters / shape.columns_at_once);
  } else {
    const int64_t tiles = ceil_div(p.m, T::rows) * shape.column_tiles, rest = tiles % clusters;
    const int64_t halved = rest * 2 <= clusters ? rest : 0;
    if (tiles + halved > INT32_MAX / 2) fail(RS_UNSUPPORTED, "product of %d x %d: too many tiles", p.m, p.n);
    shape.columns_at_once = 1, shape.stride = int32_t(clusters);
    shape.whole = int32_t(tiles - halved), shape.items = int32_t(tiles + halved);
  }
  if (shape.stride > shape.items) shape.stride = shape.items;
  const unsigned blocks = unsigned(shape.stride) * unsigned(shape.columns_at_once) * T::cluster;
  launch(product::product_kernel<T, Out, Grouped>, Launch{blocks, 384, T::shared_bytes, T::cluster}, target, maps,
         shape);
}

template <class T, int Epilogue, class C, bool Grouped>
void enqueue_epilogue(const HopperProduct& p) {
  enqueue_product<T, product::Output<T::blocks, T::columns, Epilogue, C, Grouped>, Grouped>(
      p, {static_cast<C*>(p.c), static_cast<const C*>(p.aux)});
}

bool reads_aux(const HopperProduct& p) {
  return p.epilogue == RS_EPILOGUE_RELU2_BACKWARD || p.epilogue == RS_EPILOGUE_ADD_AUX;
}

template <class T, bool Grouped>
void enqueue(const HopperProduct& p) {
  with_float(p.c_type, [&](auto* type) {
    using C = std::remove_pointer_t<decltype(type)>;
    if constexpr (!T::kept) {
      if (p.epilogue == RS_EPILOGUE_RELU2_BACKWARD)
        return enqueue_epilogue<T, RS_EPILOGUE_RELU2_BACKWARD, C, Grouped>(p);
      if (p.epilogue == RS_EPILOGUE_ADD_AUX) return enqueue_epilogue<T, RS_EPILOGUE_ADD_AUX, C, Grouped>(p);
    }
    if (p.epilogue == RS_EPILOGUE_RELU2) return enqueue_epilogue<T, RS_EPILOGUE_RELU2, C, Grouped>(p);
    enqueue_epilogue<T, RS_EPILOGUE_NONE, C, Grouped>(p);
  });
}

// Whether a block can keep all that its columns need of b, without leaving more than an eighth of the device idle.
template <class T>
bool keeps(const HopperProduct& p) {
  int64_t steps = ceil_div(p.k, T::step);
  for (int i = 1; i < p.segments; i++) steps += ceil_div(p.more_k[i - 1], T::step);
  const int64_t tiles = ceil_div(p.n, T::columns), bands = multiprocessors() / T::cluster / ceil_div(tiles, T::cluster);
  return p.n % 32 == 0 && !reads_aux(p) && steps <= T::most_steps && bands * tiles * 8 >= multiprocessors() * 7;
}

bool prefers_pairs(const HopperProduct& p) { return p.n >= 1024 && p.m >= 8192 && keeps<KeptPairTiles>(p); }

// The product alone; heads·d columns have to exist as an int32_t.
HopperProduct without_rope(const HopperRopeProduct& p) {
  return {p.c, p.a, p.b, nullptr, RS_BF16, p.m, p.heads * p.d, p.k, RS_EPILOGUE_NONE};
}

template <class T, int D>
void enqueue_rope(const HopperRopeProduct& p) {
  enqueue_product<T, product::RopeOutput<T::blocks, T::columns, D>, true>(
      without_rope(p), {p.c, p.rstd, p.angles, p.t, p.heads, 1.0f / float(D), p.eps});
}

HopperProduct without_loss(const HopperLossProduct& p) {
  return {p.c, p.a, p.b, nullptr, RS_BF16, p.m, p.n, p.k, RS_EPILOGUE_NONE};
}

template <class T>
void enqueue_loss(const HopperLossProduct& p) {
  static_assert(T::columns == HopperLossProduct::columns);
  enqueue_product<T, product::LossOutput<T::blocks, T::columns>, true>(without_loss(p),
                                                                       {p.c, p.sums, CappedSoftmax(p.cap)});
}

bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

}  // namespace

bool hopper_product_supports(const HopperProduct& p) {
  if (p.m < 1 || p.m > INT32_MAX - 1024 || p.n < 64 || p.n > INT32_MAX - 1024 || p.n % 8 != 0) return false;
  if (p.segments < 1 || p.segments > 3 || !aligned(p.c) || (reads_aux(p) && (p.aux == nullptr || !aligned(p.aux))))
    return false;
  for (int i = 0; i < p.segments; i++) {
    const bf16 *a = i == 0 ? p.a : p.more_a[i - 1], *b = i == 0 ? p.b : p.more_b[i - 1];
    const int32_t k = i == 0 ? p.k : p.more_k[i - 1];
    if (k < 8 || k > (1 << 28) || k % 8 != 0 || !aligned(a) || !aligned(b)) return false;
  }
  return true;
}

void hopper_product(const HopperProduct& p) {
  if (p.n % 32 != 0) {
    enqueue<NarrowTiles, false>(p);
  } else if (prefers_pairs(p)) {
    enqueue<KeptPairTiles, true>(p);
  } else if (keeps<KeptTiles>(p)) {
    enqueue<KeptTiles, true>(p);
  } else if (p.n < 1024 && ceil_div(p.n, 128) % 2 == 1) {
    // Wide tiles would cover columns that do not exist.
    enqueue<NarrowTiles, true>(p);
  } else {
    enqueue<WideTiles, true>(p);
  }
}

bool hopper_rope_product_supports(const HopperRopeProduct& p) {
  if ((p.d != 64 && p.d != 128) || p.t < 1 || p.heads < 1 || int64_t{p.heads} * p.d > INT32_MAX) return false;
  return aligned(p.angles) && hopper_product_supports(without_rope(p));
}

void hopper_rope_product(const HopperRopeProduct& p) {
  if (keeps<KeptTiles>(without_rope(p))) {
    if (p.d == 64) enqueue_rope<KeptTiles, 64>(p);
    else enqueue_rope<KeptTiles, 128>(p);
  } else {
    if (p.d == 64) enqueue_rope<WideTiles, 64>(p);
    else enqueue_rope<WideTiles, 128>(p);
  }
}

// The special functions take three quarters of the time of the products at K = 512, which hides them only where the
// warpgroups take turns.
bool hopper_loss_product_supports(const HopperLossProduct& p) {
  const HopperProduct product = without_loss(p);
  return p.cap > 0 && p.cap <= CappedSoftmax::largest_cap && hopper_product_supports(product) &&
         keeps<KeptTiles>(product);
}

void hopper_loss_product(const HopperLossProduct& p) {
  if (prefers_pairs(without_loss(p))) enqueue_loss<KeptPairTiles>(p);
  else enqueue_loss<KeptTiles>(p);
}

}  // namespace rs::gpu
