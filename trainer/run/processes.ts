/**
 * How worker and evaluator are started: flags, permissions, an empty environment, and what is kept of their stderr.
 *
 * Why these flags: a static import of a file needs no read permission, so `train.ts` is imported by a URL that arrives at
 * run time; `npm:` and `https:` imports get around the network permission, so both are switched off; a configuration or
 * lock file near the code could grant something, so none is read. `localStorage` and `caches` need no permission and
 * live in DENO_DIR, where one run could leave weights or rows for the next: DENO_DIR is a path that cannot be created.
 * @module
 */
import { encodeFrame, type FrameKind, FrameReader, type ReceivedFrame } from "./protocol.ts";

/** Where a child may go. */
export interface ChildPermissions {
  /** The kernel library, the one file that may be opened as code. */
  ffi: string;
  read: string[];
  write: string[];
  /** Whether the child gives its own Web Workers fewer permissions (an unstable option of Deno). */
  workerOptions?: boolean;
}

/** A list of paths as a flag takes it. @throws Error for a path that it cannot name */
function paths(list: string[]): string {
  const odd = list.find((path) => path.includes(","));
  if (odd !== undefined) throw new Error(`permissions cannot name ${odd}: there must be no comma in a path`);
  return list.join(",");
}

/** The command line of a child after the name of the program. */
export function childArguments(script: string, permissions: ChildPermissions): string[] {
  return [
    "run",
    "--quiet",
    "--no-prompt",
    "--no-remote",
    "--no-npm",
    "--cached-only",
    "--no-config",
    "--no-lock",
    "--no-check",
    `--allow-ffi=${paths([permissions.ffi])}`,
    `--allow-read=${paths(permissions.read)}`,
    ...(permissions.write.length > 0 ? [`--allow-write=${paths(permissions.write)}`] : []),
    ...(permissions.workerOptions ? ["--unstable-worker-options"] : []),
    script,
  ];
}

/** Bytes of stderr that are kept from the start; the last `TAIL_BYTES` are kept too. */
const LOG_BYTES = 2 ** 20;
const TAIL_BYTES = 4096;

/** Which GPUs there are and how they are numbered, as it was when one was chosen; only where it may be read. */
function gpuEnvironment(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const variable of ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"]) {
    if (Deno.permissions.querySync({ name: "env", variable }).state !== "granted") continue;
    const value = Deno.env.get(variable);
    if (value !== undefined) found[variable] = value;
  }
  return found;
}

/** A running child. */
export class Child {
  readonly frames: FrameReader;
  /** Resolves when the process is gone. */
  readonly exited: Promise<Deno.CommandStatus>;
  #process: Deno.ChildProcess;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #head: Uint8Array[] = [];
  #headBytes = 0;
  #tail = new Uint8Array(0);
  #drained: Promise<void>;

  /** @param limit longest payload that it may send */
  constructor(script: string, permissions: ChildPermissions, limit: number) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: childArguments(script, permissions),
      clearEnv: true,
      env: { DENO_DIR: "/dev/null", NO_COLOR: "1", ...gpuEnvironment() },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.exited = this.#process.status;
    this.frames = new FrameReader(this.#process.stdout, limit);
    this.#writer = this.#process.stdin.getWriter();
    this.#drained = this.#drain();
  }

  get pid(): number {
    return this.#process.pid;
  }

  async #drain(): Promise<void> {
    for await (const chunk of this.#process.stderr) {
      if (this.#headBytes < LOG_BYTES) {
        this.#head.push(chunk.subarray(0, LOG_BYTES - this.#headBytes));
        this.#headBytes += this.#head[this.#head.length - 1].length;
      }
      const joined = new Uint8Array(this.#tail.length + chunk.length);
      joined.set(this.#tail);
      joined.set(chunk, this.#tail.length);
      this.#tail = joined.slice(-TAIL_BYTES);
    }
  }

  /** Sends a frame; a child that is gone is noticed where its frames are read. */
  async send(kind: FrameKind, payload: Uint8Array | null = null, secret: Uint8Array | null = null): Promise<void> {
    await this.#writer.write(encodeFrame(kind, payload, secret)).catch(() => {});
  }

  /** Ends it at once and waits until it is gone. */
  async kill(): Promise<Deno.CommandStatus> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It had ended by itself.
    }
    const status = await this.exited;
    await this.#writer.abort().catch(() => {});
    await this.frames.cancel();
    await this.#drained.catch(() => {});
    return status;
  }

  /** The last of its stderr. */
  get stderrTail(): string {
    return new TextDecoder().decode(this.#tail).trim();
  }

  /** The first of its stderr, and the last where that is not all. */
  get stderrLog(): string {
    const decoder = new TextDecoder();
    const head = this.#head.map((part) => decoder.decode(part, { stream: true })).join("");
    return this.#headBytes < LOG_BYTES ? head : `${head}\n[…]\n${this.stderrTail}\n`;
  }
}

/** What a wait for a frame came to. */
export type Waited = { frame: ReceivedFrame | null } | { late: true } | { aborted: true };

/**
 * The child's next frame.
 * @param seconds how long to wait; Infinity: for ever
 * @throws ProtocolError for garbage
 */
export async function nextFrame(child: Child, seconds: number, signal?: AbortSignal): Promise<Waited> {
  if (signal?.aborted) return { aborted: true };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let abort: (() => void) | undefined;
  try {
    return await Promise.race<Waited>([
      child.frames.next().then((frame) => ({ frame })),
      ...(Number.isFinite(seconds)
        ? [
          new Promise<Waited>((resolve) => {
            timer = setTimeout(() => resolve({ late: true }), Math.min(2 ** 31 - 1, Math.max(0, seconds * 1000)));
          }),
        ]
        : []),
      ...(signal
        ? [
          new Promise<Waited>((resolve) => {
            abort = () => resolve({ aborted: true });
            signal.addEventListener("abort", abort, { once: true });
          }),
        ]
        : []),
    ]);
  } finally {
    clearTimeout(timer);
    if (abort) signal!.removeEventListener("abort", abort);
  }
}
