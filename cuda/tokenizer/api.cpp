// The tokenizer's part of the ABI: checks of buffers and handles; kernels.h is the manual.
#include "../core.h"
#include "encoder.h"
#include "trainer.h"

using namespace rs;

namespace {

// Objects behind handles of 12 bits slot (+ 1) and 20 bits generation; guarded by the lock of every call.
template <class T>
class Handles {
 public:
  explicit Handles(const char* kind) : kind_(kind) {}

  uint32_t add(std::unique_ptr<T> object) {
    size_t slot = 0;
    while (slot < slots_.size() && slots_[slot].object) slot++;
    if (slot >= 4095) fail(RS_OUT_OF_MEMORY, "4,095 objects of kind %s are open: dispose of some", kind_);
    if (slot == slots_.size()) slots_.emplace_back();
    slots_[slot].object = std::move(object);
    return slots_[slot].generation << 12 | static_cast<uint32_t>(slot + 1);
  }

  T& find(uint32_t handle) {
    Slot* slot = slot_of(handle);
    if (slot == nullptr) fail(RS_STALE, "%s %u was destroyed or never existed", kind_, handle);
    return *slot->object;
  }

  void remove(uint32_t handle) {
    find(handle);
    Slot* slot = slot_of(handle);
    slot->object.reset();
    slot->generation = (slot->generation + 1) & 0xFFFFF;
  }

 private:
  struct Slot {
    std::unique_ptr<T> object;
    uint32_t generation = 0;
  };
  Slot* slot_of(uint32_t handle) {
    const size_t index = handle & 4095;
    if (index == 0 || index > slots_.size()) return nullptr;
    Slot& slot = slots_[index - 1];
    return slot.object && slot.generation == handle >> 12 ? &slot : nullptr;
  }
  const char* kind_;
  std::vector<Slot> slots_;
};

Handles<tokenizer::Trainer>& trainers() {
  static Handles<tokenizer::Trainer> handles("trainer");
  return handles;
}

Handles<tokenizer::Encoder>& tokenizers() {
  static Handles<tokenizer::Encoder> handles("tokenizer");
  return handles;
}

// Byte ranges of a buffer, checked.
struct Documents {
  const uint8_t* text;
  const double* ends;
  int64_t count;
};

Documents documents_of(const void* text, double text_bytes, const void* ends, double ends_bytes) {
  const int64_t bytes = whole(text_bytes, "text_bytes"), table = whole(ends_bytes, "ends_bytes");
  if (table % 8 != 0) fail(RS_INVALID, "ends_bytes must be a multiple of 8, is %lld", static_cast<long long>(table));
  require_buffer(text, text_bytes, bytes, "text");
  require_buffer(ends, ends_bytes, table, "ends");
  const Documents documents{static_cast<const uint8_t*>(text), static_cast<const double*>(ends), table / 8};
  int64_t before = 0;
  for (int64_t i = 0; i < documents.count; i++) {
    const int64_t end = whole(documents.ends[i], "ends");
    if (end < before || end > bytes) fail(RS_INVALID, "ends must rise and stay within the text");
    before = end;
  }
  if (before != bytes) fail(RS_INVALID, "the last end must be the length of the text");
  return documents;
}

// Runs a body that makes a handle; 0 on failure.
template <class F>
uint32_t make(OpRecord& record, F&& body) {
  uint32_t handle = 0;
  run_op(record, [&] { handle = body(); }, true);
  return handle;
}

void require_threads(int32_t threads) {
  require_size(threads, "threads");
  if (threads > 256) fail(RS_INVALID, "threads must be at most 256, is %d", threads);
}

}  // namespace

RS_API rs_bpe_trainer rs_bpe_trainer_create(int32_t threads) {
  static OpRecord record{"bpe_trainer_create", 0, 0, nullptr, false};
  return make(record, [&] {
    require_threads(threads);
    return trainers().add(std::make_unique<tokenizer::Trainer>(threads));
  });
}

RS_API rs_status rs_bpe_trainer_destroy(rs_bpe_trainer trainer) {
  RS_RUN("bpe_trainer_destroy", [&] { trainers().remove(trainer); }, true);
}

RS_API rs_status rs_bpe_trainer_add(rs_bpe_trainer trainer, const void* text, double text_bytes, const void* ends,
                                    double ends_bytes) {
  RS_RUN("bpe_trainer_add", [&] {
    tokenizer::Trainer& object = trainers().find(trainer);
    if (object.begun()) fail(RS_INVALID, "the merges have begun, no text can be added");
    const Documents documents = documents_of(text, text_bytes, ends, ends_bytes);
    object.add(documents.text, documents.ends, documents.count);
  }, true);
}

RS_API rs_status rs_bpe_trainer_begin(rs_bpe_trainer trainer) {
  RS_RUN("bpe_trainer_begin", [&] {
    tokenizer::Trainer& object = trainers().find(trainer);
    if (object.begun()) fail(RS_INVALID, "the merges have begun already");
    object.begin();
  }, true);
}

