/** The plan of a classified task: what comes first, what waits, what is asked and what is verified. */
import assert from "node:assert/strict";
import { makePlan, planSteps, recommendedAction } from "../router/plan.ts";
import { quote } from "../router/plan_checks.ts";
import type { Domain } from "../router/types.ts";
import { routed } from "./_routing.ts";

/** Steps as "actor after…" in order of execution, by the parts' numbers. */
function order(marked: string): string {
  return planSteps(routed(marked)).map(({ part, by, after, waitsForPerson }) =>
    `${by === "person" ? "P" : "S"}${part}${after.length > 0 ? `<${after}` : ""}${waitsForPerson ? "!" : ""}`
  ).join(" ");
}

const orders: [name: string, marked: string, expected: string][] = [
  ["parts joined by a comma are independent", "{+Parse the log}, {-water the fern}", "S0 P1"],
  ["and joins without order", "{-Water the fern} and {+parse the log}", "P0 S1"],
  ["then gives an order", "{+Summarize the logs} and then {-restart the server}", "S0 P1<1"],
  ["a digital part after a person's waits", "{-Reseat the card}, then {+run the benchmark}", "P0 S1<1!"],
  ["before in the middle keeps the order", "{+Drain the node} before {-pulling the blade}", "S0 P1<1"],
  ["before at the start turns it round", "Before {-dismantling the stall}, {+export the sign-ups}", "S1 P0<1"],
  ["after at the start keeps it", "After {-swapping the fan}, {+plot the temperatures}", "P0 S1<1!"],
  ["after in the middle turns it round", "{+Plot the temperatures} after {-swapping the fan}", "P1 S0<1!"],
  ["once at the start", "Once {-the card is seated}, {+run nvidia-smi}", "P0 S1<1!"],
  ["it is what came before", "{+Typeset the diploma} and {-frame it}", "S0 P1<1"],
  ["a digital it waits for the person", "{-Fill in the form by hand} and {+scan it with the API}", "P0 S1<1!"],
  ["it with its own noun waits for nothing", "{-Water the fern}, {+take the table and sort it}", "P0 S1"],
  [
    "readings come from who measures",
    "{-Measure the voltage at the PDU}, {+mail Ida} and {+plot the readings}",
    "P0 S1 S2<1!",
  ],
  [
    "readings do not come from who asks",
    "{-Ask the caretaker for the key}, {+plot the readings of last week}",
    "P0 S1",
  ],
  ["waiting is passed on", "{-Swap the fan}, then {+read the sensors}, then {+plot the curve}", "P0 S1<1! S2<2!"],
  ["a new sentence ends the reach of before", "Before {-leaving}, {+save the file}. {+Mail the list}", "S1 P0<1 S2"],
  ["before governs all of its sentence", "Before {-leaving}, {+save the file} and {+mail the list}", "S1 S2 P0<1,2"],
  [
    "words that contradict themselves still give a plan",
    "Before {-leaving}, then {+mail Ida}",
    "P0 S1<1!",
  ],
];

Deno.test("planSteps() orders parts by the words between them", () => {
  for (const [name, marked, expected] of orders) assert.equal(order(marked), expected, name);
});

Deno.test("planSteps() has one step for every part, each after what it waits for, whatever the words", () => {
  const joiners = ["before ", ", then ", " after ", " and ", ". ", "; once ", ", ", " while "];
  let seed = 7;
  const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % n;
  for (let round = 0; round < 300; round++) {
    let marked = "";
    const parts = 1 + random(9);
    for (let i = 0; i < parts; i++) {
      marked += joiners[random(joiners.length)] +
        `{${"+-"[random(2)]}${["mail it", "weigh the box", "plot the readings"][random(3)]}}`;
    }
    const steps = planSteps(routed(marked));
    assert.deepEqual(steps.map(({ part }) => part).sort((a, b) => a - b), Array.from({ length: parts }, (_, i) => i));
    for (const { step, after } of steps) assert.ok(after.every((other) => other < step), marked);
  }
});

Deno.test("makePlan() of ten thousand parts is quick", () => {
  const classification = routed(
    Array.from({ length: 10_000 }, () => "before {-weighing it}, {+plot the readings} ").join(""),
  );
  const start = performance.now();
  assert.equal(makePlan(classification).steps.length, 20_000);
  assert.ok(performance.now() - start < 4000, `${performance.now() - start} ms`);
});

