/** Promises of the session's clone, with real repositories whose owner has set traps of every kind. */
import { deepStrictEqual as equal, notStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { Git } from "../trainer/overnight/git.ts";
import { inspectCheckout, TRAIN_FILE, Workspace } from "../trainer/overnight/workspace.ts";

const baseline = "export const config = {\n  // #space\n  depth: 4, // int 1..8\n  // #end\n};\n";

/** git as a user would call it, with the identity of the test. */
async function user(folder: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args: ["-C", folder, "-c", "user.name=user", "-c", "user.email=user@host", ...args],
    env: { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
  }).output();
  if (!success) throw new Error(`git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

interface Place {
  root: string;
  checkout: string;
  session: string;
  git: Git;
  workspace: Workspace;
  base: string;
}

async function withRepository(work: (place: Place) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    const checkout = join(root, "check out"); // a space, since paths are no words
    const session = join(root, "session");
    await Deno.mkdir(join(checkout, "trainer"), { recursive: true });
    await Deno.mkdir(session);
    await Deno.writeTextFile(join(checkout, TRAIN_FILE), baseline);
    await Deno.writeTextFile(join(checkout, "README.md"), "hello\n");
    await user(checkout, "init", "--quiet", "--initial-branch=main");
    await user(checkout, "add", "-A");
    await user(checkout, "commit", "--quiet", "-m", "first");
    const git = new Git(join(session, "gitconfig"));
    const workspace = new Workspace(git, session, checkout, "researchswarm/t");
    await work({ root, checkout, session, git, workspace, base: await user(checkout, "rev-parse", "HEAD") });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Everything of a repository that a session must leave alone: work tree, index, HEAD, refs but the session's, configuration. */
async function fingerprint(checkout: string): Promise<Record<string, string>> {
  const prints: Record<string, string> = {};
  async function walk(folder: string) {
    for await (const entry of Deno.readDir(join(checkout, folder))) {
      const path = join(folder, entry.name);
      if (path === ".git/objects" || /^\.git\/(logs\/)?refs\/heads\/researchswarm/.test(path)) continue;
      if (entry.isDirectory) await walk(path);
      else prints[path] = new TextDecoder().decode(await Deno.readFile(join(checkout, path)));
    }
  }
  await walk("");
  return prints;
}

const plan = (parent: string, source: string) => ({
  parent,
  source,
  message: "exp_001: depth 4 → 5\n\nwhy\n",
  date: "2026-01-02T03:04:05.678Z",
});

Deno.test("a commit changes train.ts alone, has the session's author, and is the same when it is made again", () =>
  withRepository(async ({ workspace, checkout, base }) => {
    await workspace.clone(base);
    const source = baseline.replace("4", "5");
    await workspace.write("half an edit of something else");
    const commit = await workspace.commit(plan(base, source));
    equal(await workspace.commit(plan(base, source)), commit);
    await workspace.moveTo(commit);
    equal(await Deno.readTextFile(join(workspace.folder, TRAIN_FILE)), source);
    equal(await user(workspace.folder, "diff", "--name-only", base, "HEAD"), TRAIN_FILE);
    equal(
      await user(workspace.folder, "log", "-1", "--format=%an %ae %aI"),
      "ResearchSwarm researchswarm@localhost 2026-01-02T03:04:05+00:00",
    );
    equal(await user(workspace.folder, "status", "--porcelain"), "");
    equal(await workspace.sourceOf(commit), source);
    equal(await workspace.commit(plan(commit, source)), commit, "an equal text makes no commit");
    notStrictEqual(commit, await user(checkout, "rev-parse", "HEAD"));
  }));

Deno.test("the user's repository gets the branch and no other change, whatever its hooks and configuration are", () =>
  withRepository(async ({ root, workspace, checkout, git, base }) => {
    const trap = join(root, "trap");
    const script = `#!/bin/sh\ntouch ${trap}\nexit 1\n`;
    const hooks = join(checkout, ".git", "hooks");
    await Deno.mkdir(hooks, { recursive: true });
    const names = ["post-checkout", "pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-merge"];
    for (const name of [...names, "pre-receive", "update", "post-update", "pre-auto-gc", "fsmonitor-watchman"]) {
      await Deno.writeTextFile(join(hooks, name), script, { mode: 0o755 });
    }
    const program = join(root, "program");
    await Deno.writeTextFile(program, script, { mode: 0o755 });
    await Deno.writeTextFile(
      join(checkout, ".git", "config"),
      `\n[core]\n\tfsmonitor = ${program}\n\tsshCommand = ${program}\n\thooksPath = ${hooks}\n\teditor = ${program}\n\tpager = ${program}` +
        `\n\tautocrlf = true\n[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = ${program}\n[uploadpack]\n\tpackObjectsHook = ${program}` +
        `\n[fetch]\n\tprune = true\n[diff]\n\texternal = ${program}\n[user]\n\tname = somebody\n[gc]\n\tauto = 1\n`,
      { append: true },
    );
    const inherited = {
      GIT_DIR: join(root, "nowhere"),
      GIT_INDEX_FILE: join(root, "no-index"),
      GIT_EXTERNAL_DIFF: program,
    };
    for (const [name, value] of Object.entries(inherited)) Deno.env.set(name, value);
    try {
      const before = await fingerprint(checkout);
      equal((await inspectCheckout(git, checkout)).dirty, false);
      await workspace.clone(base);
      const commit = await workspace.commit(plan(base, baseline.replace("4", "5")));
      await workspace.moveTo(commit);
      ok((await workspace.diff(baseline, baseline.replace("4", "5"))).includes("+  depth: 5,"));
      equal(await workspace.publish(), null);
      equal(await workspace.publish(), null, "bringing it twice is no trouble");
      for (const name of Object.keys(inherited)) Deno.env.delete(name);
      equal(await git.run(checkout, ["rev-parse", "researchswarm/t"]), commit);
      equal(await fingerprint(checkout), before);
      equal(await Deno.stat(trap).then(() => "sprung", () => "untouched"), "untouched");
    } finally {
      for (const name of Object.keys(inherited)) Deno.env.delete(name);
    }
  }));

