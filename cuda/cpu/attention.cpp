// Causal softmax attention, forward and backward, one head at a time in blocks that stay in cache.
//
// Forward: a group of query_rows queries meets all the keys it sees; its scores (a strip, query_rows × keys) are
// turned into probabilities in place and multiplied with the values. Backward: probabilities are computed again from
// lse, for a block of queries, and thrown away after the five products. Blocks of keys that a group of queries can't
// see (causality, window) are not computed. Memory grows with T, never with T×T.
// Order of sums: over d and over keys in order for a query, over queries and then heads in order for a key; heads of
// different key/value heads and batch rows are independent. So bits do not depend on threads or on the batch.
#include "../impl.h"
#include "attention_tiles.h"
#include "parallel.h"
#include "simd.h"

namespace rs::RS_BACKEND {

static constexpr int64_t block_groups = 64 / query_rows;  // groups of queries in a block of the backward pass

struct Shape {
  int64_t t, h, g, d, window;
  int64_t key_tiles, head_tiles;  // tiles of lanes in T and in D
  float scale;
  int64_t query_stride() const { return h * d; }
  int64_t key_stride() const { return g * d; }
  int64_t first_key(int64_t query) const { return query > window ? query - window : 0; }
  int64_t key_panel() const { return key_tiles * lanes * d; }  // floats of a transposed panel
};

static Shape shape_of(int64_t t, int64_t h, int64_t g, int64_t d, int64_t window, double scale) {
  return {t, h, g, d, window, tiles_of(t), tiles_of(d), static_cast<float>(scale)};
}

// Query–key pairs that one head computes.
static double pairs(const Shape& s) {
  double sum = 0;
  for (int64_t i = 0; i < s.t; i++) sum += static_cast<double>(i + 1 - s.first_key(i));
  return sum;
}

// Lanes of a tile of keys that query `i` sees; `key` is the first one.
RS_INLINE IntVec seen(const Shape& s, int64_t i, int64_t key) {
  const IntVec index = lane_index() + static_cast<int32_t>(key);
  return (index <= static_cast<int32_t>(i)) & (index >= static_cast<int32_t>(s.first_key(i)));
}

// What a group of queries sees: rows of the group, tiles of keys, and where the keys end.
struct Group {
  int64_t first, rows, low_tile, high_tile, end;
};
static Group group_at(const Shape& s, int64_t first) {
  const int64_t rows = s.t - first < query_rows ? s.t - first : query_rows;
  return {first, rows, s.first_key(first) / lanes, tiles_of(first + rows), first + rows};
}
// Whether all queries of the group see all keys of `tiles` tiles from `tile` on.
RS_INLINE bool all_seen(const Shape& s, const Group& group, int64_t tile, int tiles) {
  return group.rows == query_rows && (tile + tiles) * lanes - 1 <= group.first &&
         tile * lanes >= s.first_key(group.first + query_rows - 1);
}

// Scores of V tiles of keys into the strip (−∞ where not seen), and the running maximum of each row's lanes.
template <int V>
static void score_tiles(const Shape& s, const Group& group, float* strip, Vec* largest, const float* query,
                        const float* keys, int64_t tile) {
  Vec sum[query_rows][V] = {};
  multiply_strip<V>(sum, query, keys + tile * s.d * lanes, s.d * lanes, s.d);
  const bool whole = all_seen(s, group, tile, V);
  float* out = strip + (tile - group.low_tile) * strip_tile;
#pragma GCC unroll 16
  for (int r = 0; r < query_rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      Vec score = sum[r][v] * s.scale;
      if (!whole) score = select(seen(s, group.first + r, (tile + v) * lanes), score, splat(-__builtin_inff()));
      store(out + v * strip_tile + r * lanes, score);
      largest[r] = max(largest[r], score);
    }
}

// y of V tiles of the head dimension: probabilities times values, divided by their sum.
template <int V>
static void value_tiles(const Shape& s, const Group& group, float* y, const float* strip, const float* values,
                        const float* inverse, int64_t tile) {
  Vec sum[query_rows][V] = {};
  const int64_t panel_tile = s.t * lanes, low = group.low_tile * lanes;
  multiply_strip<V>(sum, strip, values + tile * panel_tile + low * lanes, panel_tile, group.end - low);
#pragma GCC unroll 16
  for (int r = 0; r < query_rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      const int64_t column = (tile + v) * lanes;
      const int n = s.d - column < lanes ? static_cast<int>(s.d - column) : lanes;
      if (r < group.rows) store(y + r * s.query_stride() + column, sum[r][v] * inverse[r], n);
    }
}

static void forward_group(const Shape& s, const Group& group, float* y, float* lse, const float* query,
                          const float* keys, const float* values, float* strip) {
  Vec largest[query_rows];
  for (Vec& row : largest) row = splat(-__builtin_inff());
  int64_t tile = group.low_tile;
  for (; tile + wide <= group.high_tile; tile += wide) score_tiles<wide>(s, group, strip, largest, query, keys, tile);
  for (; tile < group.high_tile; tile++) score_tiles<1>(s, group, strip, largest, query, keys, tile);

  float inverse[query_rows] = {};
  const int64_t tiles = group.high_tile - group.low_tile;
  for (int64_t r = 0; r < query_rows; r++) {
    float* row = strip + r * lanes;
    if (r >= group.rows) {
      for (int64_t j = 0; j < tiles; j++) store(row + j * strip_tile, Vec{});
      continue;
    }
    const float top = max_lanes(largest[r]);
    Vec total = {};
    for (int64_t j = 0; j < tiles; j++) {
      Vec p = exp_nonpositive(load(row + j * strip_tile) - top);
      store(row + j * strip_tile, p);
      total += p;
    }
    const float sum = sum_lanes(total);
    inverse[r] = 1.0f / sum;
    lse[group.first + r] = top + log_scalar(sum);
  }

  tile = 0;
  for (; tile + wide <= s.head_tiles; tile += wide) value_tiles<wide>(s, group, y, strip, values, inverse, tile);
  for (; tile < s.head_tiles; tile++) value_tiles<1>(s, group, y, strip, values, inverse, tile);
}

void attention_forward(Tensor* y, Tensor* lse, const Tensor* q, const Tensor* k, const Tensor* v, int32_t b, int32_t t,
                       int32_t h, int32_t g, int32_t d, int32_t window, double scale) {
  const Shape s = shape_of(t, h, g, d, window, scale);
  const int64_t value_panel = s.head_tiles * lanes * s.t, query_strip = s.head_tiles * strip_tile;
  const int64_t per_thread = s.key_panel() + value_panel + query_strip + s.key_tiles * strip_tile;
  Scratch scratch(sizeof(float) * static_cast<size_t>(per_thread * thread_count()));
  parallel_for(static_cast<int64_t>(b) * h, 1, [&](int64_t begin, int64_t end, int32_t thread) {
    float* keys = scratch.f32() + thread * per_thread;
    float *values = keys + s.key_panel(), *query = values + value_panel, *strip = query + query_strip;
    for (int64_t item = begin; item < end; item++) {
      const int64_t row = item / h, head = item % h;
      const int64_t key_offset = row * t * s.key_stride() + head * g / h * d;
      const int64_t query_offset = row * t * s.query_stride() + head * d;
      pack_transposed(keys, k->f32() + key_offset, s.key_stride(), t, d);
      pack_panel(values, v->f32() + key_offset, s.key_stride(), t, t, d);
      for (int64_t first = 0; first < t; first += query_rows) {
        const Group group = group_at(s, first);
        const int64_t offset = query_offset + first * s.query_stride();
        pack_strip(query, q->f32() + offset, s.query_stride(), group.rows, d);
        forward_group(s, group, y->f32() + offset, lse->f32() + item * t, query, keys, values, strip);
      }
    }
  });
  count_operations(4.0 * d * b * h * pairs(s));
}

// ---- backward ----

// What one key/value head works in; panels as in attention_tiles.h, rows of queries padded to whole blocks.
struct Work {
  float *keys_across, *values_across;  // transposed panels: [tile of keys][d]
  float *keys, *dkeys, *dvalues;       // panels [tile of d][key]
  float *queries, *dys;                // panels [tile of d][query]
  float *query, *dy;                   // strips of one group
  float *p, *ds;                       // strips of a block of groups
  int64_t key_tile, query_tile;        // distance of tiles in the panels of keys and of queries
  int64_t strip_group;                 // distance of groups in p and ds
};

static int64_t work_floats(const Shape& s) {
  const int64_t query_tile = (s.t + 2 * query_rows) * lanes, key_tile = s.key_tiles * lanes * lanes;
  return 2 * s.key_panel() + 3 * s.head_tiles * key_tile + 2 * s.head_tiles * query_tile +
         2 * s.head_tiles * strip_tile + 2 * block_groups * s.key_tiles * strip_tile;
}

static Work work_at(const Shape& s, float* memory) {
  Work w;
  const auto take = [&](int64_t count) {
    float* start = memory;
    memory += count;
    return start;
  };
  w.key_tile = s.key_tiles * lanes * lanes;
  w.query_tile = (s.t + 2 * query_rows) * lanes;
  w.strip_group = s.key_tiles * strip_tile;
  w.keys_across = take(s.key_panel());
  w.values_across = take(s.key_panel());
  for (float** panel : {&w.keys, &w.dkeys, &w.dvalues}) *panel = take(s.head_tiles * w.key_tile);
  for (float** panel : {&w.queries, &w.dys}) *panel = take(s.head_tiles * w.query_tile);
  for (float** strip : {&w.query, &w.dy}) *strip = take(s.head_tiles * strip_tile);
  for (float** strips : {&w.p, &w.ds}) *strips = take(block_groups * w.strip_group);
  return w;
}

// p and ds of V tiles of keys: p = exp(score − lse), ds = p·(dy·v − delta)·scale; 0 where not seen.
template <int V>
static void gradient_tiles(const Shape& s, const Group& group, const Work& w, float* p, float* ds, const float* lse,
                           const float* delta, int64_t tile) {
  const bool whole = all_seen(s, group, tile, V);
  const int64_t panel = tile * s.d * lanes;
  Vec sum[query_rows][V] = {};
  multiply_strip<V>(sum, w.query, w.keys_across + panel, s.d * lanes, s.d);
  float *p_out = p + tile * strip_tile, *ds_out = ds + tile * strip_tile;
#pragma GCC unroll 16
  for (int r = 0; r < query_rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      Vec e = exp_nonpositive(fma(sum[r][v], splat(s.scale), splat(-lse[r])));
      if (!whole) e = r < group.rows ? select(seen(s, group.first + r, (tile + v) * lanes), e, Vec{}) : Vec{};
      store(p_out + v * strip_tile + r * lanes, e);
      sum[r][v] = Vec{};
    }
  multiply_strip<V>(sum, w.dy, w.values_across + panel, s.d * lanes, s.d);
#pragma GCC unroll 16
  for (int r = 0; r < query_rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      Vec e = load(p_out + v * strip_tile + r * lanes);
      store(ds_out + v * strip_tile + r * lanes, e * ((sum[r][v] - delta[r]) * s.scale));
    }
}

// dq of V tiles of the head dimension: ds times keys.
template <int V>
static void dquery_tiles(const Shape& s, const Group& group, const Work& w, float* dq, const float* ds, int64_t tile) {
  Vec sum[query_rows][V] = {};
  const int64_t low = group.low_tile * lanes;
  multiply_strip<V>(sum, ds + group.low_tile * strip_tile, w.keys + tile * w.key_tile + low * lanes, w.key_tile,
                    group.end - low);
#pragma GCC unroll 16
  for (int r = 0; r < query_rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      const int64_t column = (tile + v) * lanes;
      const int n = s.d - column < lanes ? static_cast<int>(s.d - column) : lanes;
      if (r < group.rows) store(dq + r * s.query_stride() + column, sum[r][v], n);
    }
}

// Adds strips (p or ds) transposed times a panel of queries (dy or q) to key_rows keys of V tiles of `out`.
template <int V>
static void dkey_tiles(float* out, int64_t out_tile, const float* strips, int64_t strip_group, const float* panel,
                       int64_t panel_tile, int64_t groups) {
  Vec sum[key_rows][V];
#pragma GCC unroll 16
  for (int r = 0; r < key_rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) sum[r][v] = load(out + v * out_tile + r * lanes);
  multiply_transposed<V>(sum, strips, strip_group, panel, panel_tile, groups);
#pragma GCC unroll 16
  for (int r = 0; r < key_rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) store(out + v * out_tile + r * lanes, sum[r][v]);
}

static void backward_group(const Shape& s, const Group& group, const Work& w, float* p, float* ds, float* dq,
                           const float* lse, const float* delta) {
  int64_t tile = group.low_tile;
  for (; tile + wide <= group.high_tile; tile += wide) gradient_tiles<wide>(s, group, w, p, ds, lse, delta, tile);
  for (; tile < group.high_tile; tile++) gradient_tiles<1>(s, group, w, p, ds, lse, delta, tile);
  tile = 0;
  for (; tile + wide <= s.head_tiles; tile += wide) dquery_tiles<wide>(s, group, w, dq, ds, tile);
  for (; tile < s.head_tiles; tile++) dquery_tiles<1>(s, group, w, dq, ds, tile);
}

// Adds a block of queries (groups from query `first` on) to dk and dv.
static void backward_keys(const Shape& s, const Work& w, int64_t first, int64_t groups, int64_t low_tile,
                          int64_t high_tile) {
  for (int64_t key = low_tile * lanes; key < high_tile * lanes; key += key_rows) {
    // Groups before `from` end before this key, groups from `to` on begin after its window.
    const int64_t from = key > first ? (key - first) / query_rows : 0;
    const int64_t last = key + key_rows - 1 + s.window - first;
    const int64_t to = last / query_rows + 1 < groups ? last / query_rows + 1 : groups;
    if (last < 0 || from >= to) continue;
    const int64_t strips = from * w.strip_group + key / lanes * strip_tile + key % lanes;
    const int64_t row = (first + from * query_rows) * lanes;
    int64_t tile = 0;
    const auto add = [&](auto width) RS_INLINE_LAMBDA {
      constexpr int V = decltype(width)::value;
      const int64_t out = tile * w.key_tile + key * lanes, panel = tile * w.query_tile + row;
      dkey_tiles<V>(w.dvalues + out, w.key_tile, w.p + strips, w.strip_group, w.dys + panel, w.query_tile, to - from);
      dkey_tiles<V>(w.dkeys + out, w.key_tile, w.ds + strips, w.strip_group, w.queries + panel, w.query_tile,
                    to - from);
    };
    for (; tile + wide <= s.head_tiles; tile += wide) add(std::integral_constant<int, wide>());
    for (; tile < s.head_tiles; tile++) add(std::integral_constant<int, 1>());
  }
}

// One query head: dq, and its part of dk and dv.
static void backward_head(const Shape& s, const Work& w, float* dq, const float* dy, const float* y, const float* lse,
                          const float* q) {
  const int64_t stride = s.query_stride(), padded = w.query_tile / lanes;
  pack_panel(w.queries, q, stride, s.t, padded, s.d);
  pack_panel(w.dys, dy, stride, s.t, padded, s.d);
  for (int64_t first = 0; first < s.t; first += block_groups * query_rows) {
    const int64_t left = (s.t - first + query_rows - 1) / query_rows;
    const int64_t groups = left < block_groups ? left : block_groups;
    const int64_t low_tile = group_at(s, first).low_tile;
    const int64_t high_tile = group_at(s, first + (groups - 1) * query_rows).high_tile;
    for (int64_t index = 0; index < groups; index++) {
      const Group group = group_at(s, first + index * query_rows);
      const int64_t offset = group.first * stride;
      float delta[query_rows] = {}, rows_lse[query_rows] = {};
      for (int64_t r = 0; r < group.rows; r++) {
        const float *gradient = dy + offset + r * stride, *value = y + offset + r * stride;
        delta[r] = sum_vec(
            s.d, [&](int64_t j, int n) RS_INLINE_LAMBDA { return load(gradient + j, n) * load(value + j, n); });
        rows_lse[r] = lse[group.first + r];
      }
      pack_strip(w.query, q + offset, stride, group.rows, s.d);
      pack_strip(w.dy, dy + offset, stride, group.rows, s.d);
      float *p = w.p + index * w.strip_group, *ds = w.ds + index * w.strip_group;
      for (float* strips : {p, ds}) {
        memset(strips + low_tile * strip_tile, 0,
               sizeof(float) * static_cast<size_t>((group.low_tile - low_tile) * strip_tile));
        memset(strips + group.high_tile * strip_tile, 0,
               sizeof(float) * static_cast<size_t>((high_tile - group.high_tile) * strip_tile));
      }
      backward_group(s, group, w, p, ds, dq + offset, rows_lse, delta);
    }
    backward_keys(s, w, first, groups, low_tile, high_tile);
  }
}

static void unpack_panel(float* x, const float* panel, int64_t stride, int64_t rows, int64_t panel_tile, int64_t d) {
  for (int64_t i = 0; i < rows; i++)
    each_vec(d, [&](int64_t j, int n) RS_INLINE_LAMBDA {
      store(x + i * stride + j, load(panel + j / lanes * panel_tile + i * lanes), n);
    });
}

void attention_backward(Tensor* dq, Tensor* dk, Tensor* dv, const Tensor* dy, const Tensor* y, const Tensor* lse,
                        const Tensor* q, const Tensor* k, const Tensor* v, int32_t b, int32_t t, int32_t h, int32_t g,
                        int32_t d, int32_t window, double scale) {
  const Shape s = shape_of(t, h, g, d, window, scale);
  const int64_t per_thread = work_floats(s);
  Scratch scratch(sizeof(float) * static_cast<size_t>(per_thread * thread_count()));
  parallel_for(static_cast<int64_t>(b) * g, 1, [&](int64_t begin, int64_t end, int32_t thread) {
    const Work w = work_at(s, scratch.f32() + thread * per_thread);
    for (int64_t item = begin; item < end; item++) {
      const int64_t row = item / g, group = item % g;
      const int64_t offset = row * t * s.key_stride() + group * d;
      pack_transposed(w.keys_across, k->f32() + offset, s.key_stride(), t, d);
      pack_transposed(w.values_across, v->f32() + offset, s.key_stride(), t, d);
      pack_panel(w.keys, k->f32() + offset, s.key_stride(), t, s.key_tiles * lanes, d);
      memset(w.dkeys, 0, sizeof(float) * static_cast<size_t>(s.head_tiles * w.key_tile));
      memset(w.dvalues, 0, sizeof(float) * static_cast<size_t>(s.head_tiles * w.key_tile));
      // Head h reads key/value head ⌊h·G/H⌋: the first of a group's heads is ⌈group·H/G⌉.
      const int64_t last_head = ((group + 1) * h + g - 1) / g;
      for (int64_t head = (group * h + g - 1) / g; head < last_head; head++) {
        const int64_t at = row * t * s.query_stride() + head * d;
        backward_head(s, w, dq->f32() + at, dy->f32() + at, y->f32() + at, lse->f32() + (row * h + head) * t,
                      q->f32() + at);
      }
      unpack_panel(dk->f32() + offset, w.dkeys, s.key_stride(), t, w.key_tile, d);
      unpack_panel(dv->f32() + offset, w.dvalues, s.key_stride(), t, w.key_tile, d);
    }
  });
  count_operations(10.0 * d * b * h * pairs(s));
}

}  // namespace rs::RS_BACKEND
