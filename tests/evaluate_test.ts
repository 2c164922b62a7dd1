// trainer/data/evaluate.ts: bits per byte against a float64 reference, whatever the batches.
import assert from "node:assert/strict";
import { bitsPerByte, evaluateBpb, inputsAndTargets, scoreLogits } from "../trainer/data/evaluate.ts";
import { xoshiro128 } from "../trainer/data/order.ts";
import { Tensor } from "../trainer/tensor.ts";
import { testLibrary } from "./_library.ts";

const [T, V, ROWS] = [7, 50, 11];
const next = xoshiro128(3);
const tokenBytes = Uint16Array.from({ length: V }, (_, id) => id >= V - 2 ? 0 : 1 + id % 4);
const rows = Uint16Array.from({ length: ROWS * (T + 1) }, (_, i) => i % (T + 1) === 0 ? V - 1 : next() % V);

/** Logits of a model that knows a token and its position. */
const logit = (token: number, position: number, entry: number) => 3 * Math.sin(token * 7 + position * 3 + entry * 11);

/** Calls a model batch by batch and frees what it made. */
function model(batches: number[] = []) {
  let last: Tensor | null = null;
  return (tokens: Int32Array, count: number) => {
    last?.dispose();
    batches.push(count);
    const data = new Float32Array(count * T * V);
    for (let i = 0; i < count * T; i++) {
      for (let entry = 0; entry < V; entry++) data[i * V + entry] = logit(tokens[i], i % T, entry);
    }
    last = Tensor.from(data, [count, T, V]);
    return last.handle;
  };
}

Deno.test("evaluateBpb() is Σ nats / (ln 2 · Σ bytes) without special tokens, as float64 computes it", async () => {
  testLibrary();
  let [nats, bytes] = [0, 0];
  const { inputs, targets } = inputsAndTargets(rows, T);
  targets.forEach((target, i) => {
    if (tokenBytes[target] === 0) return;
    const logits = Array.from({ length: V }, (_, entry) => Math.fround(logit(inputs[i], i % T, entry)));
    nats += Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0)) - logits[target];
    bytes += tokenBytes[target];
  });
  const batches: number[] = [];
  const result = await evaluateBpb(model(batches), rows, { sequenceLength: T, tokenBytes, batchRows: 4 });
  assert.deepEqual(batches, [4, 4, 3]);
  assert.equal(result.bytes, bytes);
  // float32 cross entropies of about 4 nats: each is within a few units of 2⁻²².
  assert(Math.abs(result.nats / nats - 1) < 2e-6, `${result.nats} against ${nats}`);
  assert.equal(result.bitsPerByte, result.nats / (Math.LN2 * result.bytes));
  assert.equal(result.rows.length, ROWS);
});

Deno.test("evaluateBpb() gives the same bits in batches of any size", async () => {
  testLibrary();
  const options = { sequenceLength: T, tokenBytes };
  const whole = await evaluateBpb(model(), rows, { ...options, batchRows: ROWS });
  for (const batchRows of [1, 2, 5]) {
    const parts = await evaluateBpb(model(), rows, { ...options, batchRows });
    assert.deepEqual(parts, whole);
  }
  assert.equal(new Set(whole.hashes).size > ROWS, true, "hashes tell positions apart");
});

Deno.test("bits per byte of no text and rows that are cut are errors", () => {
  assert.throws(() => bitsPerByte({ nats: 1, bytes: 0 }), /no target is text/);
  assert.throws(() => inputsAndTargets(rows.subarray(1), T), /are not whole rows of 8/);
});

/** Hashes of rows of `v` numbers with these bits. */
function hashes(bits: Uint32Array<ArrayBuffer>, v: number, key: Uint8Array<ArrayBuffer>): BigUint64Array {
  testLibrary();
  using logits = Tensor.from(new Float32Array(bits.buffer), [bits.length / v, v]);
  return scoreLogits(logits.handle, new Int32Array(bits.length / v).fill(-1), v, key).hashes;
}

const countingKey = Uint8Array.from({ length: 16 }, (_, i) => i);

Deno.test("scoreLogits() hashes with SipHash-2-4: the vectors that its authors published, in any place of a batch", () => {
  // vectors_sip64 of the reference implementation (https://github.com/veorq/SipHash): message 00 01 02 …, key 00 … 0f.
  const published: [bytes: number, hash: bigint][] = [
    [4, 0xcf2794e0277187b7n],
    [8, 0x93f5f5799a932462n],
    [12, 0x751e8fbc860ee5fbn],
  ];
  for (const [bytes, hash] of published) {
    const message = Uint8Array.from({ length: 7 * bytes }, (_, i) => i % bytes);
    assert.deepEqual([...hashes(new Uint32Array(message.buffer), bytes / 4, countingKey)], Array(7).fill(hash));
  }
});

Deno.test("scoreLogits() tells rows apart that collide in a chain of public multiplications, and depends on the key", () => {
  // What the hash was before: state' = mix((state ^ bits) · odd). Whoever knows the state cancels a change of one word by
  // a change of the word that follows in the same chain, here 8 numbers later.
  const odd = 0x9E3779B97F4A7C15n;
  const mixed = (state: bigint, word: bigint) => {
    const product = BigInt.asUintN(64, (state ^ word) * odd);
    return product ^ product >> 32n;
  };
  const [first, second, other] = [0x3f8000003f800000n, 0x3f0000003f000000n, 0x4000000040000000n];
  const cancelled = mixed(1n, first) ^ second ^ mixed(1n, other);
  assert.equal(mixed(mixed(1n, first), second), mixed(mixed(1n, other), cancelled), "the attack is one");
  const words = (values: [bigint, bigint]) => {
    const row = new BigUint64Array(8);
    [row[0], row[4]] = values;
    return [...new Uint32Array(row.buffer)];
  };
  const rows = Uint32Array.from([...words([first, second]), ...words([other, cancelled])]);
  const [one, two] = hashes(rows, 16, countingKey);
  assert.notEqual(one, two);
  assert.notEqual(one, hashes(rows, 16, new Uint8Array(16))[0]);
});

Deno.test("scoreLogits() takes a key of 16 bytes and no other", () => {
  for (const length of [0, 8, 15, 17, 32]) {
    assert.throws(() => hashes(new Uint32Array(4), 4, new Uint8Array(length)), /key must have 16 bytes/);
  }
});