Deno.test("changes that are not committed are reported and left out", () =>
  withRepository(async ({ workspace, checkout, git }) => {
    await Deno.writeTextFile(join(checkout, "README.md"), "changed\n");
    const { dirty, commit } = await inspectCheckout(git, checkout);
    equal(dirty, true);
    await workspace.clone(commit);
    equal(await Deno.readTextFile(join(workspace.folder, "README.md")), "hello\n");
    equal(await Deno.readTextFile(join(checkout, "README.md")), "changed\n");
  }));

Deno.test("a detached HEAD, a shallow clone and a linked work tree can start a session", () =>
  withRepository(async ({ root, checkout, base }) => {
    await Deno.writeTextFile(join(checkout, "README.md"), "second\n");
    await user(checkout, "commit", "--quiet", "-am", "second");
    const head = await user(checkout, "rev-parse", "HEAD");
    const shallow = join(root, "shallow");
    await user(root, "clone", "--quiet", "--depth", "1", `file://${checkout}`, shallow);
    const linked = join(root, "linked");
    await user(checkout, "worktree", "add", "--quiet", "--detach", linked, base);
    await user(checkout, "checkout", "--quiet", "--detach");
    for (const [folder, expected] of [[checkout, head], [shallow, head], [linked, base]]) {
      const session = await Deno.makeTempDir({ dir: root });
      const git = new Git(join(session, "gitconfig"));
      const { commit } = await inspectCheckout(git, folder);
      equal(commit, expected);
      const workspace = new Workspace(git, session, folder, `researchswarm/${session.slice(-8)}`);
      await workspace.clone(commit);
      ok(await workspace.has(commit));
      const made = await workspace.commit(plan(commit, baseline.replace("4", "6")));
      await workspace.moveTo(made);
      equal(await workspace.publish(), null);
      equal(await user(folder, "rev-parse", workspace.branch), made);
    }
  }));

