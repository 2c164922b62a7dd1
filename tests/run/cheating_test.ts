/**
 * What a `train.ts` may try and how it ends: each way to a better score than the training earned, or to a file or a
 * machine that is none of its business, is refused or voided, with the reason in the result. Long because it is one
 * table: an attempt, its ending and its reason stand together, and a gap is seen by reading down the names.
 */
import { join } from "node:path";
import type { RunOptions, RunStatus } from "../../trainer/run/types.ts";
import { Bench, tinyTrain } from "./_fixture.ts";

const bench = await Bench.create();
globalThis.addEventListener("unload", () => Deno.removeSync(bench.folder, { recursive: true }));

const secret = join(bench.folder, "secret.json");
Deno.writeTextFileSync(secret, '{"rows": [1, 2, 3]}');
const validation = JSON.stringify(join(bench.dataset, "val.bin"));
const outside = JSON.stringify(join(bench.folder, "outside.txt"));
const secretUrl = JSON.stringify(`file://${secret}`);

/** Logits as numbers, changed by `body` (`x` [rows·T·V], `ids` [rows·T], `rows`), as a tensor again. */
const changed = (body: string) => `
  const x = clean(tokens).data() as Float32Array;
  const ids = tokens.data();
  const rows = tokens.shape[0];
  ${body}
  return Tensor.from(x, [rows, T, V]);`;

interface Case {
  name: string;
  source: string | ((runFolder: string) => string);
  status: RunStatus | RunStatus[];
  reason: RegExp;
  given?: Partial<RunOptions>;
}

const readDenied = /Requires read access|NotCapable/;

