#include "model.h"

#include <cstring>
#include <string>

#include "../impl.h"

namespace rs::tokenizer {
namespace {

// Up to here the quadratic search for the lowest pair is faster than the queue.
constexpr size_t kShortPiece = 48;
constexpr uint32_t kInside = 0xFFFFFFFE;
constexpr uint32_t kEnd = 0xFFFFFFFF;

}  // namespace

Model::Model(Merges merges) : lengths_(256, 1) {
  size_t size = 1024;
  while (size < merges.size() * 3) size *= 2;
  slots_.assign(size, {0, 0, kNoEntry});
  for (const auto& [a, b] : merges) {
    if (a >= entries() || b >= entries()) throw Error{RS_INVALID, "a merge names an entry that does not exist yet"};
    add(a, b);
  }
}

Model::Model(const uint8_t* bytes, const double* ends, int64_t entries) : Model(Merges{}) {
  size_t size = 1024;
  while (size < static_cast<size_t>(entries) * 3) size *= 2;
  slots_.assign(size, {0, 0, kNoEntry});
  std::vector<uint32_t> ids;
  Workspace workspace;
  size_t begin = 0;
  for (int64_t i = 0; i < entries; i++) {
    const size_t end = static_cast<size_t>(ends[i]), n = end - begin;
    if (i < 256) {
      if (n != 1 || bytes[begin] != i) {
        throw Error{RS_INVALID, "entry " + std::to_string(i) + " must be the byte " + std::to_string(i)};
      }
    } else {
      if (n < 2) throw Error{RS_INVALID, "entry " + std::to_string(i) + " must have two bytes or more"};
      ids.resize(n);
      if (encode_piece(ids.data(), bytes + begin, n, workspace) != 2) {
        throw Error{RS_INVALID, "entry " + std::to_string(i) + " is no merge of two entries before it"};
      }
      add(ids[0], ids[1]);
    }
    begin = end;
  }
}

void Model::add(uint32_t a, uint32_t b) {
  const size_t mask = slots_.size() - 1;
  const uint64_t key = (static_cast<uint64_t>(a) << 32 | b) * 0x9e3779b97f4a7c15ull;
  size_t slot = (key >> 32) & mask;
  while (slots_[slot].id != kNoEntry) {
    if (slots_[slot].a == a && slots_[slot].b == b) throw Error{RS_INVALID, "two entries are the same merge"};
    slot = (slot + 1) & mask;
  }
  slots_[slot] = {a, b, entries()};
  merges_.emplace_back(a, b);
  lengths_.push_back(lengths_[a] + lengths_[b]);
}

inline uint32_t Model::find(uint32_t a, uint32_t b) const {
  const size_t mask = slots_.size() - 1;
  const uint64_t key = (static_cast<uint64_t>(a) << 32 | b) * 0x9e3779b97f4a7c15ull;
  for (size_t slot = (key >> 32) & mask;; slot = (slot + 1) & mask) {
    const Slot& found = slots_[slot];
    if ((found.a == a && found.b == b) || found.id == kNoEntry) return found.id;
  }
}

size_t Model::total_bytes() const {
  size_t total = 0;
  for (uint32_t length : lengths_) total += length;
  return total;
}

void Model::write_bytes(uint8_t* out) const {
  std::vector<const uint8_t*> start(entries());
  for (uint32_t id = 0; id < entries(); id++) {
    start[id] = out;
    if (id < 256) {
      *out++ = static_cast<uint8_t>(id);
      continue;
    }
    for (uint32_t part : {merges_[id - 256].first, merges_[id - 256].second}) {
      std::memcpy(out, start[part], lengths_[part]);
      out += lengths_[part];
    }
  }
}

size_t Model::encode_piece(uint32_t* out, const uint8_t* piece, size_t n, Workspace& workspace) const {
  return n <= kShortPiece ? encode_short(out, piece, n) : encode_long(out, piece, n, workspace);
}

size_t Model::encode_short(uint32_t* out, const uint8_t* piece, size_t n) const {
  uint32_t merged[kShortPiece];  // entry of the pair (i, i + 1)
  for (size_t i = 0; i < n; i++) out[i] = piece[i];
  for (size_t i = 0; i + 1 < n; i++) merged[i] = find(out[i], out[i + 1]);
  while (n > 1) {
    uint32_t lowest = kNoEntry;
    size_t at = 0;
    for (size_t i = 0; i + 1 < n; i++) {
      if (merged[i] < lowest) lowest = merged[i], at = i;
    }
    if (lowest == kNoEntry) break;
    out[at] = lowest;
    n--;
    std::memmove(out + at + 1, out + at + 2, (n - at - 1) * sizeof(uint32_t));
    if (at + 1 < n) {
      std::memmove(merged + at + 1, merged + at + 2, (n - at - 1) * sizeof(uint32_t));
      merged[at] = find(lowest, out[at + 1]);
    }
    if (at > 0) merged[at - 1] = find(out[at - 1], lowest);
  }
  return n;
}

// A pair that holds entry e has a higher id than e, so while entry e is made no place of a lower entry appears: the
// entries are worked off in rising order, each from left to right, and every place is looked at once. Tokens lie in place
// as in the trainer: the first and the last byte hold the id; a first byte that was swallowed holds kInside.
size_t Model::encode_long(uint32_t* out, const uint8_t* piece, size_t n, Workspace& workspace) const {
  if (n >= 0x50000000u) throw Error{RS_UNSUPPORTED, "a piece of the text is longer than 1.3 GB"};
  std::vector<uint32_t>& tokens = workspace.tokens;
  std::vector<Workspace::Place>& places = workspace.places;
  tokens.resize(n + 2);
  places.clear();
  workspace.first.resize(entries());
  workspace.last.resize(entries());
  workspace.waiting.resize((entries() + 63) / 64, 0);
  auto wait = [&](uint32_t id, size_t place) {
    if (id == kNoEntry) return;
    const uint32_t index = static_cast<uint32_t>(places.size());
    places.push_back({static_cast<uint32_t>(place), kEnd});
    const uint64_t bit = uint64_t(1) << (id & 63);
    if (workspace.waiting[id >> 6] & bit) {
      places[workspace.last[id]].next = index;
    } else {
      workspace.waiting[id >> 6] |= bit;
      workspace.first[id] = index;
    }
    workspace.last[id] = index;
  };
  tokens[0] = tokens[n + 1] = kEnd;
  for (size_t i = 0; i < n; i++) tokens[i + 1] = piece[i];
  for (size_t i = 1; i < n; i++) wait(find(tokens[i], tokens[i + 1]), i);
  for (size_t word = 0; word < workspace.waiting.size(); word++) {
    while (workspace.waiting[word]) {
      const uint32_t made = static_cast<uint32_t>(word * 64 + __builtin_ctzll(workspace.waiting[word]));
      const uint32_t a = merges_[made - 256].first, b = merges_[made - 256].second;
      const uint32_t length_a = lengths_[a], length_b = lengths_[b];
      for (uint32_t i = workspace.first[made]; i != kEnd; i = places[i].next) {
        const size_t p = places[i].place, q = p + length_a, after = q + length_b;
        if (tokens[p] != a || tokens[q] != b) continue;
        tokens[q] = kInside;
        tokens[p] = made;
        tokens[after - 1] = made;
        if (tokens[p - 1] != kEnd) wait(find(tokens[p - 1], made), p - lengths_[tokens[p - 1]]);
        if (tokens[after] != kEnd) wait(find(made, tokens[after]), p);
      }
      workspace.waiting[word] &= workspace.waiting[word] - 1;
    }
  }
  size_t count = 0;
  for (size_t i = 1; i <= n; i += lengths_[out[count - 1]]) out[count++] = tokens[i];
  return count;
}

}  // namespace rs::tokenizer
