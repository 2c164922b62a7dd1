/** `--judge` from the command line: off by default, permissions first, a real server behind it. */
import assert from "node:assert/strict";
import { cli } from "./_cli.ts";
import { openaiAnswer, startJudge } from "./_judge.ts";

const task = "Plot the loss curve of run 7";
const environment = ["OPENAI_API_KEY", "OPENAI_BASE_URL"];
const allowed = `--allow-env=${environment.join(",")}`;

Deno.test("the judge makes a digital task human, and the handoff follows", async () => {
  const answer = openaiAnswer({ domain: "human-action", segments: [{ text: task, domain: "human-action" }] });
  await using server = await startJudge({ good: answer, broken: { status: 503 } });
  const env = { OPENAI_BASE_URL: `${server.address}/good/v1`, OPENAI_API_KEY: "key" };
  const flags = [allowed, `--allow-net=${new URL(server.address).host}`];
  const { code, json, err } = await cli(["--judge", "openai:careful", task], { flags, env });
  assert.equal(code, 0, err);
  assert.equal(json.domain, "human-action");
  assert.equal(json.status, "awaiting-human");
  assert.equal(json.handoff.items.length, 1);
  assert.match(json.reasons.join(" "), /The judge careful takes "Plot the loss curve of run 7" for work of a person/);
  const five = await cli(["classify", "--judge", "openai:careful", task], { flags, env });
  assert.deepEqual(five.json.human_segments, [task]);
  const broken = await cli(["classify", "--judge", "openai:careful", task], {
    flags,
    env: { ...env, OPENAI_BASE_URL: `${server.address}/broken/v1` },
  });
  assert.equal(broken.code, 0);
  assert.equal(broken.json.domain, "text-based");
  assert.match(broken.err, /^note: the judge careful gave no answer that counts: it answered with HTTP status 503; /);
  const unasked = await cli(["classify", task], { flags, env });
  assert.equal(unasked.json.domain, "text-based");
  const requests = await server.requests();
  assert.equal(requests.length, 3, "a task without --judge asked the judge");
});

const refused: [
  name: string,
  judge: string,
  flags: string[],
  env: Record<string, string>,
  code: number,
  message: RegExp,
][] = [
  [
    "no permission",
    "openai:m",
    [],
    {},
    3,
    /^error: --judge needs --allow-env=OPENAI_API_KEY,OPENAI_BASE_URL --allow-net=api\.openai\.com:443 before the name of the script\n$/,
  ],
  [
    "no network",
    "openai:m",
    [allowed],
    { OPENAI_BASE_URL: "http://localhost:8080/v1" },
    3,
    /^error: --judge needs --allow-net=localhost:8080 before/,
  ],
  [
    "no key",
    "openai:m",
    [allowed, "--allow-net=api.openai.com"],
    { OPENAI_API_KEY: "" },
    2,
    /needs a key in OPENAI_API_KEY/,
  ],
  [
    "no web address",
    "openai:m",
    [allowed, "--allow-net"],
    { OPENAI_BASE_URL: "ftp://x" },
    2,
    /OPENAI_BASE_URL is no web address/,
  ],
  [
    "a key over an open line",
    "openai:m",
    [allowed, "--allow-net"],
    { OPENAI_BASE_URL: "http://models.example/v1", OPENAI_API_KEY: "key" },
    2,
    /is not encrypted, so OPENAI_API_KEY is not sent there/,
  ],
  [
    "another provider's variables",
    "anthropic:m",
    [allowed],
    {},
    3,
    /--allow-env=ANTHROPIC_API_KEY,ANTHROPIC_BASE_URL --allow-net=api\.anthropic\.com:443/,
  ],
];

Deno.test("a judge that cannot be asked is one sentence before any work", async () => {
  for (const [name, judge, flags, env, code, message] of refused) {
    const result = await cli(["--judge", judge, task], { flags, env: { OPENAI_BASE_URL: "", ...env } });
    assert.equal(result.code, code, `${name}: ${result.err}${result.out}`);
    assert.match(result.err, message, name);
    assert.equal(result.err.trim().split("\n").length, 1, name);
    assert.equal(result.out, "", name);
  }
});
