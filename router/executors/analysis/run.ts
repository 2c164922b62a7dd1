/**
 * The work of the file analysis.
 * @module
 */
import type { Outcome, Work } from "../define.ts";
import { InputError } from "../files.ts";
import { inlineCode, oneLine } from "../safe_text.ts";
import { gatherSources } from "../sources.ts";
import type { ExecutorContext } from "../types.ts";
import { analyzeInput } from "./analyze.ts";

/** Analyses what the task names. */
export async function runAnalysis(context: ExecutorContext, work: Work): Promise<Outcome> {
  const sources = await gatherSources(context, work, { folders: /\.\w+$|^[A-Z]\w+$/ });
  if (sources.length === 0) {
    throw new InputError(
      "There is no file to analyse: name one in the task, or pass --file FILE or --input-text TEXT.",
      "needs-input",
    );
  }
  const parts: string[] = [];
  for (const input of sources) {
    const { name, text } = await analyzeInput(input, context.now, () => work.pause());
    work.did(`Analysed ${oneLine(input.name)} as ${name}`);
    parts.push(`# ${inlineCode(input.name, 120)}: ${name}\n\n${text}`);
  }
  return { title: `Analysis: ${sources.map(({ name }) => oneLine(name, 80)).join(", ")}`, text: parts.join("\n\n") };
}
