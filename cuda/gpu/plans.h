// Which algorithm multiplies what: chosen once for each shape, by cuBLASLt's heuristic or by measurement, kept, and
// written and read as text. The choice decides on bits, so it is part of what a result depends on.
#pragma once
#include <map>
#include <string>

#include "cublaslt.h"
#include "hopper/product.h"
#include "products.h"

namespace rs::gpu {

// All of a call of cuBLASLt beside addresses and factors. Never freed: recorded steps hold it.
struct ProductPlan {
  lt::Operation* operation;
  lt::Layout *a, *b, *c;  // row-major matrices as the library sees them: column-major ones, transposed
  lt::Algorithm algorithm;
  size_t workspace;    // bytes
  bool adds_elsewhere;  // whether `add` may be another matrix than c
};

// Sizes that cuBLASLt's fast kernels take: rows of whole groups of eight elements. M counts only where it is a row's
// length.
bool fits_library(const Product& product);
// Rows of c that one call may make where they are independent: no matrix of it has 2^31 elements, and no grid of the
// library's kernels is too long.
int32_t rows_at_once(const Product& product);
// The plan of a product that fits and whose addresses are multiples of 16; nullptr where the library has no algorithm.
const ProductPlan* find_plan(const Product& product);
// Whether a product that hopper_product takes is left to it. Products that end in an epilogue of its own always are.
bool prefers_own_kernel(const HopperProduct& product);

// ---- between plans.cpp and plans_text.cpp ----

// What a choice is made for. m is 0 where it may not depend on M, and batch the one that stands for all; one_a and
// one_b: the whole batch has one a, one b.
struct PlanShape {
  int32_t type, c_type, trans_a, trans_b, batch, m, n, k, add, one_a, one_b;
};
struct PlanChoice {
  bool any;      // whether the library has an algorithm at all
  bool checked;  // whether the library accepted it here
  lt::Algorithm algorithm;
};
// What hopper_product and cuBLASLt compete for; an epilogue of RS_EPILOGUE_….
struct KernelShape {
  int32_t c_type, n, k, epilogue;
};
// All that a plan depends on.
struct ExactShape {
  PlanShape shape;
  int32_t batch, m;
  int64_t stride_a, stride_b, stride_c;
};
bool operator<(const PlanShape& left, const PlanShape& right);
bool operator<(const KernelShape& left, const KernelShape& right);
bool operator<(const ExactShape& left, const ExactShape& right);

struct Plans {
  std::map<PlanShape, PlanChoice> choices;
  std::map<KernelShape, bool> kernels;  // whether it is our own
  std::map<ExactShape, const ProductPlan*> made;
  bool measuring = false;
};
Plans& plans();
// The choice as a line of text, without the line's end.
std::string plan_line(const PlanShape& shape, const PlanChoice& choice);

}  // namespace rs::gpu
