/**
 * The session's own clone: experiments are edited, trained and committed there, never in the user's checkout. Commits
 * are made from the record (parent, text, message, date), so making one again gives the same hash; that is what lets a
 * killed session be put in order from its database alone.
 * @module
 */
import { join } from "node:path";
import { firstLine, type Git, SessionError } from "./git.ts";

/** The one file that agents edit. */
export const TRAIN_FILE = "trainer/train.ts";

/** What one commit is made of. */
export interface CommitPlan {
  /** Commit that it follows. */
  readonly parent: string;
  /** `train.ts`. */
  readonly source: string;
  /** Whole message. */
  readonly message: string;
  /** ISO 8601. */
  readonly date: string;
}

/** The user's repository at the start of a session. */
export interface Checkout {
  /** Its folder. */
  readonly folder: string;
  /** HEAD. */
  readonly commit: string;
  /** Whether tracked files differ from HEAD; the session does not see those changes. */
  readonly dirty: boolean;
}

/**
 * Looks at the user's repository without changing it.
 * @throws {SessionError} it is none, it has no commit, or HEAD holds no `trainer/train.ts`
 */
export async function inspectCheckout(git: Git, folder: string): Promise<Checkout> {
  const inside = await git.attempt(folder, ["rev-parse", "--show-toplevel"]);
  if (!inside.success) {
    const why = firstLine(inside.stderr);
    throw new SessionError(
      /not a git repository/.test(why)
        ? `${folder} is not a git repository; clone the repository, or run git init and commit what is there`
        : `git cannot read ${folder}: ${why}`,
    );
  }
  const top = await Deno.realPath(inside.stdout.trim());
  if (top !== await Deno.realPath(folder)) {
    throw new SessionError(`${folder} is part of the repository ${top}; it has to be a repository of its own`);
  }
  const head = await git.attempt(folder, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]);
  if (!head.success) throw new SessionError(`${folder} has no commit yet; commit what is there and try again`);
  const commit = head.stdout.trim();
  if (!(await git.attempt(folder, ["cat-file", "-e", `${commit}:${TRAIN_FILE}`])).success) {
    throw new SessionError(`HEAD of ${folder} holds no ${TRAIN_FILE}; commit it and try again`);
  }
  const status = await git.run(folder, ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules"]);
  return { folder, commit, dirty: status !== "" };
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

/** The clone of one session. */
export class Workspace {
  readonly #git: Git;
  readonly #checkout: string;
  /** Folder of the clone. */
  readonly folder: string;
  /** Branch of kept experiments, here and in the user's repository. */
  readonly branch: string;

  /**
   * Creates one.
   * @param session folder of the session @param checkout folder of the user's repository
   */
  constructor(git: Git, session: string, checkout: string, branch: string) {
    this.#git = git;
    this.#checkout = checkout;
    this.folder = join(session, "repo");
    this.branch = branch;
  }

  /**
   * Makes the clone, with the branch at `commit` checked out. A half-made one is replaced; objects are copied, not
   * linked, so that nothing written here can reach the user's repository.
   * @throws {SessionError} git failed
   */
  async clone(commit: string): Promise<void> {
    const fresh = `${this.folder}.new`;
    await remove(fresh);
    await remove(this.folder);
    await Deno.mkdir(fresh, { recursive: true });
    await this.#git.run(fresh, ["init", "--quiet", "--initial-branch", this.branch]);
    const fetch = ["fetch", "--quiet", "--no-tags", "--update-shallow", "--no-write-fetch-head", this.#checkout];
    // By its hash where HEAD has moved on since the session began.
    const here = (await this.#git.run(this.#checkout, ["rev-parse", "HEAD"])) === commit;
    await this.#git.run(fresh, [...fetch, `+${here ? "HEAD" : commit}:refs/researchswarm/base`]);
    await this.#git.run(fresh, ["reset", "--quiet", "--hard", commit]);
    await Deno.rename(fresh, this.folder);
  }

  /** Whether the clone is there and knows this commit. */
  async has(commit: string): Promise<boolean> {
    if (!await Deno.stat(join(this.folder, ".git")).then((info) => info.isDirectory, () => false)) return false;
    const missing = await this.#git.attempt(this.folder, ["rev-list", "--objects", "--missing=print", "-1", commit]);
    return missing.success && !/^\?/m.test(missing.stdout);
  }

  /** Text of `train.ts` in a commit. */
  async sourceOf(commit: string): Promise<string> {
    return (await this.#git.attempt(this.folder, ["show", `${commit}:${TRAIN_FILE}`])).stdout;
  }

  /** Writes `train.ts` of the work tree: the old text or the new one, never a part. */
  async write(source: string): Promise<void> {
    const path = join(this.folder, TRAIN_FILE);
    const fresh = `${this.folder}-train.ts.new`;
    await Deno.writeTextFile(fresh, source);
    await Deno.rename(fresh, path);
  }

  /** Unified diff between two texts of `train.ts`; empty if they are equal. */
  async diff(before: string, after: string): Promise<string> {
    const hashes: string[] = [];
    for (const text of [before, after]) hashes.push(await this.#store(text));
    const diff = await this.#git.run(this.folder, ["diff", "--no-ext-diff", "--no-textconv", "--no-color", ...hashes]);
    return diff.replaceAll(/^(---|\+\+\+) ([ab])\/[0-9a-f]+$/gm, `$1 $2/${TRAIN_FILE}`)
      .replace(/^diff --git .*$/m, `diff --git a/${TRAIN_FILE} b/${TRAIN_FILE}`);
  }

  #store(text: string): Promise<string> {
    return this.#git.run(this.folder, ["hash-object", "-w", "--no-filters", "--stdin"], { input: text });
  }

  /**
   * Makes a commit that changes `train.ts` alone, without moving the branch.
   * @returns its hash, the same for the same plan; the parent's where the text does not differ
   */
  async commit(plan: CommitPlan): Promise<string> {
    const blob = await this.#store(plan.source);
    const [entry] = (await this.#git.run(this.folder, ["ls-tree", plan.parent, "--", TRAIN_FILE])).split("\n");
    const [mode, , old] = entry.split(/\s+/);
    if (old === blob) return plan.parent;
    const env = { GIT_INDEX_FILE: `${this.folder}-commit.index` };
    await remove(env.GIT_INDEX_FILE);
    await remove(`${env.GIT_INDEX_FILE}.lock`);
    await this.#git.run(this.folder, ["read-tree", plan.parent], { env });
    await this.#git.run(this.folder, ["update-index", "--cacheinfo", `${mode},${blob},${TRAIN_FILE}`], { env });
    const tree = await this.#git.run(this.folder, ["write-tree"], { env });
    await remove(env.GIT_INDEX_FILE);
    return await this.#git.run(this.folder, ["commit-tree", tree, "-p", plan.parent, "-F", "-"], {
      input: plan.message,
      env: { GIT_AUTHOR_DATE: plan.date, GIT_COMMITTER_DATE: plan.date },
    });
  }

  /** Puts branch, index and work tree at a commit, whatever state a kill has left them in. */
  async moveTo(commit: string): Promise<void> {
    // The session's lock is held, so a lock file of git has no owner any more.
    for (const file of ["index.lock", "HEAD.lock", `refs/heads/${this.branch}.lock`]) {
      await remove(join(this.folder, ".git", file));
    }
    await this.#git.run(this.folder, ["symbolic-ref", "HEAD", `refs/heads/${this.branch}`]);
    await this.#git.run(this.folder, ["reset", "--quiet", "--hard", commit]);
  }

  /**
   * Brings the branch into the user's repository, without touching its work tree, index or FETCH_HEAD.
   * @returns why it could not be done, null if it was
   */
  async publish(): Promise<string | null> {
    const ref = `refs/heads/${this.branch}`;
    const result = await this.#git.attempt(this.#checkout, [
      "fetch",
      "--quiet",
      "--no-tags",
      "--no-write-fetch-head",
      "--update-shallow",
      this.folder,
      `${ref}:${ref}`,
    ]);
    return result.success ? null : firstLine(result.stderr);
  }
}
