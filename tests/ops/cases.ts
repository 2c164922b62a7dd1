/**
 * Every op of the ABI with its test cases: an op without an entry does not compile.
 * @module
 */
import type { Case, OpName } from "./case.ts";
import { elementCases } from "./cases_elements.ts";
import { rowCases } from "./cases_rows.ts";
import { trainingCases } from "./cases_training.ts";

/** Test cases by op. */
export const cases: { [K in OpName]: Case[] } = { ...elementCases, ...rowCases, ...trainingCases };