Deno.test("makePlan() names cognitive functions by domain: only what software does is executed, only what needs people escalates", () => {
  const functions = (marked: string) => makePlan(routed(marked)).cognitiveFunctions;
  assert.deepEqual(functions("{+Sort the table}"), ["perceive", "understand", "plan", "execute", "verify", "remember"]);
  assert.deepEqual(functions("{-Sort the screws}"), [
    "perceive",
    "understand",
    "plan",
    "escalate",
    "verify",
    "remember",
  ]);
  assert.deepEqual(functions("{+Sort the table}, {-sort the screws}"), [
    "perceive",
    "understand",
    "plan",
    "execute",
    "escalate",
    "verify",
    "remember",
  ]);
  assert.ok(!functions("Do the thing").includes("execute"));
});

Deno.test("recommendedAction() of a hybrid task is the sentence of the original's example", () => {
  assert.equal(
    recommendedAction("hybrid"),
    "Complete the digital portion now, isolate the physical/manual portion, and create an explicit handoff boundary.",
  );
  const all = (["text-based", "human-action", "hybrid", "unknown"] as Domain[]).map(recommendedAction);
  assert.equal(new Set(all).size, 4);
  for (const sentence of all) assert.match(sentence, /^[A-Z][^.]*\.$/);
});

const questions: [name: string, marked: string, givenFiles: number, expected: RegExp | null][] = [
  ["a machine without a name", "{-physically restart the server}", 0, /Which server is meant/],
  ["a machine with a name", "{-physically restart the server worker-21}", 0, null],
  [
    "a file that is only pointed at",
    "{+Analyze this file}",
    0,
    /Which file is meant by "this file"\? Name it with --file/,
  ],
  ["a file that came along", "{+Analyze this file}", 1, null],
  ["money without an amount", "{-Buy a spare fan}", 0, /What may "Buy a spare fan" cost/],
  ["money with an amount", "{-Buy a spare fan for 30 €}", 0, null],
  ["a signature", "{-Sign the lease}", 0, /Who is entitled/],
  ["a meeting without a time", "{-Interview Rosalind about the founding years}", 0, /When is this to happen/],
  ["a meeting with a time", "{-Interview Rosalind on Friday}", 0, null],
  ["a load without an end", "{-Carry the crate}", 0, /Where does this end/],
  ["a load with an end", "{-Carry the crate to the ramp}", 0, null],
  ["something that goes away", "{+Delete the build folder}", 0, /Is there a copy/],
  ["a doubt", "{?Turn the valve by 20 degrees}", 0, /really be done in software alone/],
  ["nothing to ask", "{+Plot the loss curve of run 7}", 0, null],
];

Deno.test("makePlan() asks what is missing, and nothing where nothing is", () => {
  for (const [name, marked, givenFiles, expected] of questions) {
    const { openQuestions } = makePlan(routed(marked), [], { givenFiles });
    if (expected === null) assert.deepEqual(openQuestions, [], name);
    else assert.ok(openQuestions.some((question) => expected.test(question)), `${name}: ${openQuestions}`);
  }
});

Deno.test("makePlan() of an unknown task has no step and asks what is to be done", () => {
  for (const task of ["Handle this somehow", "", "   ", "zzkl ;;; 0x##", "The thing."]) {
    const plan = makePlan(routed(task));
    assert.deepEqual(plan.steps, []);
    assert.match(plan.openQuestions.join(" "), /what is to be done/i, task);
  }
  assert.match(makePlan(routed("")).openQuestions[0], /empty/);
});

Deno.test("makePlan() says when only the beginning was read", () => {
  const { openQuestions } = makePlan(routed("{+Sort the table}", { truncated: true }));
  assert.match(openQuestions[0], /Only the beginning/);
});

Deno.test("makePlan() has one verification target a part, and holds the whole back for a person's evidence", () => {
  const { verificationTargets } = makePlan(
    routed("{+Draft a postmortem of run 3}, {+convert it to PDF} and {-reseat the GPU power cable}"),
  );
  assert.equal(verificationTargets.length, 4);
  assert.match(verificationTargets[0], /^Digital: "Draft a postmortem of run 3".*stands in its sources/);
  assert.match(verificationTargets[1], /opens in its format/);
  assert.match(
    verificationTargets[2],
    /^Person: "reseat the GPU power cable" counts as done only with evidence: photo/,
  );
  assert.match(verificationTargets[3], /held until the evidence is there/);
});

Deno.test("makePlan() keeps the numbers of the context", () => {
  assert.deepEqual(makePlan(routed("{+Sort the table}"), [{ id: 4 }, { id: 2 }]).context, [4, 2]);
});

Deno.test("quote() cuts between characters and keeps one line", () => {
  assert.equal(quote("a\n b"), '"a b"');
  const long = quote("😀".repeat(200));
  assert.ok(long.isWellFormed() && long.endsWith('…"'));
  assert.equal(Array.from(long).length, 74);
});
