/** Which names and texts are taken for secrets, and which are not. No real key stands in here: each is put together from parts. */
import { deepStrictEqual as equal, ok, rejects, strictEqual as same } from "node:assert";
import { InputError, inputOf, localFiles, readInput } from "../../router/executors/mod.ts";
import { pathsIn } from "../../router/executors/paths.ts";
import { oneLine, safeText } from "../../router/executors/safe_text.ts";
import { redactSecrets, secretContent, secretName } from "../../router/executors/secrets.ts";
import { runTask, withFolder } from "./_fixture.ts";

const random = "q7Rw2ZkXc9LmVn4TbY8sHd3FgJ6pKe1aUoQiWxNz5Mv0";
const join = (...parts: string[]) => parts.join("");

/** One text of each kind. */
const secrets: Readonly<Record<string, string>> = {
  pem: join("-----BEGIN ", "PRIVATE KEY-----"),
  encrypted: join("-----BEGIN ENCRYPTED ", "PRIVATE KEY-----"),
  pgp: join("-----BEGIN PGP ", "PRIVATE KEY BLOCK-----"),
  putty: join("PuTTY-User-", "Key-File-3: ssh-ed25519"),
  awsId: join("AKIA", "Q7RW2ZKXC6LMVN4T"),
  awsSecret: join("aws_secret_access_", "key = ", random.slice(0, 40)),
  github: join("ghp_", random.slice(0, 36)),
  githubPat: join("github_", "pat_", random, "_x"),
  gitlab: join("glpat-", random.slice(0, 20)),
  slack: join("xoxb-", "2938475610-", random.slice(0, 24)),
  anthropic: join("sk-ant-", random),
  openai: join("sk-proj-", random),
  google: join("AIza", random.slice(0, 35)),
  stripe: join("sk_live_", random.slice(0, 24)),
  npm: join("//registry/:_auth", "Token=npm_", random.slice(0, 36)),
  huggingface: join("hf_", random.replace(/\W/g, "").slice(0, 34)),
  jwt: join("eyJhbGciOiJIUzI1", "NiJ9.eyJzdWIiOiI5", "ODc2NTQzMiJ9.", random.slice(0, 30)),
  bearer: join("Authorization: Bea", "rer ", random),
  url: join("postgres://admin:", "h4rdToGuess9", "@db.internal:5432/x"),
  azure: join("AccountKey=", random, "=="),
  password: join("DB_PASS", "WORD=", "h4rdToGuess9"),
  yaml: join("  api_", 'key: "', random.slice(0, 20), '"'),
};

Deno.test("texts with keys, tokens and passwords of many kinds are told, with the line, and redacted", () => {
  for (const [kind, secret] of Object.entries(secrets)) {
    const text = `first line\nsecond line\n${secret}\nlast line\n`;
    same(secretContent(text)?.line, 3, kind);
    const clean = redactSecrets(text);
    ok(clean.includes("[redacted]") && clean.includes("last line"), kind);
    same(secretContent(clean), null, kind);
  }
});

Deno.test("documentation, code and prose about keys are no secrets", () => {
  const harmless = [
    "Set AWS_ACCESS_KEY_ID to AKIAIOSFODNN7EXAMPLE and go on.",
    "export GITHUB_TOKEN=<your token>",
    "api_key: ${API_KEY}",
    "password: string;",
    "const token = process.env.TOKEN_FOR_THE_TESTS;",
    "const apiKey = readKeyFromKeychain(name1);",
    "The password is what you chose when you signed up.",
    "PASSWORD=changeme123",
    "postgres://user:password@localhost/db",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI someone@host",
    "commit 9a66e68300202600f7bf9188b4713a5765e09721",
    "tokens_per_second: 5350",
    "token: 1234567890abcdef0123",
    "sk-learn and sk-image are packages",
    "max_tokens = 8192",
    "TOKENIZER=bpe-32k-v2",
  ];
  for (const text of harmless) equal(secretContent(text), null, text);
});

Deno.test("this repository holds no secrets by its own judgement", async () => {
  for (
    const file of [
      "README.md",
      "deno.json",
      "trainer/train.ts",
      "memory/sessions.ts",
      "trainer/overnight/cli.ts",
      "trainer/tokenizer.ts",
    ]
  ) {
    const url = new URL(`../../${file}`, import.meta.url);
    same(secretContent(await Deno.readTextFile(url)), null, file);
  }
});

Deno.test("names of secrets are told in any case, place and disguise, and other names are not", () => {
  const refused = [
    ".env",
    ".env.local",
    "prod.env",
    "a/.ENV",
    "./x/../.env/",
    "．env",
    "file:///a/%2eenv",
    ".env/production",
    "server.pem",
    "x.key",
    "id_rsa",
    "id_ed25519.pub",
    "credentials",
    "credentials.json",
    "aws_credentials",
    ".npmrc",
    ".netrc",
    "_netrc",
    ".pgpass",
    "vault.kdbx",
    "cert.p12",
    "k.pfx",
    "app.jks",
    "secrets.yaml",
    "client_secret.json",
    "service-account.json",
    "~/.ssh/config",
    "/home/u/.aws/config",
    ".git-credentials",
    "terraform.tfstate",
    ".bash_history",
    "/proc/self/environ",
    "/proc/12/mem",
    "/dev/sda",
    "server.key ",
    "server.pem.",
    "a\u200b/.e\u200bnv",
    "dir\\.env",
  ];
  for (const path of refused) ok(secretName(path) !== null, path);
  const allowed = [
    "README.md",
    "environment.ts",
    "keys.md",
    "tokenizer.json",
    "tokens.txt",
    "monkey.txt",
    "keyboard.csv",
    "secret_garden.txt",
    "public.jsonl",
    "sessions/x/session.db",
    "env.ts",
    "passwords_and_you.md",
    "deno.json",
    "hockey.key.txt",
    "penv.md",
    "docs/credential-flow.md",
    "/proc/cpuinfo",
    "sub/.env/../notes.txt",
  ];
  for (const path of allowed) same(secretName(path), null, path);
});