const cases: Case[] = [
  {
    name: "reads the validation rows in training",
    source: tinyTrain({ step: `Deno.readFileSync(${validation});` }),
    status: "refused",
    reason: /train: NotCapable: Requires read access to ".*val\.bin"/,
  },
  {
    name: "reads the validation rows while it is imported",
    source: tinyTrain({ top: `const rows = Deno.readFileSync(${validation});` }),
    status: "refused",
    reason: /import: NotCapable: Requires read access to ".*val\.bin"/,
  },
  {
    name: "reads the validation rows in scoring alone",
    source: tinyTrain({ logits: `Deno.readFileSync(${validation}); return clean(tokens);` }),
    status: "refused",
    reason: /^scoring: logits: it asked for read access$/,
  },
  {
    name: "reads code after its import, in training",
    source: tinyTrain({ step: 'Deno.readTextFileSync(new URL("./tensor.ts", import.meta.url));' }),
    status: "refused",
    reason: /train: NotCapable: Requires read access to ".*tensor\.ts"/,
  },
  {
    name: "reads code after its import, in scoring",
    source: tinyTrain({
      logits: 'Deno.readTextFileSync(new URL("./tensor.ts", import.meta.url)); return clean(tokens);',
    }),
    status: "refused",
    reason: /^scoring: logits: it asked for read access$/,
  },
  {
    name: "writes in scoring",
    source: tinyTrain({ logits: `Deno.writeTextFileSync(${outside}, "rows"); return clean(tokens);` }),
    status: "refused",
    reason: /^scoring: logits: it asked for write access$/,
  },
  {
    name: "keeps something in a cache for the other evaluator",
    source: tinyTrain({
      top: `let failed = "";
        if ("postMessage" in globalThis) await caches.open("rows").catch((error) => failed = String(error));`,
      setup: "if (failed) throw new Error(failed);",
    }),
    status: "crash",
    reason: /Failed to create cache storage/,
  },
  {
    name: "reads through node:fs",
    source: tinyTrain({ top: 'import fs from "node:fs";', step: `fs.readFileSync(${validation});` }),
    status: "refused",
    reason: readDenied,
  },
  {
    name: "reads in a Web Worker of its own",
    source: tinyTrain({
      after: `await new Promise((resolve, reject) => {
        const worker = new Worker("data:text/javascript," + encodeURIComponent('Deno.readFileSync(${validation}); postMessage(1)'), { type: "module" });
        worker.onmessage = resolve;
        worker.onerror = (event) => { event.preventDefault(); reject(new Error(event.message)); };
      });`,
    }),
    status: "refused",
    reason: readDenied,
  },
  {
    name: "opens a socket",
    source: tinyTrain({ after: 'await Deno.connect({ hostname: "127.0.0.1", port: 80 });' }),
    status: "refused",
    reason: /Requires net access to "127\.0\.0\.1:80"/,
  },
  {
    name: "fetches",
    source: tinyTrain({ after: 'await fetch("http://127.0.0.1/");' }),
    status: "refused",
    reason: /Requires net access/,
  },
  {
    name: "starts a program",
    source: tinyTrain({ step: 'new Deno.Command("/bin/true").outputSync();' }),
    status: "refused",
    reason: /Requires run access/,
  },
  {
    name: "reads the environment",
    source: tinyTrain({ step: "Deno.env.toObject();" }),
    status: "refused",
    reason: /Requires env access/,
  },
  {
    name: "opens a library of its own",
    source: tinyTrain({ step: 'Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {});' }),
    status: "refused",
    reason: /Requires ffi access/,
  },
  {
    name: "opens the kernel library with other signatures",
    source: tinyTrain({
      top: 'import { library } from "../cuda/lib.ts";',
      step: 'Deno.dlopen(library().path, { rs_abi_hash: { parameters: ["u64"], result: "u64" } });',
    }),
    status: "refused",
    reason: /Requires ffi access/,
  },
  {
    name: "opens the kernel library with other signatures in scoring",
    source: tinyTrain({
      top: 'import { library } from "../cuda/lib.ts";',
      logits: "Deno.dlopen(library().path, {}); return clean(tokens);",
    }),
    status: "refused",
    reason: /asked for ffi access/,
  },
  {
    name: "imports a file as json, statically",
    source: tinyTrain({ top: `import rows from ${secretUrl} with { type: "json" }; void rows;` }),
    status: "refused",
    reason: /import: .*Requires read access to ".*secret\.json"/,
  },
  {
    name: "imports a file as text, statically",
    source: tinyTrain({ top: `import rows from ${secretUrl} with { type: "text" }; void rows;` }),
    status: "refused",
    reason: /import: .*Requires read access to ".*secret\.json"/,
  },
  {
    name: "imports a file as json, by a literal dynamic import",
    source: tinyTrain({ after: `await import(${secretUrl}, { with: { type: "json" } });` }),
    status: "refused",
    reason: /Requires read access to ".*secret\.json"/,
  },
  {
    name: "imports a file as text, by a literal dynamic import",
    source: tinyTrain({ after: `await import(${secretUrl}, { with: { type: "text" } });` }),
    status: "refused",
    reason: /Requires read access to ".*secret\.json"/,
  },
  {
    name: "imports a package of npm, statically",
    source: tinyTrain({ top: 'import * as zod from "npm:zod"; void zod;' }),
    status: "refused",
    reason: /--no-npm is specified/,
  },
  {
    name: "imports a package of npm, dynamically",
    source: tinyTrain({ after: 'await import("npm:zod");' }),
    status: "refused",
    reason: /--no-npm is specified/,
  },
  {
    name: "imports over https, statically",
    source: tinyTrain({ top: 'import x from "https://example.com/rows.ts"; void x;' }),
    status: "refused",
    reason: /--no-remote is specified/,
  },
  {
    name: "imports over https, dynamically",
    source: tinyTrain({ after: 'await import("https://example.com/rows.ts");' }),
    status: "refused",
    reason: /--no-remote is specified/,
  },
  {
    name: "writes outside its run folder",
    source: tinyTrain({ after: `Deno.writeTextFileSync(${outside}, "weights");` }),
    status: "refused",
    reason: /Requires write access to ".*outside\.txt"/,
  },
  {
    name: "links a file into its run folder",
    source: tinyTrain({ after: `Deno.symlinkSync(${validation}, "link");` }),
    status: "refused",
    reason: /requires unscoped --allow-read/,
  },
  {
    name: "keeps something in localStorage for the next run",
    source: tinyTrain({ after: 'localStorage.setItem("weights", "1");' }),
    status: "crash",
    reason: /Not a directory/,
  },
  {
    name: "keeps something in a cache for the next run",
    source: tinyTrain({ after: 'await caches.open("weights");' }),
    status: "crash",
    reason: /Failed to create cache storage/,
  },
  {
    name: "returns logits that look ahead",
    source: tinyTrain({
      logits: changed("for (let i = 0; i + 1 < ids.length; i++) if ((i + 1) % T) x[i * V + ids[i + 1]] += 10;"),
    }),
    status: "void",
    reason: /non-causal: the logits of position \d+ .* change with the tokens after position \d+/,
  },
  {
    name: "returns logits that look ahead a little, at all positions",
    source: tinyTrain({
      logits: changed("for (let i = 0; i + 1 < ids.length; i++) if ((i + 1) % T) x[i * V + ids[i + 1]] *= 1.000001;"),
    }),
    status: "void",
    reason: /non-causal/,
  },
  {
    name: "returns logits that look ahead at one position in a hundred",
    source: tinyTrain({
      logits: changed(`for (let i = 0; i + 1 < ids.length; i++) {
        if ((i + 1) % T && (ids[i] * 131 + (i % T) * 17) % 100 === 0) x[i * V + ids[i + 1]] += 10;
      }`),
    }),
    given: { evaluationRows: 1024 },
    status: "void",
    reason: /non-causal/,
  },
  {
    name: "looks ahead only where the rest of the row is real text",
    source: tinyTrain({
      logits: changed(`for (let row = 0; row < rows; row++) {
        const at = (i: number) => ids[row * T + i];
        let real = 0;
        for (let i = 1; i < T; i++) if (at(i) === 1 + (at(i - 1) * 5 + 7) % (V - 1)) real++;
        if (real > T / 2) for (let i = 0; i + 1 < T; i++) x[(row * T + i) * V + at(i + 1)] += 10;
      }`),
    }),
    status: "void",
    reason: /non-causal/,
  },
  {
    name: "returns logits that depend on the calls before",
    source: tinyTrain({
      top: "let calls = 0;",
      logits: changed("calls++; for (let i = 0; i < x.length; i++) x[i] += calls * 0.001;"),
    }),
    status: "void",
    reason: /stateful: the logits of position \d+/,
  },
  {
    name: "remembers the rows that it has seen and answers from memory",
    source: tinyTrain({
      top: "const seen = new Map<string, number[]>();",
      logits: changed(`for (let row = 0; row < rows; row++) {
        const tokens = [...ids.subarray(row * T, (row + 1) * T)];
        const key = tokens.slice(0, 3).join();
        const known = seen.get(key) ?? tokens;
        seen.set(key, known);
        for (let i = 0; i + 1 < T; i++) x[(row * T + i) * V + known[i + 1]] += 10;
      }`),
    }),
    status: "void",
    reason: /non-causal|stateful/,
  },
  {
    name: "learns from the validation rows that it has seen",
    source: tinyTrain({
      top: "const counts = new Float32Array(64 * 64);",
      logits: changed(`for (let i = 0; i < ids.length; i++) {
          for (let v = 0; v < V; v++) x[i * V + v] += 0.1 * Math.log(1 + counts[ids[i] * V + v]);
        }
        for (let i = 0; i + 1 < ids.length; i++) if ((i + 1) % T) counts[ids[i] * V + ids[i + 1]]++;`),
    }),
    status: "void",
    reason: /stateful/,
  },
  {
    name: "returns logits that depend on the other rows of the batch",
    source: tinyTrain({
      logits: changed(`for (let row = 0; row < rows; row++) {
        const other = ids[((row + 1) % rows) * T + 1];
        for (let i = 0; i < T * V; i++) x[row * T * V + i] += other * 0.001;
      }`),
    }),
    status: "void",
    // A batch of one row has no other: there it looks ahead instead.
    reason: /row-leaking|non-causal/,
  },
  {
    name: "returns logits that depend on the other rows at one position in a hundred",
    source: tinyTrain({
      logits: changed(`for (let row = 0; row < rows; row++) {
        const other = ids[((row + 1) % rows) * T + 1];
        for (let i = 0; i < T; i++) if ((ids[row * T + i] * 131 + i * 17) % 100 === 0) x[(row * T + i) * V] += other * 0.001;
      }`),
    }),
    given: { evaluationRows: 1024 },
    status: "void",
    reason: /row-leaking|non-causal/,
  },
  {
    // No cut changes the last input, but the other process has the row beside other rows.
    name: "returns logits that depend on the other rows at the last position alone",
    source: tinyTrain({
      logits: changed(`for (let row = 0; row < rows; row++) {
        x[((row + 1) * T - 1) * V] += ids[((row + 1) % rows) * T + 1] * 0.001;
      }`),
    }),
    given: { evaluationRows: 1024 },
    status: "void",
    reason: /row-leaking/,
  },
  {
    name: "returns logits with random numbers in them",
    source: tinyTrain({ logits: changed("x[0] += Math.random();") }),
    status: "void",
    reason: /stateful/,
  },
  {
    name: "returns logits that are no numbers",
    source: tinyTrain({ logits: changed("x.fill(NaN, 40, 60);") }),
    status: "void",
    reason: /non-finite logits/,
  },
  {
    name: "returns logits of another shape",
    source: tinyTrain({ logits: "return reshape(clean(tokens), [tokens.shape[0] * T, V]);" }),
    status: "void",
    reason: /logits: a ShapeError; it must return an f32 tensor/,
  },
  {
    name: "returns something else than logits",
    source: tinyTrain({ logits: "return 0 as unknown as Tensor;" }),
    status: "void",
    reason: /must return an f32 tensor/,
  },
  {
    name: "answers with a handle of its own in place of the harness",
    source: tinyTrain({
      logits: '(self as any).postMessage({ kind: "logits", handle: 99999 }); return clean(tokens);',
    }),
    status: "void",
    reason: /logits cannot be scored/,
  },
  {
    name: "forges a score on stdout",
    source: tinyTrain({
      logits: `const frame = new Uint8Array(5 + 32 + 4 + 12 * T * 16);
        new DataView(frame.buffer).setUint32(0, frame.length - 5, true);
        frame[4] = 12;
        Deno.stdout.writeSync(frame);
        return clean(tokens);`,
    }),
    status: "void",
    reason: /protocol: an answer came without the secret/,
  },
  {
    name: "writes garbage to stdout in scoring",
    source: tinyTrain({ logits: "Deno.stdout.writeSync(new Uint8Array(100).fill(255)); return clean(tokens);" }),
    status: "void",
    reason: /protocol: a frame says that it has/,
  },
  {
    name: "writes garbage to stdout in training",
    source: tinyTrain({ step: 'Deno.stdout.writeSync(new TextEncoder().encode("val_bpb: 0.0001"));' }),
    status: "void",
    reason: /protocol/,
  },
  {
    name: "takes the questions away from the harness",
    source: tinyTrain({
      // In the evaluator alone, and running before the first question can be asked.
      setup: `if ("postMessage" in globalThis) {
          const started = new Int32Array(new SharedArrayBuffer(4));
          const thief = new Worker("data:text/javascript," + encodeURIComponent(\`onmessage = ({ data }) => {
            Atomics.store(data, 0, 1);
            Atomics.notify(data, 0);
            for (;;) Deno.stdin.readSync(new Uint8Array(1000));
          }\`), { type: "module" });
          thief.postMessage(started);
          Atomics.wait(started, 0, 0, 5000);
        }`,
    }),
    given: { evaluationStallSeconds: 3, evaluationRows: 1024 },
    status: ["void", "timeout"],
    reason: /the code read from it|did not answer within/,
  },
  {
    name: "says that it saved weights without doing so",
    source: tinyTrain({ after: "Deno.stdout.writeSync(new Uint8Array([0, 0, 0, 0, 9])); for (;;);" }),
    status: "void",
    reason: /said that it saved weights and there are none/,
  },
  {
    name: "says that it has returned and trains on",
    source: tinyTrain({ step: "Deno.stdout.writeSync(new Uint8Array([2, 0, 0, 0, 8, 123, 125])); // {}" }),
    status: "void",
    reason: /protocol: a frame of kind 4 came after the return/,
  },
  {
    name: "leaves a checkpoint that is none",
    source: (runFolder) =>
      tinyTrain({
        after: `Deno.writeTextFileSync(${JSON.stringify(`${runFolder}/checkpoint.safetensors`)}, "weights");
          Deno.stdout.writeSync(new Uint8Array([0, 0, 0, 0, 9]));
          for (;;);`,
      }),
    status: "void",
    reason: /the checkpoint is malformed: safetensors: .* bytes are too few/,
  },
  {
    name: "saves fewer weights than the model has",
    source: tinyTrain({
      top: "let trained = false;",
      after: "trained = true;",
      parameters: 'return trained ? new Map([["table", weights.get("table")!]]) : weights;',
    }),
    status: "void",
    reason: /scoring: load: weights: head is missing/,
  },
  {
    name: "saves weights that the model does not have",
    source: tinyTrain({
      top: "let trained = false;",
      after: "trained = true;",
      parameters: 'return trained ? new Map([...weights, ["more", weights.get("table")!]]) : weights;',
    }),
    status: "void",
    reason: /scoring: load: weights: more is not part of the model/,
  },
  {
    name: "saves weights of another shape",
    source: tinyTrain({
      top: "let trained = false;",
      after: "trained = true;",
      parameters:
        'return trained ? new Map([...weights, ["head", reshape(weights.get("head")!, [T, c.width * 2])]]) : weights;',
    }),
    status: "void",
    reason: /scoring: load: weights: head must be F32 \[64, 16\], got F32 \[32, 32\]/,
  },
];