RS_API rs_status rs_bpe_trainer_step(void* out, double out_bytes, rs_bpe_trainer trainer, int32_t merges) {
  RS_RUN("bpe_trainer_step", [&] {
    tokenizer::Trainer& object = trainers().find(trainer);
    require_buffer(out, out_bytes, 2 * sizeof(double), "out");
    require_size(merges, "merges");
    if (!object.begun()) fail(RS_INVALID, "the merges have not begun");
    object.step(merges);
    static_cast<double*>(out)[0] = static_cast<double>(object.merges().size());
    static_cast<double*>(out)[1] = object.exhausted() ? 1 : 0;
  }, true);
}

RS_API rs_tokenizer rs_tokenizer_create_trained(rs_bpe_trainer trainer, int32_t threads) {
  static OpRecord record{"tokenizer_create_trained", 0, 0, nullptr, false};
  return make(record, [&] {
    require_threads(threads);
    tokenizer::Model model(trainers().find(trainer).merges());
    return tokenizers().add(std::make_unique<tokenizer::Encoder>(std::move(model), threads));
  });
}

RS_API rs_tokenizer rs_tokenizer_create(const void* bytes, double bytes_bytes, const void* ends, double ends_bytes,
                                        int32_t threads) {
  static OpRecord record{"tokenizer_create", 0, 0, nullptr, false};
  return make(record, [&] {
    require_threads(threads);
    const Documents entries = documents_of(bytes, bytes_bytes, ends, ends_bytes);
    if (entries.count < 256) {
      fail(RS_INVALID, "a vocabulary has at least the 256 bytes, this one has %lld entries",
           static_cast<long long>(entries.count));
    }
    tokenizer::Model model(entries.text, entries.ends, entries.count);
    return tokenizers().add(std::make_unique<tokenizer::Encoder>(std::move(model), threads));
  });
}

RS_API rs_status rs_tokenizer_destroy(rs_tokenizer tokenizer) {
  RS_RUN("tokenizer_destroy", [&] { tokenizers().remove(tokenizer); }, true);
}

RS_API rs_status rs_tokenizer_sizes(void* out, double out_bytes, rs_tokenizer tokenizer) {
  RS_RUN("tokenizer_sizes", [&] {
    const tokenizer::Model& model = tokenizers().find(tokenizer).model();
    require_buffer(out, out_bytes, 2 * sizeof(double), "out");
    static_cast<double*>(out)[0] = model.entries();
    static_cast<double*>(out)[1] = static_cast<double>(model.total_bytes());
  }, true);
}

RS_API rs_status rs_tokenizer_entries(void* bytes, double bytes_bytes, void* ends, double ends_bytes,
                                      rs_tokenizer tokenizer) {
  RS_RUN("tokenizer_entries", [&] {
    const tokenizer::Model& model = tokenizers().find(tokenizer).model();
    require_buffer(bytes, bytes_bytes, static_cast<int64_t>(model.total_bytes()), "bytes");
    require_buffer(ends, ends_bytes, int64_t{model.entries()} * 8, "ends");
    model.write_bytes(static_cast<uint8_t*>(bytes));
    double end = 0;
    for (uint32_t id = 0; id < model.entries(); id++) static_cast<double*>(ends)[id] = end += model.length(id);
  }, true);
}

RS_API rs_status rs_tokenizer_merges(void* merges, double merges_bytes, rs_tokenizer tokenizer) {
  RS_RUN("tokenizer_merges", [&] {
    const tokenizer::Model& model = tokenizers().find(tokenizer).model();
    require_buffer(merges, merges_bytes, static_cast<int64_t>(model.merges().size()) * 8, "merges");
    uint32_t* out = static_cast<uint32_t*>(merges);
    for (const auto& [a, b] : model.merges()) *out++ = a, *out++ = b;
  }, true);
}

RS_API rs_status rs_tokenizer_encode(void* ids, double ids_bytes, void* id_ends, double id_ends_bytes, const void* text,
                                     double text_bytes, const void* ends, double ends_bytes, rs_tokenizer tokenizer,
                                     int32_t id_bytes) {
  RS_RUN("tokenizer_encode", [&] {
    tokenizer::Encoder& encoder = tokenizers().find(tokenizer);
    if (id_bytes != 2 && id_bytes != 4) fail(RS_INVALID, "id_bytes must be 2 or 4, is %d", id_bytes);
    if (id_bytes == 2 && encoder.model().entries() > 65536) {
      fail(RS_INVALID, "%u entries do not fit ids of 2 bytes", encoder.model().entries());
    }
    const Documents documents = documents_of(text, text_bytes, ends, ends_bytes);
    require_buffer(ids, ids_bytes, whole(text_bytes, "text_bytes") * id_bytes, "ids");
    require_buffer(id_ends, id_ends_bytes, documents.count * 8, "id_ends");
    double* out_ends = static_cast<double*>(id_ends);
    if (id_bytes == 2) {
      encoder.encode(static_cast<uint16_t*>(ids), out_ends, documents.text, documents.ends, documents.count);
    } else {
      encoder.encode(static_cast<uint32_t*>(ids), out_ends, documents.text, documents.ends, documents.count);
    }
  }, true);
}
