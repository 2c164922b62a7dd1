// The choices of plans.cpp as text of lines: what they hold for, then the products, then which kernel takes a shape.
// An algorithm is the vendor's 64 bytes, good for one version of the library and one kind of GPU, which the first line
// names; other text is refused before anything of it is taken over.
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "plans.h"
#include "stream.h"

namespace rs {

namespace gpu {

namespace {

constexpr const char* kFormat = "researchswarm-plans 1 ";

const char* type_name(int32_t type) { return type == RS_BF16 ? "bf16" : "f32"; }
int32_t type_of(const char* name) { return std::string(name) == "bf16" ? RS_BF16 : RS_F32; }

size_t library_version() {
  try {
    return lt::library().version;
  } catch (const Error&) {
    return 0;  // choices between kernels of our own may still be kept
  }
}

std::string first_line() {
  int device = 0;
  cudaDeviceProp properties;
  check_cuda(cudaGetDevice(&device), "device");
  check_cuda(cudaGetDeviceProperties(&properties, device), "device");
  return kFormat + ("cublaslt " + std::to_string(library_version())) + " sm_" +
         std::to_string(properties.major * 10 + properties.minor) + " " + properties.name;
}

std::string kernel_line(const KernelShape& shape, bool own) {
  char text[96];
  snprintf(text, sizeof text, "kernel %s n %d k %d epilogue %d %s", type_name(shape.c_type), shape.n, shape.k,
           shape.epilogue, own ? "own" : "cublaslt");
  return text;
}

// Each of the two reads a line and takes it over into `to`; true if writing it again gives the very same line.
bool read_product(const std::string& line, Plans& to) {
  PlanShape s{};
  PlanChoice choice{true, false, {}};
  char type[8], c_type[8], trans_a, trans_b, algorithm[136];
  if (sscanf(line.c_str(), "product %7s to %7s %c%c batch %d m %d n %d k %d add %d one %d%*1[,]%d %135s", type, c_type,
             &trans_a, &trans_b, &s.batch, &s.m, &s.n, &s.k, &s.add, &s.one_a, &s.one_b, algorithm) != 12) {
    return false;
  }
  s.type = type_of(type), s.c_type = type_of(c_type), s.trans_a = trans_a == 't', s.trans_b = trans_b == 't';
  choice.any = std::string(algorithm) != "none";
  const auto flag = [](int32_t x) { return x == 0 || x == 1; };
  if (s.batch < 1 || s.m < 0 || s.n < 1 || s.k < 1 || !flag(s.add) || !flag(s.one_a) || !flag(s.one_b)) return false;
  if (choice.any && std::strlen(algorithm) != 8 * 16) return false;
  for (int i = 0; choice.any && i < 8; i++) {
    if (sscanf(algorithm + 16 * i, "%16" SCNx64, &choice.algorithm.words[i]) != 1) return false;
  }
  return to.choices.emplace(s, choice).second && plan_line(s, choice) == line;
}

bool read_kernel(const std::string& line, Plans& to) {
  KernelShape s{};
  char c_type[8], which[16];
  if (sscanf(line.c_str(), "kernel %7s n %d k %d epilogue %d %15s", c_type, &s.n, &s.k, &s.epilogue, which) != 5) {
    return false;
  }
  s.c_type = type_of(c_type);
  const bool own = std::string(which) == "own";
  if (s.n < 1 || s.k < 1 || s.epilogue < 0 || s.epilogue > 3) return false;
  // An epilogue that only our own kernel has can't be left to the library.
  if (!own && s.epilogue != RS_EPILOGUE_NONE && s.epilogue != RS_EPILOGUE_ADD_AUX) return false;
  return to.kernels.emplace(s, own).second && kernel_line(s, own) == line;
}

}  // namespace

std::string plan_line(const PlanShape& s, const PlanChoice& choice) {
  char text[320];
  int length = snprintf(text, sizeof text, "product %s to %s %c%c batch %d m %d n %d k %d add %d one %d,%d ",
                        type_name(s.type), type_name(s.c_type), s.trans_a ? 't' : 'n', s.trans_b ? 't' : 'n', s.batch,
                        s.m, s.n, s.k, s.add, s.one_a, s.one_b);
  if (!choice.any) return std::string(text) + "none";
  for (const uint64_t word : choice.algorithm.words) {
    length += snprintf(text + length, sizeof text - size_t(length), "%016" PRIx64, word);
  }
  return text;
}

}  // namespace gpu

using namespace gpu;

std::string device_plans() {
  const Plans& all = plans();
  if (all.choices.empty() && all.kernels.empty()) return {};
  std::string text = first_line() + "\n";
  for (const auto& [shape, choice] : all.choices) text += plan_line(shape, choice) + "\n";
  for (const auto& [shape, own] : all.kernels) text += kernel_line(shape, own) + "\n";
  return text;
}

void device_set_plans(const std::string& text) {
  Plans read;
  size_t at = 0;
  for (int number = 1; at < text.size(); number++) {
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) fail(RS_INVALID, "line %d of the plans is cut off", number);
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (number == 1) {
      if (line.rfind(kFormat, 0) != 0) fail(RS_INVALID, "these are no plans of this format");
      const std::string here = first_line();
      if (line != here) {
        fail(RS_INVALID, "the plans were made for another library or GPU: \"%.150s\", and this is \"%.150s\"",
             line.c_str(), here.c_str());
      }
    } else if (!line.empty() && line[0] != '#' && !read_product(line, read) && !read_kernel(line, read)) {
      fail(RS_INVALID, "line %d of the plans is malformed: \"%.100s\"", number, line.c_str());
    }
  }
  Plans& all = plans();
  all.choices.swap(read.choices);
  all.kernels.swap(read.kernels);
  all.made.clear();  // recorded steps may still hold what they point to
}

void device_measure_plans(bool on) { plans().measuring = on; }

}  // namespace rs