Deno.test("a file of keys is refused by --file as well, by what it is, links to, or holds", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/.env`, "A=1\n");
    await Deno.symlink(`${folder}/.env`, `${folder}/readme.md`);
    await Deno.symlink(`${folder}/readme.md`, `${folder}/twice.md`);
    await Deno.writeTextFile(`${folder}/notes.md`, `text\n${secrets.github}\n`);
    await Deno.writeFile(
      `${folder}/wide.txt`,
      new Uint8Array([0xff, 0xfe, ...[...secrets.github].flatMap((letter) => [letter.charCodeAt(0), 0])]),
    );
    for (const name of [".env", "readme.md", "twice.md", "notes.md", "wide.txt"]) {
      await rejects(readInput(`${folder}/${name}`), (error: unknown) => {
        ok(error instanceof InputError && error.status === "refused", name);
        ok(!error.message.includes(secrets.github) && !error.message.includes("\n"), error.message);
        return true;
      });
    }
    await rejects(readInput(`${folder}/readme.md`), /the link was followed/);
    await rejects(readInput(folder), /is a folder/);
    await rejects(readInput(`${folder}/absent`), /^InputError: There is no file [^\n]*absent\.$/);
  }));

Deno.test("reading stops at the limit and says so", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a.txt`, "x".repeat(10_000));
    equal((await localFiles().readFile(`${folder}/a.txt`, 100)).length, 100);
    const input = { ...inputOf("a.txt", new TextEncoder().encode("word ".repeat(20))), size: 5_000_000 };
    ok((await runTask("Analyze this file", { input })).text.includes("Only the first 100 of 5000000 bytes were read"));
  }));

Deno.test("without permission the answer names the flag", async () => {
  const code = `import { chooseExecutor, localFiles } from ${
    JSON.stringify(new URL("../../router/executors/mod.ts", import.meta.url).href)
  };
    const task = "Summarize ./notes.md"; const executor = chooseExecutor(task, task, false);
    console.log(JSON.stringify(await executor.run({ ...localFiles(), task, segment: task, now: new Date() })));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", `data:text/typescript,${encodeURIComponent(code)}`],
  }).output();
  const result = JSON.parse(new TextDecoder().decode(stdout));
  equal([result.status, result.used], ["needs-input", []]);
  same(result.text, "Reading ./notes.md needs the permission --allow-read=./notes.md.");
});

Deno.test("terminal control, marks of direction and invisible letters go; words, tabs and line breaks stay", () => {
  const cases: [string, string][] = [
    ["a\x1b[31mred\x1b[0m b", "ared b"],
    ["\x1b]0;title\x07x\x1b]8;;http://x\x1b\\link", "xlink"],
    ["\x9b2Jc\x90q\x9cd", "cd"],
    ["N\bNA\bA _\bx", "NA x"],
    ["50 %\r100 %\r\ndone", "50 %\n100 %\ndone"],
    ["\u202eevil\u202c \u2066x\u2069 a\u200bb\ufeff\u00ad", "evil x ab"],
    ["a\u{e0041}\u{e0042}b", "ab"],
    ["\ud800x", "\ufffdx"],
    ["tab\tline\nend", "tab\tline\nend"],
    ["नमस्ते می‌خواهم 👩‍💻", "नमस्ते می‌خواهم 👩‍💻"],
    ["\x1b[".repeat(3) + "31mx", "x"],
  ];
  for (const [text, wanted] of cases) same(safeText(text), wanted, JSON.stringify(text));
  same(oneLine(" a\n\tb  c ", 20), "a b c");
  same(oneLine("abcdefghij", 5), "abcd…");
});

Deno.test("files are found in tasks; addresses, versions and words are not", () => {
  const of = (task: string) =>
    pathsIn(task).filter(({ certain }) => certain).map(({ path, target }) => path + (target ? " (target)" : ""));
  equal(of("Summarize logs/train.log and the config"), ["logs/train.log"]);
  equal(of("Analyze 'my notes.md' and/or README.md:12."), ["my notes.md", "README.md"]);
  equal(of("compare v2.9.6 with 3.14 at https://x.org/a.md, e.g. node.js"), []);
  equal(of("look at ~/.ssh/id_rsa and .env"), ["~/.ssh/id_rsa", ".env"]);
  equal(of("Write the summary of notes.md to out/summary.md"), ["notes.md", "out/summary.md (target)"]);
  equal(of("the deno.json's fields"), ["deno.json"]);
});
