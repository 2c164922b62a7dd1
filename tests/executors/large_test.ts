/** Every executor on ten megabytes. */
import { candidates } from "./_candidates.ts";
import { largeConformance } from "./conformance.ts";

largeConformance(candidates);
