/**
 * `--judge KIND:MODEL`: finds address and key of the judge in the environment, checks permissions, asks. The only file of
 * the command line that leads to the network.
 * @module
 */
import { judge, judgeAddresses, type JudgeOptions } from "../judge.ts";
import type { Classification } from "../types.ts";
import { quoted } from "./arguments.ts";
import { CliError, exit, usageError } from "./errors.ts";
import type { Output } from "./output.ts";
import { environment, type Need, requirePermissions } from "./permissions.ts";

/** Variables of the environment by provider: key, base address. */
const variables: Readonly<Record<JudgeOptions["provider"], readonly [key: string, address: string]>> = {
  openai: ["OPENAI_API_KEY", "OPENAI_BASE_URL"],
  anthropic: ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"],
};

/** Hosts that a key may go to without encryption. */
const loopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

/** What `--judge` names. @throws {CliError} it names nothing that can be asked, or permissions are missing */
export function judgeOptions(value: string): JudgeOptions {
  const [, provider, model] = /^(openai|anthropic):(\S{1,200})$/.exec(value) ?? [];
  if (provider !== "openai" && provider !== "anthropic") {
    throw usageError(`--judge needs openai:MODEL or anthropic:MODEL, got ${quoted(value)}`);
  }
  const [key, address] = variables[provider];
  const needs: Need[] = [key, address].map((variable) => ({ name: "env", variable }));
  // Where the environment may not be read yet, the flags are those of the provider's own address.
  const base = environment(address) ?? judgeAddresses[provider];
  let url: URL;
  try {
    url = new URL(base);
    if (!/^https?:$/.test(url.protocol)) throw new Error("another protocol");
  } catch {
    throw new CliError(`${address} is no web address`, exit.usage);
  }
  const host = `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
  requirePermissions("--judge", [...needs, { name: "net", host }]);
  const apiKey = environment(key);
  if (url.protocol === "http:" && apiKey !== undefined && !loopback.test(url.hostname)) {
    throw new CliError(`${address} is not encrypted, so ${key} is not sent there; use https`, exit.usage);
  }
  if (apiKey === undefined && base === judgeAddresses[provider]) {
    throw new CliError(
      `--judge ${provider} needs a key in ${key}, or the address of a server in ${address}`,
      exit.usage,
    );
  }
  return { provider, model, baseUrl: base, apiKey };
}

/** Asks the judge that `--judge` names; what goes wrong with it is a notice. */
export async function askJudge(
  options: JudgeOptions,
  classification: Classification,
  output: Output,
): Promise<Classification> {
  const result = await judge(classification, options);
  if (result.problem !== undefined) output.notice(result.problem);
  return result.classification;
}
