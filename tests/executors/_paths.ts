/** Where the tests' files lie. */
import { fileURLToPath } from "node:url";

/** Path of a file beside the tests of the executors. */
export const fromFileUrl = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
