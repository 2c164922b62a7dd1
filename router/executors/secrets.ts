/**
 * Keeps keys and passwords out of what executors read and show: files that hold them by name, texts that hold them by
 * content. The value itself is never repeated, only what kind of thing it is and where.
 * @module
 */

/** Parts of a path (folders and file), in lower case, that mean secrets. */
const names: readonly [pattern: RegExp, kind: string][] = [
  [/^\.env(?:$|[._-])|\.env$|^\.?envrc$/, "an environment file"],
  [
    /\.(?:pem|key|p8|p12|pfx|pkcs12|ppk|jks|keystore|bks|keytab|kdbx?|agekey|gpg|pgp|asc\.key|ovpn|mobileconfig)$/,
    "a key file",
  ],
  [/^(?:id|ssh_host)_(?:rsa|dsa|ecdsa|ed25519|xmss)/, "a key file"],
  [/^\.?credentials(?:$|[._-])|[._-]credentials?(?:\.[a-z]{2,5})?$|^credential\.\w+$/, "a file of credentials"],
  [
    /^(?:client_?secrets?|secrets?|passwords?|passwd|service[_-]?account)(?:[._-](?:prod(?:uction)?|dev(?:elopment)?|staging|test|local|backup|key|\d+))?\.(?:json|ya?ml|toml|ini|txt|cfg|conf|csv|xml|properties)$/,
    "a file of secrets",
  ],
  [
    /^(?:\.npmrc|[._]netrc|\.pypirc|\.pgpass|\.htpasswd|\.git-credentials|\.dockercfg|\.my\.cnf|\.mylogin\.cnf|\.s3cfg|\.boto|\.vault-token|\.cargo-credentials|\.terraformrc|terraform\.rc)$/,
    "a file of credentials",
  ],
  [/\.tfstate(?:\.backup)?$|\.tfvars$/, "a state file that holds secrets"],
  [/^\.[a-z0-9_]*history$/, "a history of commands"],
  [/^wallet\.dat$|\.wallet$/, "a wallet"],
  [/^g?shadow-?$|^master\.passwd$|^sam$/, "a file of passwords"],
];

