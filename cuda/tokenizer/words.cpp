#include "words.h"

#include <cstring>

#include "../impl.h"
#include "split.h"

namespace rs::tokenizer {
namespace {

uint64_t mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// The multiply-and-fold scheme of wyhash (public domain), eight bytes at a time.
uint64_t hash_bytes(const uint8_t* p, size_t n) {
  uint64_t h = 0xa0761d6478bd642full ^ n;
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = mix(h ^ word, 0xe7037ed1a0b428dbull);
  }
  if (n) {
    uint64_t word = 0;
    std::memcpy(&word, p, n);
    h = mix(h ^ word, 0x8ebc6af09c88c6e3ull);
  }
  return mix(h, 0x589965cc75374cc3ull);
}

}  // namespace

void WordCounts::add(const uint8_t* word, size_t length, int64_t count) {
  if ((words_.size() + 1) * 2 > slots_.size()) grow();
  const uint64_t hash = hash_bytes(word, length);
  const uint32_t tag = static_cast<uint32_t>(hash >> 32);
  const size_t mask = slots_.size() - 1;
  for (size_t slot = tag & mask;; slot = (slot + 1) & mask) {
    const uint32_t index = slots_[slot];
    if (index == 0) {
      if (words_.size() >= 0xFFFFFFFEu) throw Error{RS_OUT_OF_MEMORY, "the text has more than 2^32 different words"};
      const size_t offset = bytes_.size();
      bytes_.insert(bytes_.end(), word, word + length);
      words_.push_back({offset, static_cast<uint32_t>(length), tag, count});
      slots_[slot] = static_cast<uint32_t>(words_.size());
      return;
    }
    Word& known = words_[index - 1];
    if (known.tag == tag && known.length == length && std::memcmp(bytes_.data() + known.offset, word, length) == 0) {
      known.count += count;
      return;
    }
  }
}

void WordCounts::grow() {
  const size_t size = slots_.empty() ? size_t(1) << 12 : slots_.size() * 2;
  slots_.assign(size, 0);
  for (size_t i = 0; i < words_.size(); i++) {
    size_t slot = words_[i].tag & (size - 1);
    while (slots_[slot]) slot = (slot + 1) & (size - 1);
    slots_[slot] = static_cast<uint32_t>(i + 1);
  }
}

void WordCounts::add_text(const uint8_t* begin, const uint8_t* end) {
  while (begin < end) {
    const uint8_t* stop = next_piece(begin, end);
    const size_t length = static_cast<size_t>(stop - begin);
    if (length > 0xFFFFFFF0u) throw Error{RS_UNSUPPORTED, "a piece of the text is longer than 2^32 bytes"};
    add(begin, length, 1);
    begin = stop;
  }
}

void WordCounts::take(WordCounts& other) {
  for (const Word& word : other.words_) add(other.bytes_.data() + word.offset, word.length, word.count);
  other.clear();
}

void WordCounts::clear() {
  words_ = {};
  bytes_ = {};
  slots_ = {};
}

}  // namespace rs::tokenizer
