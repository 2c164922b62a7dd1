/**
 * The process that scores: this realm opens the library, holds targets, results, the key of the hashes and the secret that its answers carry,
 * and speaks with the supervisor; the code under test runs in a Web Worker (`model_realm.ts`) that has the library and
 * nothing else, gets inputs, and answers with handles of logits. The cross entropy is computed here, by the library.
 *
 * The Web Worker shares stdin and stdout with this realm. What it writes lacks the secret, and what it takes away is
 * missing here: both end the scoring without a score.
 *
 * Must not be imported: it is the main module of its process. Has no npm package in its graph.
 * @module
 */
import { openLibrary } from "../../cuda/lib.ts";
import { inputsAndTargets, scoreLogits } from "../data/evaluate.ts";
import type { FromRealm, ToRealm } from "./model_realm.ts";
import {
  encodeFrame,
  encodeJson,
  Frame,
  type FrameKind,
  FrameReader,
  type ReceivedFrame,
  writeAllSync,
} from "./protocol.ts";
import type { EvaluatorFirstFrame } from "./setups.ts";

const stdin = new FrameReader(Deno.stdin.readable);

/** The first frame of the process, which no other code can have seen. */
async function receiveFirst(): Promise<EvaluatorFirstFrame> {
  const frame = await stdin.next();
  if (frame?.kind !== Frame.setup) Deno.exit(1);
  return JSON.parse(new TextDecoder().decode(frame.payload));
}

const first = await receiveFirst();
const { setup } = first;
const secret = Uint8Array.from(first.secret);
const mark = Uint8Array.from(first.mark);
const hashKey = Uint8Array.from(first.hashKey);

const STOLEN = "stdin does not hold what was sent: the code read from it";

function send(kind: FrameKind, payload: Uint8Array | null = null): void {
  writeAllSync((bytes) => Deno.stdout.writeSync(bytes), encodeFrame(kind, payload, secret));
}

function fail(phase: string, name: string, message: string): never {
  send(Frame.failed, encodeJson({ phase, name, message }));
  Deno.exit(1);
}

/** The realm of the code under test, one question at a time. */
class ModelRealm {
  #worker: Worker;
  #answer: ((message: FromRealm) => void) | null = null;

  constructor() {
    const options = {
      type: "module" as const,
      deno: {
        permissions: {
          ffi: [setup.libraryPath],
          read: setup.codeFolders,
          write: false,
          net: false,
          env: false,
          run: false,
          sys: false,
          import: false,
        },
      },
    };
    this.#worker = new Worker(new URL("./model_realm.ts", import.meta.url).href, options as WorkerOptions);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      fail("model", "Error", event.message);
    };
    this.#worker.onmessage = ({ data }) => {
      const answer = this.#answer;
      this.#answer = null;
      if (answer === null) fail("model", "ProtocolError", "the code sent a message that nobody asked for");
      answer(data);
    };
  }

  ask(message: ToRealm, transfer: Transferable[] = []): Promise<FromRealm> {
    return new Promise((resolve) => {
      this.#answer = (answer) => {
        if (answer?.kind !== "failed") return resolve(answer);
        // The phase is that of the question: the code can post such a message itself, under any.
        fail(message.kind === "load" ? "load" : "logits", String(answer.name), String(answer.message));
      };
      this.#worker.postMessage(message, transfer);
    });
  }
}

/** The payload of a question: number, rows, tokens. Ends the process when it is not what the supervisor sends. */
function readQuestion(payload: Uint8Array<ArrayBuffer>): { number: number; rows: number; tokens: Uint16Array } {
  const view = new DataView(payload.buffer);
  const own = payload.length >= mark.length + 8 && mark.every((byte, index) => byte === payload[index]);
  if (!own) fail("score", "ProtocolError", STOLEN);
  const tokens = new Uint16Array(payload.buffer.slice(mark.length + 8));
  return { number: view.getUint32(mark.length, true), rows: view.getUint32(mark.length + 4, true), tokens };
}

/** The next question. Asked for ahead of time: the end of stdin ends the process whatever the code under test does. */
function nextQuestion(): Promise<ReceivedFrame> {
  return stdin.next().then(
    (frame) => frame ?? Deno.exit(0),
    () => fail("score", "ProtocolError", STOLEN),
  );
}

async function serve(realm: ModelRealm, upcoming: Promise<ReceivedFrame>): Promise<void> {
  for (let due = 0;; due++) {
    const frame = await upcoming;
    upcoming = nextQuestion();
    const { number, rows, tokens } = readQuestion(frame.payload);
    if (frame.kind !== Frame.score || number !== due) {
      fail("score", "ProtocolError", STOLEN);
    }
    const { inputs, targets } = inputsAndTargets(tokens, setup.sequenceLength);
    const reply = await realm.ask({ kind: "rows", rows, inputs });
    if (reply?.kind !== "logits" || !Number.isInteger(reply.handle)) {
      fail("score", "ProtocolError", "the code answered with something else than logits");
    }
    const answer = new Uint8Array(4 + 12 * targets.length);
    new DataView(answer.buffer).setUint32(0, number, true);
    try {
      const { nats, hashes } = scoreLogits(reply.handle, targets, setup.vocabSize, hashKey);
      answer.set(new Uint8Array(nats.buffer), 4);
      answer.set(new Uint8Array(hashes.buffer), 4 + nats.byteLength);
    } catch {
      // Without what the library says, which names numbers that the code chose.
      fail("score", "KernelError", "logits cannot be scored: the handle is not that of an f32 tensor [rows, T, V]");
    }
    send(Frame.scored, answer);
  }
}

try {
  openLibrary(setup.libraryPath, { threads: setup.threads, device: setup.device, plans: setup.plans });
} catch (error) {
  fail("library", "KernelError", (error as Error).message);
}
const checkpoint = Deno.readFileSync(setup.checkpoint);
const upcoming = nextQuestion();
const realm = new ModelRealm();
const loaded = await realm.ask({ kind: "load", setup, checkpoint }, [checkpoint.buffer]);
if (loaded?.kind !== "loaded") fail("load", "ProtocolError", "the code spoke before it was asked");
send(Frame.ready);
await serve(realm, upcoming);
