/**
 * How a run ends before its time: the one exception for it, and what a child's failure or exit means. The supervisor's
 * two halves share this.
 * @module
 */
import type { RunStatus } from "./types.ts";

/** A run's end without a score; the message is its reason. */
export class Ending extends Error {
  constructor(readonly status: RunStatus, reason: string, options?: ErrorOptions) {
    super(reason, options);
  }
}

/** Stands for the reason of a child that ended by itself until its exit status is known. */
export const GONE = "the process ended";

/** Seconds since some moment; never goes back. */
export const seconds = (): number => performance.now() / 1000;

/** The words of Deno for a gate that stayed shut. */
const GATE = /NotCapable|Requires \w+ access|--no-npm is specified|--no-remote is specified|PermissionDenied/;

/** Status of an error that the child reported. */
export function failureStatus(name: string, message: string): RunStatus {
  if (name === "InvalidConfig") return "refused";
  return GATE.test(`${name}: ${message}`) ? "refused" : "crash";
}

/** What the exit of a child looks like to a reader. */
export function describeExit(status: Deno.CommandStatus, stderr: string): string {
  const how = status.signal ? `was ended by ${status.signal}` : `exited with code ${status.code}`;
  return stderr === "" ? how : `${how}; its last words: ${stderr}`;
}

/** Signals with which a person or a system ends all processes of a terminal at once. */
const INTERRUPTS = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Whether a child ended by an interrupt; it may not send one itself. */
export const interrupted = (exit: Deno.CommandStatus): boolean => INTERRUPTS.includes(exit.signal ?? "");

/** Numbers of the signals that others send: SIGHUP, SIGINT, SIGKILL, SIGTERM. */
const SENT = [1, 2, 9, 15];

/**
 * What a task of `deno.json` ended with, where that is a signal of its own making: it had no time to say a word. A library
 * file that was cut short ends whoever opens it with SIGBUS.
 * @param code exit code, 128 and the signal's number
 */
export function brokenTask(name: string, code: number, home: string): string | null {
  if (code <= 128 || SENT.includes(code - 128)) return null;
  return `deno task ${name} was ended by a signal (exit code ${code}): the library may be damaged; ` +
    `remove ${home}/lib and try again`;
}
