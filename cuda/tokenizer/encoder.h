// Encodes many documents at a time: splits the work among threads, cuts text into pieces, and remembers the ids of short
// pieces, because words repeat. The ids depend on the documents alone.
#pragma once
#include <memory>

#include "model.h"

namespace rs::tokenizer {

class Encoder {
 public:
  Encoder(Model model, int32_t threads);
  const Model& model() const { return model_; }
  // Document i is text[ends[i−1] … ends[i]). Writes the ids of all documents one after another to `ids`, which has room
  // for one id a byte of text, and where each document's ids end to id_ends. Id is uint16_t or uint32_t and must be
  // wide enough for the vocabulary. Returns the number of ids.
  template <class Id>
  size_t encode(Id* ids, double* id_ends, const uint8_t* text, const double* ends, int64_t documents);

 private:
  // A piece of up to 31 bytes that became up to 7 ids. One cache line, overwritten by the next piece that falls on it.
  struct alignas(64) Slot {
    uint64_t key[4];  // the piece, zeros, and in the last byte its length; all zero while the slot is empty
    uint32_t ids[7];
    uint32_t count;
  };
  struct Thread {
    std::unique_ptr<Slot[]> slots;
    Model::Workspace workspace;
    std::vector<uint32_t> ids;
  };
  template <class Id>
  size_t encode_range(Id* ids, const uint8_t* begin, const uint8_t* end, const uint8_t* readable, Thread& thread);

  Model model_;
  int32_t threads_;
  std::vector<Thread> team_;
};

}  // namespace rs::tokenizer
