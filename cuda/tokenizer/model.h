// A vocabulary of byte pairs: entry b < 256 is the byte b, entry 256 + i is made of two earlier entries. Encoding merges,
// again and again, the leftmost of the neighbouring pairs whose entry has the lowest id. Knows nothing of special tokens:
// those have ids behind the last entry and never come from text.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace rs::tokenizer {

constexpr uint32_t kNoEntry = 0xFFFFFFFF;

class Model {
 public:
  using Merges = std::vector<std::pair<uint32_t, uint32_t>>;
  explicit Model(Merges merges);
  // From the bytes of each entry, entry i being bytes[ends[i−1] … ends[i]). Throws when the first 256 are not the single
  // bytes in order, or an entry is not what encoding its bytes with the entries before it leaves as two.
  Model(const uint8_t* bytes, const double* ends, int64_t entries);

  uint32_t entries() const { return static_cast<uint32_t>(lengths_.size()); }
  const Merges& merges() const { return merges_; }
  uint32_t length(uint32_t id) const { return lengths_[id]; }  // bytes
  size_t total_bytes() const;
  // Writes the bytes of all entries, one after another.
  void write_bytes(uint8_t* out) const;

  // Memory that encoding of one thread reuses from piece to piece.
  struct Workspace {
    std::vector<uint32_t> tokens;
    struct Place {
      uint32_t place, next;
    };
    std::vector<Place> places;
    std::vector<uint32_t> first, last;  // of the places of an entry, by id
    std::vector<uint64_t> waiting;      // bit i: entry i has places
  };
  // Encodes one piece of n ≥ 1 bytes into out, which has room for n ids; returns how many there are. Time grows with n,
  // not with its square.
  size_t encode_piece(uint32_t* out, const uint8_t* piece, size_t n, Workspace& workspace) const;

 private:
  uint32_t find(uint32_t a, uint32_t b) const;
  void add(uint32_t a, uint32_t b);
  size_t encode_short(uint32_t* out, const uint8_t* piece, size_t n) const;
  size_t encode_long(uint32_t* out, const uint8_t* piece, size_t n, Workspace& workspace) const;

  struct Slot {
    uint32_t a, b, id;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> lengths_;
  Merges merges_;
};

}  // namespace rs::tokenizer
