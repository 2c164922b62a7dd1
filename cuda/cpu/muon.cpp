// Muon for a batch of matrices of one shape: Nesterov momentum, Polar Express, variance normalisation, cautious decay.
#include <algorithm>
#include <cmath>
#include <vector>

#include "../impl.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

// Coefficients of the first five iterations of Polar Express (arXiv:2505.16932).
static const float kPolar[5][3] = {
    {8.156554524902461f, -22.48329292557795f, 15.878769915207462f},
    {4.042929935166739f, -2.808917465908714f, 0.5000178451051316f},
    {3.8916678022926607f, -2.772484153217685f, 0.5060648178503393f},
    {3.285753657755655f, -2.3681294933425376f, 0.46449024233003106f},
    {2.3465413258596377f, -1.7097828382687081f, 0.42323551169305323f},
};

void muon_step(const MuonRow* rows, int32_t tensors, int32_t height, int32_t width, int32_t iterations,
               const Tensor* scalars, int32_t offset) {
  const float* s = scalars->f32() + offset;
  const float lr = s[0], mu = s[1], beta2 = s[2], decay = s[3];
  const bool tall = height > width;
  const int64_t size = int64_t(height) * width, small = tall ? width : height;
  parallel_for(tensors, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t t = begin; t < end; ++t) {
      float *p = rows[t].p->f32(), *momentum = rows[t].momentum->f32(), *second = rows[t].second->f32();
      const float* g = rows[t].g->f32();
      std::vector<float> x(size), y(size), a(small * small), b(small * small);
      double norm = 0;
      for (int64_t i = 0; i < size; ++i) {
        momentum[i] += (1 - mu) * (g[i] - momentum[i]);
        x[i] = g[i] + mu * (momentum[i] - g[i]);
        norm += double(x[i]) * x[i];
      }
      const float scale = 1 / (std::sqrt(norm) * 1.02 + 1e-6);
      for (float& value : x) value *= scale;
      for (int32_t round = 0; round < iterations; ++round) {
        const float* q = kPolar[round];
        auto at = [&](int64_t i, int64_t l) { return tall ? x[l * width + i] : x[i * width + l]; };
        const int64_t length = tall ? height : width;
        for (int64_t i = 0; i < small; ++i)
          for (int64_t j = 0; j < small; ++j) {
            float sum = 0;
            for (int64_t l = 0; l < length; ++l) sum += at(i, l) * at(j, l);
            a[i * small + j] = sum;
          }
        for (int64_t i = 0; i < small; ++i)
          for (int64_t j = 0; j < small; ++j) {
            float sum = 0;
            for (int64_t l = 0; l < small; ++l) sum += a[i * small + l] * a[l * small + j];
            b[i * small + j] = q[1] * a[i * small + j] + q[2] * sum;
          }
        for (int64_t i = 0; i < height; ++i)
          for (int64_t j = 0; j < width; ++j) {
            float sum = 0;
            if (tall)
              for (int64_t l = 0; l < small; ++l) sum += x[i * width + l] * b[l * small + j];
            else
              for (int64_t l = 0; l < small; ++l) sum += b[i * small + l] * x[l * width + j];
            y[i * width + j] = q[0] * x[i * width + j] + sum;
          }
        x.swap(y);
      }
      if (beta2 > 0) {
        const bool by_row = height >= width;
        const int64_t lines = by_row ? height : width, length = by_row ? width : height;
        double before = 0, after = 0;
        std::vector<float> factor(lines);
        for (int64_t i = 0; i < lines; ++i) {
          double sum = 0;
          for (int64_t l = 0; l < length; ++l) {
            const float value = by_row ? x[i * width + l] : x[l * width + i];
            sum += double(value) * value;
          }
          const float mean = sum / length;
          second[i] += (1 - beta2) * (mean - second[i]);
          factor[i] = 1 / std::sqrt(std::max(second[i], 1e-10f));
          before += sum;
          after += sum * factor[i] * factor[i];
        }
        const float keep = std::sqrt(before) / std::max(std::sqrt(after), 1e-10);
        for (int64_t i = 0; i < size; ++i) x[i] *= factor[by_row ? i / width : i % width] * keep;
      }
      for (int64_t i = 0; i < size; ++i) {
        const float u = x[i];
        p[i] -= lr * u + (u * p[i] >= 0 ? lr * decay * p[i] : 0);
      }
    }
  });
  count_operations(double(tensors) * iterations * (1.0 * small * small * small + 3.0 * size * small));
}

}  // namespace rs::RS_BACKEND
