// deno task bench train: the lines it prints, the rows it takes, the flags it refuses.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { presets } from "../trainer/presets.ts";
import { testLibraryPath } from "./_library.ts";

const script = fileURLToPath(new URL("../trainer/bench.ts", import.meta.url));

async function bench(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const flags = ["run", "--no-prompt", "--no-check", "--allow-read", "--allow-write", `--allow-ffi=${testLibraryPath}`];
  const env = "--allow-env=RESEARCHSWARM_HOME,XDG_CACHE_HOME,HOME";
  const output = await new Deno.Command(Deno.execPath(), { args: [...flags, env, script, ...args] }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code: output.code, out: text(output.stdout), err: text(output.stderr) };
}

Deno.test("bench train prints what is compared with the peer", async () => {
  const { code, out, err } = await bench("train", "--preset", "cpu-tiny", "--steps", "1", "--profile");
  assert.equal(code, 0, err);
  const value = (key: string) => Number(out.match(new RegExp(`^${key}: (\\S+)$`, "m"))?.[1]);
  assert.equal(value("num_params_M"), 1.11);
  assert.equal(value("num_steps"), 1);
  // The head starts near zero: the first loss is that of a uniform guess.
  assert(Math.abs(value("train_loss") - Math.log(presets["cpu-tiny"].vocabSize)) < 0.01);
  assert(value("tokens_per_second") > 0 && value("time_over_floor") > 0.9);
  assert.match(out, /^matmul +\d+\.\d calls +\d+\.\d+ ms +\d+\.\d %$/m);
  assert.match(out, /^phase products: \d+\.\d+ ms a step, floor \d+\.\d+ ms$/m);
});

Deno.test("bench train takes exported rows, scores others and writes a curve", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { vocabSize, sequenceLength } = presets["cpu-tiny"];
    const row = Uint16Array.from({ length: sequenceLength + 1 }, (_, i) => i * 7 % vocabSize);
    const rows = new Uint16Array(3 * row.length);
    for (let i = 0; i < 3; i++) rows.set(row, i * row.length);
    const files = ["train", "val", "token-bytes", "curve"].map((name) => `${folder}/${name}`);
    await Deno.writeFile(files[0], new Uint8Array(rows.buffer));
    await Deno.writeFile(files[1], new Uint8Array(rows.buffer));
    await Deno.writeFile(files[2], new Uint8Array(new Uint16Array(vocabSize).fill(2).buffer));
    const paths = ["--rows", files[0], "--val", files[1], "--token-bytes", files[2], "--curve", files[3]];
    const { code, out, err } = await bench(
      "train",
      "--preset",
      "cpu-tiny",
      "--steps",
      "2",
      "--set",
      "depth=2",
      ...paths,
    );
    assert.equal(code, 0, err);
    assert.match(out, /^num_params_M: 0\.79$/m, "of two layers instead of three");
    assert.match(out, /^epochs: 21\.33$/m, "2 steps of 32 rows, of which there are 3");
    // One row over and over is soon known: far below a uniform guess of ten bits in two bytes.
    const bpb = Number(out.match(/^val_bpb: (\S+)$/m)?.[1]);
    assert(bpb > 0 && bpb < 4.9, out);
    const lines = (await Deno.readTextFile(files[3])).trim().split("\n");
    assert.equal(lines[0], "step\tseconds\tloss");
    assert.equal(lines.length, 3);
    await Deno.writeFile(files[0], new Uint8Array(rows.buffer).subarray(0, 100));
    const cut = await bench("train", "--preset", "cpu-tiny", "--rows", files[0]);
    assert.equal(cut.code, 1);
    assert.match(cut.err, /train is not whole rows of 129 tokens: it has 100 bytes$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("bad flags are one sentence and status 2", async () => {
  const wrong: [string[], RegExp][] = [
    [[], /needs a command/],
    [["frob"], /there is no frob/],
    [["train", "--frob"], /Unknown option '--frob'/],
    [["train", "--seconds", "soon"], /--seconds must be a number from 0 up, got "soon"/],
    [["train", "--steps", "1.5"], /--steps must be a whole number/],
    [["train", "--preset", "huge"], /there is no preset "huge"/],
    [["train", "--set", "depth=100"], /--set depth=100: depth must lie in 2\.\.12, got 100/],
    [["train", "--val", "x"], /--val needs --token-bytes/],
    [["train", "--seconds", "0"], /nothing to train/],
    [["train", "--seconds", "-1"], /Option '--seconds' argument is ambiguous; see --help/],
    [["ops", "--threads", "-1"], /Option '--threads' argument is ambiguous; see --help/],
    [["train", "--threads", "3000000000"], /--threads must be at most 1024, got 3000000000/],
    [["train", "--device", "tpu"], /the device must be auto, cpu, cuda or cuda:N, got "tpu"/],
    [["ops", "--seconds", "soon"], /--seconds must be above 0 and at most 60, got "soon"/],
    [["ops", "--threads", "2000"], /--threads must be a whole number from 0 to 1024, got "2000"/],
  ];
  await Promise.all(wrong.map(async ([args, message]) => {
    const { code, err } = await bench(...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, message);
    assert(!err.includes("\n"), err);
  }));
  const { code, out } = await bench("train", "--help");
  assert.equal(code, 0);
  assert.match(out, /^usage: deno task bench train/m);
});
