// Causal softmax attention, forward and backward, one head at a time in blocks that stay in cache.
//
// Forward: a group of query_rows queries meets all the keys it sees; its scores (a strip, query_rows × keys) become
// probabilities in place and are multiplied with the values. Backward: probabilities are computed again from lse, for
// a block of queries, and thrown away after the five products. Tiles of keys that a group of queries can't see
// (causality, window) are not computed. Memory grows with T, never with T×T.
// Order of sums: over d, and over keys in order for a query; over queries in order, then heads, for a key. Heads and
// batch rows share no sum, so bits depend neither on threads nor on the place in the batch. What a query does not see is
// multiplied by 0 within a group's last tiles, so NaN in a value can reach the up to query_rows − 1 queries before it.
#include "../impl.h"
#include "attention_tiles.h"
#include "parallel.h"
#include "simd.h"

namespace rs::RS_BACKEND {

static constexpr int64_t block_groups = 64 / query_rows;  // groups of queries in a block of the backward pass
static constexpr int64_t keys_ahead = 16;                 // how far ahead of the queries keys are prefetched
static constexpr float log2_e = 1.44269504088896341f;

// Operands whose rows are whole vectors are read, and dk and dv added up, where they lie; others are copied to panels.
static bool in_place(int64_t d) { return d % lanes == 0; }

struct Shape {
  int64_t t, h, g, d, window;
  int64_t key_tiles, head_tiles;  // tiles of lanes in T and in D
  float scale;
  int64_t query_stride() const { return h * d; }
  int64_t key_stride() const { return g * d; }
  int64_t first_key(int64_t query) const { return query > window ? query - window : 0; }
};

static Shape shape_of(int64_t t, int64_t h, int64_t g, int64_t d, int64_t window, double scale) {
  return {t, h, g, d, window, tiles_of(t), tiles_of(d), static_cast<float>(scale)};
}

// Query–key pairs of one head.
static double pairs(const Shape& s) {
  double sum = 0;
  for (int64_t i = 0; i < s.t; i++) sum += static_cast<double>(i + 1 - s.first_key(i));
  return sum;
}

// What a group of queries sees: its rows, the tiles of keys, and where the keys end.
struct Group {
  int64_t first, rows, low_tile, high_tile, end;
  int64_t tiles() const { return high_tile - low_tile; }
  int64_t low_key() const { return low_tile * lanes; }
};
static Group group_at(const Shape& s, int64_t first) {
  const int64_t rows = s.t - first < query_rows ? s.t - first : query_rows;
  return {first, rows, s.first_key(first) / lanes, tiles_of(first + rows), first + rows};
}

// Calls f(tile, mask) for the tiles of a group that query `i` sees in part, and g(tile) for those it sees whole; tiles
// count from the group's first. Tiles it does not see at all get an empty mask.
template <class F, class G>
RS_INLINE void each_tile(const Shape& s, const Group& group, int64_t i, F&& part, G&& whole) {
  const int64_t low = s.first_key(i) - group.low_key(), high = i + 1 - group.low_key();  // keys low … high − 1
  const int64_t first_whole = tiles_of(low), end_whole = high / lanes;
  const auto masked = [&](int64_t tile) RS_INLINE_LAMBDA {
    const IntVec key = lane_index() + static_cast<int32_t>(tile * lanes);
    part(tile, (key >= static_cast<int32_t>(low)) & (key < static_cast<int32_t>(high)));
  };
  int64_t tile = 0;
  for (; tile < first_whole && tile < group.tiles(); tile++) masked(tile);
  for (; tile < end_whole; tile++) whole(tile);
  for (; tile < group.tiles(); tile++) masked(tile);
}

// Scores to exp(scale·score − largest) in place, 0 where not seen; gives 1/sum and lse of each row.
static void softmax_strip(const Shape& s, const Group& group, float* strip, float* inverse, float* lse) {
  const float scale = s.scale * log2_e;  // in powers of two from here on
  float sums[lanes], tops[lanes] = {};
  for (int r = 0; r < lanes; r++) sums[r] = 1;
  for (int64_t r = 0; r < group.rows; r++) {
    float* row = strip + r * lanes;
    const int64_t i = group.first + r;
    Vec largest = splat(-__builtin_inff());
    each_tile(
        s, group, i,
        [&](int64_t tile, IntVec seen) RS_INLINE_LAMBDA {
          largest = max(largest, select(seen, load(row + tile * strip_tile) * scale, largest));
        },
        [&](int64_t tile) RS_INLINE_LAMBDA { largest = max(largest, load(row + tile * strip_tile) * scale); });
    const float top = max_lanes(largest);
    Vec total = {};
    const auto probability = [&](int64_t tile) RS_INLINE_LAMBDA {
      return exp2_clamped(fma(load(row + tile * strip_tile), splat(scale), splat(-top)));
    };
    each_tile(
        s, group, i,
        [&](int64_t tile, IntVec seen) RS_INLINE_LAMBDA {
          Vec p = select(seen, probability(tile), Vec{});
          store(row + tile * strip_tile, p);
          total += p;
        },
        [&](int64_t tile) RS_INLINE_LAMBDA {
          Vec p = probability(tile);
          store(row + tile * strip_tile, p);
          total += p;
        });
    sums[r] = sum_lanes(total);
    tops[r] = top;
    inverse[r] = 1.0f / sums[r];
  }
  store(lse + group.first, fma(load(tops, static_cast<int>(group.rows)), splat(1.0f / log2_e), log(load(sums))),
        static_cast<int>(group.rows));
}

void attention_forward(Tensor* y, Tensor* lse, const Tensor* q, const Tensor* k, const Tensor* v, int32_t b, int32_t t,
                       int32_t h, int32_t g, int32_t d, int32_t window, double scale) {
  const Shape s = shape_of(t, h, g, d, window, scale);
  const int64_t key_panel = s.key_tiles * lanes * d, value_panel = s.head_tiles * lanes * t;
  const int64_t head_strip = s.head_tiles * strip_tile;
  const int64_t per_thread = key_panel + value_panel + 2 * head_strip + s.key_tiles * strip_tile;
  Scratch scratch(sizeof(float) * static_cast<size_t>(per_thread * thread_count()));
  parallel_for(static_cast<int64_t>(b) * h, 1, [&](int64_t begin, int64_t end, int32_t thread) {
    float* keys = scratch.f32() + thread * per_thread;
    float *values = keys + key_panel, *query = values + value_panel, *result = query + head_strip;
    float* strip = result + head_strip;
    for (int64_t item = begin; item < end; item++) {
      const int64_t row = item / h, head = item % h;
      const int64_t key_offset = row * t * s.key_stride() + head * g / h * d;
      const int64_t query_offset = row * t * s.query_stride() + head * d;
      const float* key = k->f32() + key_offset;
      Panel value_rows{v->f32() + key_offset, s.key_stride(), lanes};
      if (!in_place(d)) {
        pack_panel(values, value_rows.data, s.key_stride(), t, t, d);
        value_rows = {values, lanes, t * lanes};
      }
      int64_t packed = 0;
      for (int64_t first = 0; first < t; first += query_rows) {
        const Group group = group_at(s, first);
        const int64_t offset = query_offset + first * s.query_stride();
        float inverse[query_rows];
        for (; packed < group.high_tile; packed++) {
          const int64_t row_of_key = packed * lanes;
          pack_transposed(keys + row_of_key * d, key + row_of_key * s.key_stride(), s.key_stride(), t - row_of_key, d);
        }
        pack_strip(query, q->f32() + offset, s.query_stride(), group.rows, d);
        prefetch_rows(q->f32() + query_offset, s.query_stride(), first + query_rows, t, d);
        prefetch_rows(key, s.key_stride(), first + keys_ahead, t, d);
        multiply_strip(strip, query, {keys + group.low_key() * d, lanes, lanes * d}, group.tiles(), d);
        prefetch_rows(v->f32() + key_offset, s.key_stride(), first + keys_ahead, t, d);
        prefetch_rows(y->f32() + query_offset, s.query_stride(), first, t, d);
        softmax_strip(s, group, strip, inverse, lse->f32() + item * t);
        multiply_strip(result, strip, value_rows.at(group.low_key(), 0), s.head_tiles, group.end - group.low_key());
        unpack_strip(y->f32() + offset, s.query_stride(), result, inverse, group.rows, d);
      }
    }
  });
  count_operations(4.0 * d * b * h * pairs(s));
}

// ---- backward ----

// What one key/value head works in; layouts as in attention_tiles.h.
struct Work {
  float *keys_across, *values_across;             // transposed panels: [tile of keys][d]
  float *query, *dy, *dquery;                     // strips of one group
  float *p, *ds;                                  // strips of a block of groups, strip_group apart
  float *keys, *queries, *dys, *dkeys, *dvalues;  // panels of `padded` rows, where operands can't be used in place
  int64_t strip_group, padded;
};

// Lays Work out from `memory` on (null: to find its size); returns the number of floats.
static int64_t lay_out(const Shape& s, Work& w, float* memory) {
  int64_t used = 0;
  const auto take = [&](float*& part, int64_t count) {
    part = memory + used;
    used += (count + 15) / 16 * 16;
  };
  w.strip_group = s.key_tiles * strip_tile;
  w.padded = s.t + query_rows;
  for (float** panel : {&w.keys_across, &w.values_across}) take(*panel, s.key_tiles * lanes * s.d);
  for (float** strip : {&w.query, &w.dy, &w.dquery}) take(*strip, s.head_tiles * strip_tile);
  for (float** strips : {&w.p, &w.ds}) take(*strips, block_groups * w.strip_group);
  for (float** panel : {&w.keys, &w.queries, &w.dys, &w.dkeys, &w.dvalues})
    take(*panel, s.head_tiles * lanes * w.padded);
  return used;
}

// From scores and dy·v to p = exp(scale·score − lse) and ds = p·(dy·v − delta)·scale in place; 0 where not seen.
static void gradient_strip(const Shape& s, const Group& group, float* p, float* ds, const float* lse,
                           const float* delta) {
  for (int64_t r = 0; r < group.rows; r++) {
    float *row = p + r * lanes, *drow = ds + r * lanes;
    const Vec scale = splat(s.scale * log2_e), top = splat(-lse[r] * log2_e), level = splat(delta[r]);
    const auto finish = [&](int64_t tile, Vec e) RS_INLINE_LAMBDA {
      store(row + tile * strip_tile, e);
      store(drow + tile * strip_tile, e * ((load(drow + tile * strip_tile) - level) * s.scale));
    };
    const auto probability = [&](int64_t tile) RS_INLINE_LAMBDA {
      return exp2_clamped(fma(load(row + tile * strip_tile), scale, top));
    };
    each_tile(
        s, group, group.first + r,
        [&](int64_t tile, IntVec seen) RS_INLINE_LAMBDA { finish(tile, select(seen, probability(tile), Vec{})); },
        [&](int64_t tile) RS_INLINE_LAMBDA { finish(tile, probability(tile)); });
  }
  // Rows past the last query add to no key.
  for (int64_t r = group.rows; r < query_rows; r++)
    for (int64_t tile = 0; tile < group.tiles(); tile++)
      for (float* strip : {p, ds}) store(strip + tile * strip_tile + r * lanes, Vec{});
}

// Adds a block of queries (groups from query `first` on, rows of the panels) to dk and dv.
static void backward_keys(const Shape& s, const Work& w, const Sums& dkeys, const Sums& dvalues, const Panel& queries,
                          const Panel& dys, int64_t first, int64_t groups, int64_t low_tile, int64_t high_tile) {
  const int64_t end = high_tile * lanes < s.t ? high_tile * lanes : s.t;
  for (int64_t key = low_tile * lanes; key < end; key += key_rows) {
    // Groups before `from` end before this key, groups from `to` on begin after its window.
    const int64_t from = key > first ? (key - first) / query_rows : 0;
    const int64_t last = key + key_rows - 1 + s.window - first;
    const int64_t to = last / query_rows + 1 < groups ? last / query_rows + 1 : groups;
    if (last < 0 || from >= to) continue;
    const int64_t strips = from * w.strip_group + key / lanes * strip_tile + key % lanes;
    const int64_t row = first + from * query_rows, rows = s.t - key;
    add_transposed(dvalues.at(key, 0), rows, w.p + strips, w.strip_group, dys.at(row, 0), s.head_tiles, to - from);
    add_transposed(dkeys.at(key, 0), rows, w.ds + strips, w.strip_group, queries.at(row, 0), s.head_tiles, to - from);
  }
}

// A key/value head: its rows in the tensors, what reads and adds them up, and how many tiles of keys are prepared.
struct KeyHead {
  const float *k, *v;
  Panel keys;
  Sums dkeys, dvalues;
  int64_t prepared;
};

// Transposes keys and values of the tiles below `high_tile` and clears their sums, where that was not done before: each
// tile when the first query needs it, by when a prefetch has brought its rows.
static void prepare_keys(const Shape& s, const Work& w, KeyHead& head, int64_t high_tile) {
  for (; head.prepared < high_tile; head.prepared++) {
    const int64_t key = head.prepared * lanes, left = s.t - key, rows = left < lanes ? left : lanes;
    pack_transposed(w.keys_across + key * s.d, head.k + key * s.key_stride(), s.key_stride(), rows, s.d);
    pack_transposed(w.values_across + key * s.d, head.v + key * s.key_stride(), s.key_stride(), rows, s.d);
    for (const Sums& sums : {head.dkeys, head.dvalues})
      for (int64_t i = key; i < key + rows; i++)
        for (int64_t tile = 0; tile < s.head_tiles; tile++) store(sums.at(i, tile).data, Vec{});
  }
}

// One query head: dq, and its part of dk and dv.
static void backward_head(const Shape& s, const Work& w, float* dq, KeyHead& key_head, const float* dy, const float* y,
                          const float* lse, const float* q) {
  const int64_t stride = s.query_stride();
  float ones[query_rows];
  for (float& one : ones) one = 1;
  Panel queries{q, stride, lanes}, dys{dy, stride, lanes};
  if (!in_place(s.d) || s.t % query_rows != 0) {
    pack_panel(w.queries, q, stride, s.t, w.padded, s.d);
    pack_panel(w.dys, dy, stride, s.t, w.padded, s.d);
    queries = {w.queries, lanes, w.padded * lanes};
    dys = {w.dys, lanes, w.padded * lanes};
  }
  for (int64_t first = 0; first < s.t; first += block_groups * query_rows) {
    const int64_t left = (s.t - first + query_rows - 1) / query_rows;
    const int64_t groups = left < block_groups ? left : block_groups;
    const int64_t low_tile = group_at(s, first).low_tile;
    const int64_t high_tile = group_at(s, first + (groups - 1) * query_rows).high_tile;
    for (int64_t index = 0; index < groups; index++) {
      const Group group = group_at(s, first + index * query_rows);
      const int64_t offset = group.first * stride;
      prepare_keys(s, w, key_head, group.high_tile);
      float delta[query_rows];
      for (int64_t r = 0; r < group.rows; r++) {
        const float *gradient = dy + offset + r * stride, *value = y + offset + r * stride;
        delta[r] = sum_vec(
            s.d, [&](int64_t j, int n) RS_INLINE_LAMBDA { return load(gradient + j, n) * load(value + j, n); });
      }
      pack_strip(w.query, q + offset, stride, group.rows, s.d);
      pack_strip(w.dy, dy + offset, stride, group.rows, s.d);
      float *p = w.p + index * w.strip_group, *ds = w.ds + index * w.strip_group;
      // A key's rows are summed over all groups of the block from the first that sees it: zero where this one doesn't.
      for (float* strips : {p, ds}) {
        memset(strips + low_tile * strip_tile, 0,
               sizeof(float) * static_cast<size_t>((group.low_tile - low_tile) * strip_tile));
        memset(strips + group.high_tile * strip_tile, 0,
               sizeof(float) * static_cast<size_t>((high_tile - group.high_tile) * strip_tile));
      }
      p += group.low_tile * strip_tile;
      ds += group.low_tile * strip_tile;
      prefetch_rows(q, stride, group.first + query_rows, s.t, s.d);
      prefetch_rows(dy, stride, group.first + query_rows, s.t, s.d);
      const int64_t low = group.low_key();
      multiply_strip(p, w.query, {w.keys_across + low * s.d, lanes, lanes * s.d}, group.tiles(), s.d);
      multiply_strip(ds, w.dy, {w.values_across + low * s.d, lanes, lanes * s.d}, group.tiles(), s.d);
      prefetch_rows(y, stride, group.first + query_rows, s.t, s.d);
      prefetch_rows(dq, stride, group.first, s.t, s.d);
      gradient_strip(s, group, p, ds, lse + group.first, delta);
      multiply_strip(w.dquery, ds, key_head.keys.at(low, 0), s.head_tiles, group.end - low);
      unpack_strip(dq + offset, stride, w.dquery, ones, group.rows, s.d);
      const int64_t ahead = group.first + keys_ahead;
      if (ahead >= key_head.prepared * lanes) {
        for (const float* x : {key_head.k, key_head.v}) prefetch_rows(x, s.key_stride(), ahead, s.t, s.d);
        for (const Sums& sums : {key_head.dkeys, key_head.dvalues})
          if (in_place(s.d)) prefetch_rows(sums.data, sums.row, ahead, s.t, s.d);
      }
    }
    backward_keys(s, w, key_head.dkeys, key_head.dvalues, queries, dys, first, groups, low_tile, high_tile);
  }
}

void attention_backward(Tensor* dq, Tensor* dk, Tensor* dv, const Tensor* dy, const Tensor* y, const Tensor* lse,
                        const Tensor* q, const Tensor* k, const Tensor* v, const Tensor* q_rstd, const Tensor* k_rstd,
                        const Tensor* cos, const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t g, int32_t d,
                        int32_t window, double scale) {
  const Shape s = shape_of(t, h, g, d, window, scale);
  Work unplaced;
  const int64_t per_thread = lay_out(s, unplaced, nullptr);
  Scratch scratch(sizeof(float) * static_cast<size_t>(per_thread * thread_count()));
  parallel_for(static_cast<int64_t>(b) * g, 1, [&](int64_t begin, int64_t end, int32_t thread) {
    Work w;
    lay_out(s, w, scratch.f32() + thread * per_thread);
    for (int64_t item = begin; item < end; item++) {
      const int64_t row = item / g, group = item % g;
      const int64_t offset = row * t * s.key_stride() + group * d;
      KeyHead key_head{k->f32() + offset, v->f32() + offset, {}, {}, {}, 0};
      if (in_place(d)) {
        key_head.keys = {key_head.k, s.key_stride(), lanes};
        key_head.dkeys = {dk->f32() + offset, s.key_stride(), lanes};
        key_head.dvalues = {dv->f32() + offset, s.key_stride(), lanes};
      } else {
        pack_panel(w.keys, key_head.k, s.key_stride(), t, w.padded, d);
        key_head.keys = {w.keys, lanes, w.padded * lanes};
        key_head.dkeys = {w.dkeys, lanes, w.padded * lanes};
        key_head.dvalues = {w.dvalues, lanes, w.padded * lanes};
      }
      // Head h reads key/value head ⌊h·G/H⌋: the first of a group's heads is ⌈group·H/G⌉.
      const int64_t last_head = ((group + 1) * h + g - 1) / g;
      for (int64_t head = (group * h + g - 1) / g; head < last_head; head++) {
        const int64_t at = row * t * s.query_stride() + head * d;
        backward_head(s, w, dq->f32() + at, key_head, dy->f32() + at, y->f32() + at, lse->f32() + (row * h + head) * t,
                      q->f32() + at);
      }
      if (in_place(d)) continue;
      unpack_panel(dk->f32() + offset, s.key_stride(), w.dkeys, t, w.padded, d);
      unpack_panel(dv->f32() + offset, s.key_stride(), w.dvalues, t, w.padded, d);
    }
  });
  count_operations(10.0 * d * b * h * pairs(s));
  if (q_rstd == nullptr) return;
  // In place: a pair of elements is read before it is written.
  rope_rms_norm_backward(dq, dq, q, q_rstd, cos, sin, b, t, h, d);
  rope_rms_norm_backward(dk, dk, k, k_rstd, cos, sin, b, t, g, d);
}

}  // namespace rs::RS_BACKEND
