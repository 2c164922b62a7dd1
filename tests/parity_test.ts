// deno task parity: passes the golden file, and fails whatever differs from it.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { bfloat16, parity, ParityError, type ParityLine, showLine } from "../trainer/parity.ts";
import { readSafetensors, type SafeTensor, SafetensorsError, writeSafetensors } from "../trainer/safetensors.ts";
import { testLibrary, testLibraryPath } from "./_library.ts";

testLibrary();
const golden = await Deno.readFile(new URL("data/gpt-small.safetensors", import.meta.url));

/** The golden file with some entries and metadata changed. */
function changed(
  entry: (name: string, tensor: SafeTensor) => SafeTensor | null,
  metadata: (text: string, key: string) => string = (text) => text,
): Uint8Array {
  const file = readSafetensors(golden);
  const tensors = new Map<string, SafeTensor>();
  for (const [name, tensor] of file.tensors) {
    const result = entry(name, tensor);
    if (result) tensors.set(name, result);
  }
  const pairs = Object.entries(file.metadata).map(([key, text]) => [key, metadata(text, key)]);
  return writeSafetensors(tensors, Object.fromEntries(pairs));
}

function scaled(tensor: SafeTensor, factor: number): SafeTensor {
  const values = new Float32Array(tensor.bytes.slice().buffer).map((value) => value * factor);
  return { ...tensor, bytes: new Uint8Array(values.buffer) };
}

const failing = (lines: ParityLine[]) => lines.filter(({ ok }) => !ok).map(({ name }) => name);
const same = (_: string, tensor: SafeTensor) => tensor;

Deno.test("the golden file is met, with a line each for logits, losses, gradients and parameters", () => {
  const lines = parity(golden);
  assert.deepEqual(lines.map(({ name }) => name), ["logits", "losses", "gradients", "parameters"]);
  assert.deepEqual(failing(lines), [], lines.map(showLine).join("; "));
});

Deno.test("sizes that divide nothing are met too: any configuration in the metadata", async () => {
  const lines = parity(await Deno.readFile(new URL("data/gpt-odd.safetensors", import.meta.url)));
  assert.deepEqual(failing(lines), [], lines.map(showLine).join("; "));
});

Deno.test("a line reads `logits 4.1e-07 (1e-05) ok`", () => {
  const line = { name: "logits", error: 4.1e-7, tolerance: 1e-5, ok: true, worst: "step 0" } as const;
  assert.equal(showLine(line), "logits 4.1e-07 (1e-05) ok");
  assert.equal(showLine({ ...line, error: 0.012, ok: false }), "logits 1.2e-02 (1e-05) above, at step 0");
  assert.equal(showLine({ ...line, tolerance: 2 * 1.07e-2 }), "logits 4.1e-07 (2.14e-02) ok");
});

for (
  const name of [
    "lm_head.weight",
    "resid_lambdas",
    "x0_lambdas",
    "transformer.wte.weight",
    "transformer.h.1.attn.ve_gate.weight",
    "transformer.h.2.attn.c_k.weight",
    "value_embeds.3.weight",
  ]
) {
  Deno.test(`one gradient scaled by 1.01 is noticed: ${name}`, () => {
    const lines = parity(changed((key, tensor) => key === `step0.grad.${name}` ? scaled(tensor, 1.01) : tensor));
    assert.deepEqual(failing(lines), ["gradients"]);
    assert.equal(lines[2].worst, name);
  });
}

Deno.test("another window pattern, learning rate or momentum is noticed", () => {
  const edit = (from: string, to: string) => parity(changed(same, (text) => text.replace(from, to)));
  assert(failing(edit('"SSSL"', '"SLSL"')).includes("logits"));
  assert(failing(edit('"SSSL"', '"L"')).includes("logits"));
  assert.deepEqual(failing(edit('"matrix_lr": 0.02', '"matrix_lr": 0.021')).at(-1), "parameters");
  assert.deepEqual(failing(edit('"muon_momentum": 0.9', '"muon_momentum": 0.8')).at(-1), "parameters");
});

Deno.test("one changed parameter after the last step, one changed loss, one changed logit block are noticed", () => {
  const scale = (name: string, factor: number) =>
    failing(parity(changed((key, tensor) => key === name ? scaled(tensor, factor) : tensor)));
  assert.deepEqual(scale("step2.param.transformer.h.3.mlp.c_fc.weight", 1.01), ["parameters"]);
  assert.deepEqual(scale("losses", 1.0001), ["losses"]);
  assert.deepEqual(scale("step0.logits", 1.0001), ["logits"]);
});

const naive = await Deno.readTextFile(new URL("data/gpt-small.bf16.json", import.meta.url));

Deno.test("bf16 on the CPU is one sentence", () => {
  assert.throws(() => parity(golden, bfloat16(naive)), {
    name: "ParityError",
    message: "bf16 needs a GPU, and what computes here is the CPU",
  });
});