/** Folders whose content is secret, whatever it is called. */
const folders: readonly [pattern: RegExp, kind: string][] = [
  [/\/\.(?:ssh|gnupg|aws|azure|kube|docker|password-store|gcloud)\//, "a folder of keys"],
  [/\/\.config\/(?:gcloud|gh|hub|op)\//, "a folder of keys"],
  [/\/(?:\.config\/)?keyrings\//, "a folder of keys"],
  [
    /^\/proc\/(?:\d+|self|thread-self)\/(?:task\/\d+\/)?(?:environ|mem|cmdline|maps|fd|root|cwd)/,
    "the state of a process",
  ],
  [/^\/dev\/|^\/sys\//, "a device"],
];

/**
 * Why a path must not be read, or null. Neither case, nor `..`, nor repeated or trailing slashes, nor `file:`, nor
 * letters that only look like others get around it; links are for the caller to follow first.
 */
export function secretName(path: string): string | null {
  let plain = path.normalize("NFKC").replace(
    // deno-lint-ignore no-control-regex
    /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g,
    "",
  );
  if (/^file:\/\//i.test(plain) || /%[0-9a-f]{2}/i.test(plain)) {
    try {
      plain = decodeURIComponent(plain.replace(/^file:\/\/[^/]*/i, ""));
    } catch {
      // Not an encoded path; it is looked at as it is.
    }
  }
  plain = plain.replaceAll("\\", "/").toLowerCase();
  const parts: string[] = [];
  for (const part of plain.split("/")) {
    if (part === "..") parts.pop();
    // Some systems drop dots and spaces at the end of a name, and what follows a colon.
    else if (part !== "." && part.trim() !== "") {
      parts.push(part.replace(/:.*$/, "").replace(/[. ]+$/, "").trim() || part.trim());
    }
  }
  const whole = (plain.startsWith("/") ? "/" : "") + parts.join("/");
  for (const [pattern, kind] of folders) if (pattern.test(whole) || pattern.test("/" + whole)) return kind;
  // The folder's own name counts too: `.env/production` and `credentials/`.
  for (const part of parts.slice(-2)) for (const [pattern, kind] of names) if (pattern.test(part)) return kind;
  return null;
}

/** What secrets look like. Each pattern begins with letters that are rare, so that a search through megabytes is quick. */
const contents: readonly [pattern: RegExp, kind: string][] = [
  [/-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----/g, "a private key"],
  [/---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----|PuTTY-User-Key-File-\d|AGE-SECRET-KEY-1[0-9A-Z]{50}/g, "a private key"],
  [/\b(?:AKIA|ASIA|AGPA|AROA|AIPA)[A-Z2-7]{16}\b/g, "an AWS access key"],
  [
    /aws_?(?:secret_?access_?key|session_?token)["']?\s{0,4}[:=]\s{0,4}["']?[A-Za-z0-9/+=]{30,500}/gi,
    "an AWS secret key",
  ],
  [/\bgh[pousr]_[A-Za-z0-9]{30,255}\b|\bgithub_pat_[A-Za-z0-9_]{40,255}\b/g, "a GitHub token"],
  [/\bglpat-[A-Za-z0-9_-]{20,250}\b/g, "a GitLab token"],
  [
    /\bxox[abeprs]-[A-Za-z0-9-]{10,250}|\bxapp-\d-[A-Za-z0-9-]{10,250}|hooks\.slack\.com\/services\/T[A-Z0-9]{6,}\/B[A-Z0-9]{6,}\/\w{16,250}/g,
    "a Slack token",
  ],
  [/\bsk-(?:ant-|proj-|svcacct-|or-v1-)?[A-Za-z0-9_-]{24,250}/g, "an API key"],
  [/\bAIza[0-9A-Za-z_-]{35}\b|\bGOCSPX-[A-Za-z0-9_-]{20,250}|\bya29\.[0-9A-Za-z_-]{30,500}/g, "a Google key"],
  [/\b[sr]k_live_[0-9A-Za-z]{16,250}|\bwhsec_[0-9A-Za-z]{24,250}/g, "a Stripe key"],
  [
    /\bnpm_[A-Za-z0-9]{36}\b|_authToken\s{0,4}=\s{0,4}[^\s$]{12,1000}|\bpypi-AgE[A-Za-z0-9_-]{20,250}/g,
    "a registry token",
  ],
  [
    /\bhf_[A-Za-z0-9]{30,500}\b|\bdop_v1_[a-f0-9]{64}\b|\bdapi[a-f0-9]{32}\b|\bSG\.[A-Za-z0-9_-]{16,250}\.[A-Za-z0-9_-]{16,250}|\bhvs\.[A-Za-z0-9_-]{24,250}/g,
    "an API token",
  ],
  [/\beyJ[A-Za-z0-9_-]{12,1000}\.eyJ[A-Za-z0-9_-]{12,1000}\.[A-Za-z0-9_-]{16,250}/g, "a signed token"],
  [/\bBearer\s{1,2}[A-Za-z0-9._~+/-]{24,250}={0,2}/g, "a bearer token"],
  [/\b\d{8,10}:AA[A-Za-z0-9_-]{32,100}/g, "a bot token"],
  [/AccountKey=[A-Za-z0-9+/=]{40,200}|SharedAccessSignature=[^\s;]{30,500}/g, "an Azure key"],
  [/\b[a-z][a-z0-9+]{1,12}:\/\/[^\s:@/"'<>]{1,64}:[^\s:@/"'<>]{3,128}@[A-Za-z0-9[]/g, "a password in an address"],
];

/** Stands where documentation shows what a key looks like; such a text is no secret. */
const placeholder =
  /EXAMPLE|example|xxxx|XXXX|\.\.\.|<[a-z_ -]+>|your[-_]?|changeme|placeholder|dummy|redacted|\*\*\*|1234567890|abcdef0123|:(?:pass(?:word)?|pwd|secret)@|\$\{?[A-Za-z_]/i;

/** Lines of settings whose name says that the value is secret. */
const assignment =
  /^[ \t]*(?:export[ \t]+)?["']?[A-Za-z0-9_.-]{0,60}(?:SECRET|TOKEN|PASSW(?:OR)?D|PASSPHRASE|API_?KEY|APIKEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIAL)(?:S|_[A-Za-z0-9_]{0,30}|\d{1,4}|ID)?["']?[ \t]*[=:][ \t]*["']?([^\s"'#,;]{8,200})["']?[ \t]*[,;]?[ \t]*$/gim;

/** Something secret in a text. */
export interface SecretFound {
  /** Such as `a private key`. */
  readonly kind: string;
  /** Line on which it begins, from 1. */
  readonly line: number;
}

/** Whether a value that a setting's name calls secret looks like one rather than like a word, a type or a reference. */
function looksSecret(value: string): boolean {
  if (
    placeholder.test(value) ||
    /^(?:true|false|null|none|undefined|string|number|process\.|os\.|Deno\.|env\.|[<{[(])/i.test(value)
  ) return false;
  if (/[(){}<>]/.test(value)) return false; // code, not a value
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter((kind) => kind.test(value)).length;
  return /\d/.test(value) ? kinds >= 2 : kinds >= 3 && value.length >= 12;
}

const lineOf = (text: string, index: number): number => {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < index; at = text.indexOf("\n", at + 1)) line++;
  return line;
};

/** The first secret in a text, or null. */
export function secretContent(text: string): SecretFound | null {
  let first: { kind: string; index: number } | null = null;
  const note = (kind: string, index: number) => {
    if (first === null || index < first.index) first = { kind, index };
  };
  for (const [pattern, kind] of contents) {
    for (const match of text.matchAll(pattern)) {
      if (placeholder.test(match[0])) continue;
      note(kind, match.index);
      break;
    }
  }
  for (const match of text.matchAll(assignment)) {
    if (!looksSecret(match[1])) continue;
    note("a password or key in a setting", match.index);
    break;
  }
  const found = first as { kind: string; index: number } | null;
  return found === null ? null : { kind: found.kind, line: lineOf(text, found.index) };
}

/** The text with `[redacted]` where a secret stood: for words that come from records rather than from a file. */
export function redactSecrets(text: string): string {
  let result = text;
  for (const [pattern] of contents) {
    result = result.replace(pattern, (match) => placeholder.test(match) ? match : "[redacted]");
  }
  return result.replace(
    assignment,
    (match, value: string) => looksSecret(value) ? match.replace(value, "[redacted]") : match,
  );
}