const tellsRows = 'const told = "rows:" + Array.from(tokens.data()).join("-"); console.error(told);';
cases.push(
  {
    name: "tells validation rows in an error",
    source: tinyTrain({ logits: `${tellsRows} throw new Error(told);` }),
    status: "crash",
    reason: /^scoring: logits: Error \(its message could hold validation rows and is not told\)$/,
  },
  {
    name: "tells validation rows in the name of an error",
    source: tinyTrain({ logits: `${tellsRows} throw Object.assign(new Error(""), { name: told });` }),
    status: "crash",
    reason: /^scoring: logits: Error \(its message could hold validation rows and is not told\)$/,
  },
  {
    name: "tells validation rows as a failure in the name of the harness",
    source: tinyTrain({
      logits: `${tellsRows} (self as any).postMessage({ kind: "failed", phase: "score", name: "E", message: told });
        return clean(tokens);`,
    }),
    status: "crash",
    reason: /^scoring: logits: Error \(its message could hold validation rows and is not told\)$/,
  },
);

for (const one of cases) {
  const run = bench.run(one.source, one.given);
  Deno.test({
    name: `a train.ts that ${one.name} gets no score`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const result = await run;
      const told = `${result.status}: ${result.reason}`;
      if (![one.status].flat().includes(result.status)) throw new Error(`should be ${one.status}, is ${told}`);
      if (!one.reason.test(result.reason)) throw new Error(`should say ${one.reason}, says ${told}`);
      if (result.valBpb !== null) throw new Error(`has the score ${result.valBpb}`);
    },
  });
}

Deno.test("nothing was written outside the run folders", async () => {
  if (await Deno.stat(join(bench.folder, "outside.txt")).then(() => true, () => false)) throw new Error("it was");
});

Deno.test("what the evaluators write to stderr is in a file of its own alone", async () => {
  let seen = 0;
  for await (const run of Deno.readDir(join(bench.folder, "runs"))) {
    const read = (name: string) => Deno.readTextFile(join(bench.folder, "runs", run.name, name)).catch(() => "");
    if ((await read("stderr.log")).includes("rows:")) throw new Error(`${run.name}/stderr.log holds validation rows`);
    if ((await read("evaluator-stderr.log")).includes("rows:")) seen++;
  }
  if (seen < 3) throw new Error(`${seen} runs wrote rows to stderr: nothing was tested`);
});
