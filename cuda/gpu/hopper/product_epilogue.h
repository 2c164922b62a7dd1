// What happens to a product's sums on their way from registers to memory.
#pragma once
#include "../hopper.h"

namespace rs::gpu::product {

template <int Epilogue>
constexpr bool has_aux = Epilogue == RS_EPILOGUE_RELU2_BACKWARD || Epilogue == RS_EPILOGUE_ADD_AUX;

__device__ inline float square_root(float x) {
  asm("sqrt.approx.ftz.f32 %0, %0;" : "+f"(x));  // 2⁻²³ relative, far below a bfloat16's 2⁻⁹
  return x;
}

// `x` is a sum and `aux` what belongs to it, of type C.
template <int Epilogue, class C>
__device__ inline float finish(float x, float aux) {
  if constexpr (Epilogue == RS_EPILOGUE_RELU2) {
    asm("max.NaN.f32 %0, %0, 0f00000000;" : "+f"(x));
    return x * x;
  } else if constexpr (Epilogue == RS_EPILOGUE_RELU2_BACKWARD) {
    return (x + x) * to_float(from_float<C>(square_root(aux)));
  } else if constexpr (Epilogue == RS_EPILOGUE_ADD_AUX) {
    return x + aux;
  } else {
    return x;
  }
}

// Element i of neighbours that were read as words.
template <class C>
__device__ inline float element(const uint32_t* words, int i) {
  if constexpr (sizeof(C) == 4) return __uint_as_float(words[i]);
  else return __uint_as_float(i % 2 == 0 ? words[i / 2] << 16 : words[i / 2] & 0xffff0000u);
}

// Sixteen bytes, if wanted. Guarded inside so that no branch parts these accesses, and what is computed for them, from
// each other.
__device__ inline void load16_if(bool wanted, uint32_t* words, const void* p) {  // read once, so not kept nearby
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %5, 0;\nmov.u32 %0, 0;\nmov.u32 %1, 0;\nmov.u32 %2, 0;\nmov.u32 %3, 0;\n"
      "@p ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];\n}"
      : "=&r"(words[0]), "=&r"(words[1]), "=&r"(words[2]), "=&r"(words[3])
      : "l"(p), "r"(int(wanted)));
}
__device__ inline void store16_if(bool wanted, void* p, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %5, 0;\n@p st.global.v4.u32 [%4], {%0, %1, %2, %3};\n}" ::"r"(a),
               "r"(b), "r"(c), "r"(d), "l"(p), "r"(int(wanted))
               : "memory");
}
__device__ inline void store8_if(bool wanted, float* p, const float (&v)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i += 4)
    store16_if(wanted, p + i, __float_as_uint(v[i]), __float_as_uint(v[i + 1]), __float_as_uint(v[i + 2]),
               __float_as_uint(v[i + 3]));
}
__device__ inline void store8_if(bool wanted, bf16* p, const float (&v)[8]) {
  store16_if(wanted, p, pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7]));
}

// The sums of Blocks×64 rows and Columns columns that a warpgroup holds, and the part of aux that belongs to them.
//
// Straight: registers are columns as wgmma has them, pairs of neighbours. Grouped: the rows of b were put into shared
// memory in such an order (see five_axes_map in product.cu) that the eight registers 16g+4i+2h+e (i < 4, e < 2) of a
// thread are neighbours, columns 32g + 8·(lane%4) + 2i + e: four lanes read or write 64 bytes (of bfloat16) of a row,
// whole sectors, without a detour through shared memory.
template <int Blocks, int Columns, int Epilogue, class C, bool Grouped>
class Output {
 public:
  struct Target {
    C* c;
    const C* aux;
  };
  static constexpr bool fetches = Grouped && has_aux<Epilogue>;
  // Roots take half as long as the products of K = 512, so they are made behind these, in as many parts, from an aux
  // that registers hold as a whole.
  static constexpr int parts =
      fetches && Epilogue == RS_EPILOGUE_RELU2_BACKWARD && sizeof(C) == 2 ? Columns / 64 : 0;