Deno.test("the clone starts from its commit even when HEAD has moved on, and shares no file with the user's objects", () =>
  withRepository(async ({ workspace, checkout, base }) => {
    await user(checkout, "commit", "--quiet", "--allow-empty", "-m", "later");
    await workspace.clone(base);
    equal(await user(workspace.folder, "rev-parse", "HEAD"), base);
    async function links(folder: string): Promise<number> {
      let most = 0;
      for await (const entry of Deno.readDir(folder)) {
        const path = join(folder, entry.name);
        most = Math.max(most, entry.isDirectory ? await links(path) : (await Deno.stat(path)).nlink ?? 1);
      }
      return most;
    }
    equal(await links(join(workspace.folder, ".git", "objects")), 1);
  }));

Deno.test("lock files, a foreign HEAD, a dirty index and work tree do not stop a session from going on", () =>
  withRepository(async ({ workspace, base }) => {
    await workspace.clone(base);
    const commit = await workspace.commit(plan(base, baseline.replace("4", "5")));
    const inside = (file: string) => join(workspace.folder, ".git", file);
    await user(workspace.folder, "checkout", "--quiet", "--detach");
    await Deno.writeTextFile(join(workspace.folder, "README.md"), "scribble");
    await user(workspace.folder, "add", "README.md");
    for (const file of ["index.lock", "HEAD.lock", "refs/heads/researchswarm/t.lock"]) {
      await Deno.writeTextFile(inside(file), "");
    }
    await workspace.moveTo(commit);
    equal(await user(workspace.folder, "status", "--porcelain", "--branch"), "## researchswarm/t");
    equal(await user(workspace.folder, "rev-parse", "HEAD"), commit);
  }));

Deno.test("a clone that lost its objects is seen to be damaged", () =>
  withRepository(async ({ workspace, base }) => {
    equal(await workspace.has(base), false, "before there is one");
    await workspace.clone(base);
    equal(await workspace.has(base), true);
    await Deno.remove(join(workspace.folder, ".git", "objects"), { recursive: true });
    equal(await workspace.has(base), false);
    await workspace.clone(base);
    equal(await workspace.has(base), true);
  }));

Deno.test("a branch that the user moved or checked out is reported and not overwritten", () =>
  withRepository(async ({ workspace, checkout, base }) => {
    await workspace.clone(base);
    await user(checkout, "checkout", "--quiet", "-b", "researchswarm/t");
    await user(checkout, "commit", "--quiet", "--allow-empty", "-m", "mine");
    const mine = await user(checkout, "rev-parse", "HEAD");
    const commit = await workspace.commit(plan(base, baseline.replace("4", "5")));
    await workspace.moveTo(commit);
    ok(await workspace.publish());
    await user(checkout, "checkout", "--quiet", "main");
    ok(await workspace.publish());
    equal(await user(checkout, "rev-parse", "researchswarm/t"), mine);
  }));

Deno.test("a folder that is no repository, has no commit, or no train.ts is refused in one sentence", () =>
  withRepository(async ({ root, checkout, git }) => {
    const refused = (folder: string, expected: RegExp) =>
      rejects(inspectCheckout(git, folder), (error: Error) => {
        ok(expected.test(error.message) && !error.message.includes("\n"), error.message);
        return true;
      });
    const plain = join(root, "plain");
    await Deno.mkdir(plain);
    await refused(plain, /is not a git repository; clone/);
    await user(plain, "init", "--quiet");
    await refused(plain, /has no commit yet/);
    await user(plain, "commit", "--quiet", "--allow-empty", "-m", "x");
    await refused(plain, /holds no trainer\/train\.ts/);
    await refused(join(checkout, "trainer"), /is part of the repository/);
  }));