Deno.test("bfloat16's tolerances are twice the naive version's errors, and tell what is wrong from what is rounded", () => {
  const errors = JSON.parse(naive), { tolerances } = bfloat16(naive);
  assert.equal(tolerances.logits, 2 * errors.logits);
  assert.equal(tolerances.losses, 2 * errors.losses);
  for (const line of ["gradients", "parameters"] as const) {
    for (const by of ["adamw", "muon"] as const) assert.equal(tolerances[line][by], 2 * errors[line][by]);
  }
  // Held against float32, which is as good as exact here.
  const failures = (bytes: Uint8Array) => failing(parity(bytes, { dtype: "f32", tolerances }));
  const scale = (name: string, factor: number) =>
    failures(changed((key, tensor) => key === name ? scaled(tensor, factor) : tensor));
  const edit = (from: string, to: string) => failures(changed(same, (text) => text.replace(from, to)));
  assert.deepEqual(failures(golden), []);
  assert.deepEqual(scale("step0.grad.transformer.h.2.mlp.c_fc.weight", 1.1), ["gradients"]);
  assert.deepEqual(scale("step0.grad.x0_lambdas", 1.09), []);
  assert.deepEqual(scale("step0.grad.x0_lambdas", 1.2), ["gradients"]);
  assert.deepEqual(scale("step0.logits", 1.03), ["logits"]);
  // Matrices that stay what they are: their own tolerance is below what three steps of Muon change.
  assert(edit('"matrix_lr": 0.02', '"matrix_lr": 1e-9').includes("parameters"));
  assert(edit('"SSSL"', '"L"').includes("logits"));
});

Deno.test("errors of a naive version that cannot be used are one sentence", () => {
  const fails = (text: string, message: RegExp) =>
    assert.throws(() => bfloat16(text, "x.bf16.json"), { name: "ParityError", message });
  fails("{", /^x\.bf16\.json: no JSON$/);
  fails("null", /^x\.bf16\.json: logits must be a number between 0 and 1, got undefined$/);
  fails(naive.replace("muon", "moon"), /: gradients\.muon must be a number between 0 and 1, got undefined$/);
  fails(naive.replace(/"losses": [^,]*/, '"losses": 0'), /: losses must be a number between 0 and 1, got 0$/);
});

Deno.test("a file that cannot be used is one sentence", () => {
  const fails = (bytes: Uint8Array, message: RegExp) =>
    assert.throws(() => parity(bytes), (error) => {
      assert(error instanceof ParityError || error instanceof SafetensorsError);
      assert.match(error.message, message);
      return !error.message.includes("\n");
    });
  const without = (name: string) => changed((key, tensor) => key === name ? null : tensor);
  fails(golden.subarray(0, 100_000), /the file ends before its elements do/);
  fails(new Uint8Array(3), /too few/);
  fails(without("losses"), /has no losses/);
  fails(without("step2.inputs"), /has no step2.inputs/);
  fails(without("init.lm_head.weight"), /has no init.lm_head.weight/);
  fails(without("step0.grad.lm_head.weight"), /has no step0.grad.lm_head.weight/);
  fails(changed(same, (text, key) => key === "config" ? "{" : text), /config is no JSON object/);
  fails(changed(same, (text) => text.replace('"n_layer": 4', '"n_layer": 3')), /is no weight of the model/);
  fails(changed(same, (text) => text.replace('"n_head": 2', '"n_head": 0')), /n_head must be a positive whole number/);
  fails(changed(same, (text) => text.replace('"SSSL"', '"SXSL"')), /window_pattern must be of S and L/);
  fails(changed(same, (text) => text.replace('"n_embd": 64', '"n_embd": 32')), /must be F32/);
});

Deno.test("the command ends with status 0, 1 and 2", async () => {
  const script = fileURLToPath(new URL("../trainer/parity.ts", import.meta.url));
  const run = async (...args: string[]) => {
    const flags = ["run", "--no-prompt", "--no-check", "--allow-read", `--allow-ffi=${testLibraryPath}`];
    const env = ["--allow-env=RESEARCHSWARM_HOME,XDG_CACHE_HOME,HOME"];
    const output = await new Deno.Command(Deno.execPath(), {
      args: [...flags, ...env, script, "--device", "cpu", ...args],
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    return { code: output.code, out: text(output.stdout), err: text(output.stderr) };
  };
  const path = fileURLToPath(new URL("data/gpt-small.safetensors", import.meta.url));
  const fine = await run(path);
  assert.equal(fine.code, 0, fine.err);
  assert.match(fine.out, /^logits \S+ \(1e-05\) ok\nlosses \S+ \(1e-05\) ok\ngradients \S+ \(1e-04\) ok\nparameters/);
  const low = await run("--dtype", "bf16", path);
  assert.equal(low.code, 1);
  assert.equal(low.err, "parity: bf16 needs a GPU, and what computes here is the CPU");
  const wrong = await Deno.makeTempFile({ suffix: ".safetensors" });
  try {
    await Deno.writeFile(wrong, changed(same, (text) => text.replace('"SSSL"', '"LLSL"')));
    const above = await run(wrong);
    assert.equal(above.code, 1);
    assert.match(above.out, /^logits \S+ \(1e-05\) above, at step 0$/m);
    await Deno.writeFile(wrong, golden.subarray(0, 5000));
    const alone = await run("--dtype", "bf16", wrong);
    assert.equal(alone.code, 1);
    assert.match(
      alone.err,
      /^parity: --dtype bf16 needs the errors of a naive bfloat16 version in \S+\.bf16\.json: .*$/,
    );
    const cut = await run(wrong);
    assert.equal(cut.code, 1);
    assert.match(cut.err, /^parity: \S+ is no golden file \(safetensors: .*\)$/);
  } finally {
    await Deno.remove(wrong);
  }
  for (
    const [args, message] of [[[], /needs one golden file/], [["--frob"], /Unknown option '--frob'/], [[
      "--dtype",
      "f16",
      path,
    ], /--dtype must be f32 or bf16, got "f16"/]] as const
  ) {
    const { code, err } = await run(...args);
    assert.equal(code, 2);
    assert.match(err, message);
    assert(!err.includes("\n"));
  }
  const missing = await run("/nowhere/at/all");
  assert.equal(missing.code, 1);
  assert.equal(missing.err, "parity: /nowhere/at/all cannot be read: No such file or directory");
});