  // The first row and column of the warpgroup's part; `lane_row` is the thread's row in the first 64.
  __device__ void place(const Target& target, int m, int n, int row, int column, int lane_row, int lane) {
    const int64_t first = int64_t(row + lane_row) * n + column + (Grouped ? 8 : 2) * (lane % 4);
    c_ = target.c + first, aux_ = target.aux + first;
    stride_ = n, rows_ = m - row - lane_row, columns_ = n - column;
  }
  // Asks for the first part of aux, long before it is needed.
  __device__ void fetch() { fetch_part(0); }
  // Turns a part of what was fetched into its roots, rounded to bfloat16 like aux itself.
  __device__ void prepare(int part) {
    uint32_t all = 0xffffffff;
#pragma unroll
    for (int block = 0; block < Blocks; block++)
#pragma unroll
      for (int half = 0; half < 2; half++)
#pragma unroll
        for (int group = 2 * part; group < 2 * part + 2; group++)
#pragma unroll
          for (int i = 0; i < words; i++) {
            uint32_t* word = &held_[block][half][group][i];
            *word = pack_bf16(square_root(element<C>(word, 0)), square_root(element<C>(word, 1)));
            all &= *word;
          }
    // A use that ptxas does not put off; else it makes the roots where they are stored.
    asm volatile("{\n.reg .pred p;\nsetp.eq.u32 p, %0, 0xffffffff;\n@p nanosleep.u32 0;\n}" ::"r"(all) : "memory");
  }
  __device__ void store(const float (&sums)[Blocks][Columns / 2]) {
    if constexpr (Grouped) {
      store_grouped(sums);
    } else {
      store_straight(sums);
    }
  }

 private:
  static constexpr int groups = Columns / 32;  // of 32 columns
  static constexpr int held_groups = sizeof(C) == 4 ? groups / 4 : groups;  // whose aux fits into registers
  static constexpr int words = 8 * sizeof(C) / 4;

  __device__ int64_t offset(int block, int half) const { return (64 * block + 8 * half) * stride_; }

  __device__ void fetch_part(int part) {
#pragma unroll
    for (int block = 0; block < Blocks; block++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const C* from = aux_ + offset(block, half) + 32 * held_groups * part;
        const bool inside = 64 * block + 8 * half < rows_;
#pragma unroll
        for (int group = 0; group < held_groups; group++) {
          uint32_t(&to)[words] = held_[block][half][group];
          const bool wanted = inside && 32 * (held_groups * part + group) < columns_;
#pragma unroll
          for (int i = 0; i < words; i += 4) load16_if(wanted, &to[i], from + 32 * group + i * 4 / sizeof(C));
        }
      }
  }

  __device__ void store_grouped(const float (&sums)[Blocks][Columns / 2]) {
#pragma unroll
    for (int part = 0; part < groups / held_groups; part++) {
      if (has_aux<Epilogue> && part > 0) fetch_part(part);
#pragma unroll
      for (int block = 0; block < Blocks; block++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
          C* to = c_ + offset(block, half) + 32 * held_groups * part;
          const bool inside = 64 * block + 8 * half < rows_;
#pragma unroll
          for (int group = 0; group < held_groups; group++) {
            float v[8];
#pragma unroll
            for (int i = 0; i < 8; i++) {
              const float x = sums[block][16 * (held_groups * part + group) + 4 * (i / 2) + 2 * half + i % 2];
              const float aux = has_aux<Epilogue> ? element<C>(held_[block][half][group], i) : 0.0f;
              v[i] = parts > 0 ? (x + x) * aux : finish<Epilogue, C>(x, aux);
            }
            store8_if(inside && 32 * (held_groups * part + group) < columns_, to + 32 * group, v);
          }
        }
    }
  }

  __device__ void store_straight(const float (&sums)[Blocks][Columns / 2]) {
#pragma unroll
    for (int block = 0; block < Blocks; block++)
#pragma unroll
      for (int half = 0; half < 2; half++)
#pragma unroll
        for (int i = 0; i < Columns / 8; i++) {
          if (64 * block + 8 * half >= rows_ || 8 * i >= columns_) continue;
          const int64_t at = offset(block, half) + 8 * i;
          const float* x = &sums[block][4 * i + 2 * half];
          const float first = has_aux<Epilogue> ? to_float(aux_[at]) : 0.0f;
          const float second = has_aux<Epilogue> ? to_float(aux_[at + 1]) : 0.0f;
          c_[at] = from_float<C>(finish<Epilogue, C>(x[0], first));
          c_[at + 1] = from_float<C>(finish<Epilogue, C>(x[1], second));
        }
  }

  C* c_;
  const C* aux_;
  int64_t stride_;
  int rows_, columns_;  // that exist from the thread's first row on, from the tile's first column on
  uint32_t held_[Blocks][2][held_groups][words];
};

}  // namespace rs::gpu::product
