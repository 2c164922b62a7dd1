/** Measurements in what benchmarks print, and what they come to. */
import { deepStrictEqual as equal, match, ok, strictEqual as same } from "node:assert";
import { parseBench } from "../../router/executors/bench/parse.ts";
import { groupMeasurements, lowerIsBetter } from "../../router/executors/bench/run.ts";
import { runTask, withFolder } from "./_fixture.ts";

const brief = (text: string) =>
  parseBench(text).map(({ subject, candidate, metric, unit, value }) =>
    [subject, candidate, metric, unit, value].join(" ; ")
  );

Deno.test("tables, aligned lines, key-value lines, JSON of tools and JSON lines give the same kind of measurement", () => {
  equal(
    brief(
      "| preset | ours, tokens/s | PyTorch, tokens/s | ratio |\n| --- | --- | --- | --- |\n| `cpu` | 5350 | 2,817 | 1.90 |\n",
    ),
    [
      "cpu ; ours ; tokens/s ; tokens/s ; 5350",
      "cpu ; PyTorch ; tokens/s ; tokens/s ; 2817",
      "cpu ;  ; ratio ;  ; 1.9",
    ],
  );
  equal(brief("matmul_forward           64 x 64 x 64          0.012 ms    31.2 GFLOP/s   13 % of peak\n"), [
    "matmul_forward 64 x 64 x 64 ;  ; time ; ms ; 0.012",
    "matmul_forward 64 x 64 x 64 ;  ; GFLOP/s ; GFLOP/s ; 31.2",
    "matmul_forward 64 x 64 x 64 ;  ; share ; % ; 13",
  ]);
  equal(brief("num_steps: 45\ntokens_per_second: 5350\ntime_over_floor: 1.62\n"), [
    " ;  ; num_steps ;  ; 45",
    " ;  ; tokens_per_second ;  ; 5350",
    " ;  ; time_over_floor ;  ; 1.62",
  ]);
  equal(brief('{"op":"matmul","library":"ours","ms":1.2}\n{"op":"matmul","library":"torch","ms":1.5}\n'), [
    "matmul ; ours ; ms ; ms ; 1.2",
    "matmul ; torch ; ms ; ms ; 1.5",
  ]);
  equal(brief(JSON.stringify({ results: [{ command: "a", mean: 1, times: [0.9, 1.1] }] })), [
    " ; a ; time ; s ; 0.9",
    " ; a ; time ; s ; 1.1",
  ]);
  equal(
    brief(
      JSON.stringify({
        benches: [{ name: "b1", group: "g", results: [{ ok: { n: 10, avg: 5, min: 4, max: 9, p75: 5, p99: 8 } }] }],
      }),
    ).slice(0, 2),
    ["g ; b1 ; time (avg) ; ns ; 5", "g ; b1 ; min ; ns ; 4"],
  );
  equal(
    brief(
      "| benchmark   | time/iter (avg) | iter/s |      (min … max)      |\n| ----------- | --- | --- | --- |\n| URL parsing | 301.3 ns | 3,319,000 | (295.1 ns … 320.2 ns) |\n",
    ),
    [
      "URL parsing ;  ; time/iter (avg) ; ns ; 301.3",
      "URL parsing ;  ; iter/s ; iter/s ; 3319000",
    ],
  );
  equal(brief("name,ms,runs\nparse,1.5,10\nwrite,2.5,10\n"), ["parse ;  ; ms ; ms ; 1.5", "write ;  ; ms ; ms ; 2.5"]);
});

Deno.test("sentences that happen to hold quantities are no measurements", () => {
  equal(
    parseBench(
      "the new build of our parser needs about 12 ms for each of the files\nWe waited 5 s. Then it was 3 MB large, they said.\nOn Monday it rained for hours on end in the whole of the north, 12 mm.\n",
    ),
    [],
  );
});

Deno.test("repeated measurements become median, range and spread", () => {
  const values = [5, 1, 2, 4, 3].map((value) => ({ subject: "s", candidate: "", metric: "time", unit: "ms", value }));
  const [group] = groupMeasurements(values);
  equal([group.median, group.values[0], group.values[4], group.spread], [3, 1, 5, 2 / 3]);
  const [two] = groupMeasurements(values.slice(0, 2));
  equal([two.median, two.spread], [3, 4 / 3]);
});

Deno.test("better is known for times and rates and for nothing else", () => {
  equal(
    [["time", "ms"], ["tokens/s", "tokens/s"], ["val_bpb", ""], ["GFLOP/s", "GFLOP/s"], ["share", "%"], [
      "peak memory",
      "MB",
    ], ["depth", ""]].map(([metric, unit]) => lowerIsBetter(metric, unit)),
    [true, false, true, false, null, true, null],
  );
});

Deno.test("a report compares candidates by ratio and geometric mean and says which is better", async () => {
  const lines = [["small", "torch", 2], ["small", "ours", 1], ["small", "ours", 1.2], ["small", "ours", 1.1], [
    "large",
    "torch",
    40,
  ], ["large", "ours", 80]]
    .map(([shape, library, ms]) => JSON.stringify({ shape, library, ms }));
  const { executor, text } = await runTask("Report on these benchmark results", { text: lines.join("\n") });
  same(executor, "benchmark-report");
  match(text, /## ms, lower is better/);
  match(text, /\| measured \| ours \| torch \| ours ÷ torch \|/);
  match(text, /\| small \| 1\.1 \| 2 \| 0\.55 \|/);
  match(text, /\| large \| 80 \| 40 \| 2\.00 \|/);
  match(text, /`ours` ÷ `torch`: 1\.049 in the geometric mean \(0\.55 to 2\.00 in 2\), which is worse for `ours`/);
});

Deno.test("wide spreads and single measurements are pointed out", async () => {
  const wide = await runTask("Summarize the benchmark output", {
    text: ["a: 10 ms", "a: 11 ms", "a: 30 ms", "a: 31 ms"].join("\n"),
  });
  match(wide.text, /\| 4 \| 20\.5 \| 10 \| 31 \| 95 % \|/);
  match(wide.text, /1 of 1 vary by more than 20 %/);
  const single = await runTask("Report on the benchmark results", { text: "x 5 ms\ny 7 ms\n" });
  match(single.text, /Each thing was measured once/);
});

Deno.test("without a file our own results are looked for, and the place is named where there are none", () =>
  withFolder(async (folder) => {
    const task = "Report on our latest benchmark results";
    const none = await runTask(task, { listFolder: () => Promise.reject(new Deno.errors.NotFound("none")) });
    equal([none.status, none.used], ["needs-input", []]);
    match(none.text, /there are none in tests\/bench\/results/);
    await Deno.mkdir(`${folder}/tests/bench/results`, { recursive: true });
    await Deno.writeTextFile(`${folder}/tests/bench/results/a.jsonl`, '{"name":"x","ms":3}\n{"name":"x","ms":5}\n');
    const at = (path: string) => `${folder}/${path.replace(/^\.\//, "")}`;
    const { localFiles } = await import("../../router/executors/mod.ts");
    const files = localFiles();
    const { text, used } = await runTask(task, {
      listFolder: (path) => files.listFolder(at(path)),
      readFile: (path, limit) => files.readFile(at(path), limit),
      fileFacts: (path) => files.fileFacts!(at(path)),
    });
    ok(used.length === 1 && used[0].endsWith("tests/bench/results/a.jsonl"), used.join());
    match(text, /\| x \| 2 \| 4 \| 3 \| 5 \| 50 % \|/);
  }));
