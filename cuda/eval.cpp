// The ABI's scoring: losses of logits against targets that never become tensors, and the sums of bits per byte.
#include <cmath>
#include <cstring>
#include <vector>

#include "core.h"

using namespace rs;

namespace {

// A private copy of the caller's targets, each −1 or inside the vocabulary: the buffer could change during the call.
std::vector<int32_t> read_targets(const void* targets, double targets_bytes, int32_t n, int32_t v) {
  require_buffer(targets, targets_bytes, int64_t{n} * 4, "targets");
  std::vector<int32_t> copy(size_t(n), 0);
  if (n > 0) std::memcpy(copy.data(), targets, copy.size() * sizeof(int32_t));
  for (int32_t i = 0; i < n; i++) {
    if (copy[size_t(i)] < -1 || copy[size_t(i)] >= v) {
      fail(RS_INVALID, "target %d is %d, outside −1…%d", i, copy[size_t(i)], v - 1);
    }
  }
  return copy;
}

}  // namespace

RS_API rs_status rs_score_logits(void* nats, double nats_bytes, void* hashes, double hashes_bytes, const void* targets,
                                 double targets_bytes, const void* key, double key_bytes, rs_tensor logits, int32_t n,
                                 int32_t v) {
  RS_RUN("score_logits", [&] {
    require_size(n, "n");
    require_size(v, "v", 1);
    require_buffer(nats, nats_bytes, int64_t{n} * 4, "nats");
    require_buffer(hashes, hashes_bytes, int64_t{n} * 8, "hashes");
    uint64_t words[2];
    require_buffer(key, key_bytes, sizeof words, "key");
    std::memcpy(words, key, sizeof words);
    const std::vector<int32_t> wanted = read_targets(targets, targets_bytes, n, v);
    Arguments args;
    const Tensor* input = args.in(logits, "logits", product({n, v}));
    args.ready();
    // Into memory of our own first, so that a failure leaves the caller's buffers alone.
    std::vector<float> losses(size_t(n), 0.0f);
    std::vector<uint64_t> marks(size_t(n), 0);
    if (n > 0) {
      device_ops().score_logits(losses.data(), marks.data(), wanted.data(), words, input, n, v);
      std::memcpy(nats, losses.data(), losses.size() * sizeof(float));
      std::memcpy(hashes, marks.data(), marks.size() * sizeof(uint64_t));
    }
  });
}

RS_API rs_status rs_bits_per_byte_sums(void* out, double out_bytes, const void* nats, double nats_bytes,
                                       const void* targets, double targets_bytes, const void* token_bytes,
                                       double token_bytes_bytes, int32_t n, int32_t v) {
  RS_RUN("bits_per_byte_sums", [&] {
    require_size(n, "n");
    require_size(v, "v", 1);
    require_buffer(out, out_bytes, 2 * sizeof(double), "out");
    require_buffer(nats, nats_bytes, int64_t{n} * 4, "nats");
    require_buffer(token_bytes, token_bytes_bytes, int64_t{v} * 2, "token_bytes");
    const std::vector<int32_t> wanted = read_targets(targets, targets_bytes, n, v);
    double sums[2] = {0, 0};
    for (int32_t i = 0; i < n; i++) {
      if (wanted[size_t(i)] < 0) continue;
      // The caller's buffers need not be aligned.
      uint16_t bytes;
      const size_t token = size_t(wanted[size_t(i)]);
      std::memcpy(&bytes, static_cast<const char*>(token_bytes) + token * sizeof bytes, sizeof bytes);
      if (bytes == 0) continue;
      float loss;
      std::memcpy(&loss, static_cast<const char*>(nats) + size_t(i) * sizeof loss, sizeof loss);
      sums[0] += double(loss);
      sums[1] += double(bytes);
    }
    std::memcpy(out, sums, sizeof sums);
  });
}
