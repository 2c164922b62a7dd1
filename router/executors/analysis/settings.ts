/**
 * The shape of settings and markup: INI and TOML sections, YAML keys, XML elements. Only as deep as an overview needs.
 * @module
 */

/** What such a file comes to: one fact a line. */
export interface SettingsSummary {
  /** `YAML`, `TOML`, `INI`, `XML`. */
  readonly kind: string;
  /** Facts. */
  readonly facts: readonly string[];
}

const list = (names: Iterable<string>, most = 25): string => {
  const all = [...new Set(names)];
  return all.slice(0, most).join(", ") + (all.length > most ? ` and ${all.length - most} more` : "");
};

function xml(text: string): SettingsSummary {
  const head = text.slice(0, 5_000_000);
  const counts = new Map<string, number>();
  let depth = 0, deepest = 0, root = "";
  for (const [, close, name, rest] of head.matchAll(/<(\/?)([A-Za-z_][\w:.-]{0,80})([^<>]{0,4000}?)>/g)) {
    if (close === "/") {
      depth--;
      continue;
    }
    root ||= name;
    if (counts.has(name) || counts.size < 1000) counts.set(name, (counts.get(name) ?? 0) + 1);
    deepest = Math.max(deepest, depth + 1);
    if (!rest.endsWith("/")) depth++;
  }
  const common = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 15).map(([name, count]) => `${name} (${count})`);
  return {
    kind: "XML",
    facts: [
      `root element ${root}`,
      `${counts.size} kinds of elements, ${deepest} deep at most`,
      `the commonest: ${common.join(", ")}`,
    ],
  };
}

/** The shape of settings or markup by the file's name, null where it is none. */
export function settingsShape(name: string, text: string): SettingsSummary | null {
  const ending = name.toLowerCase().split(".").at(-1)!;
  if (["xml", "svg", "rss", "xsd", "plist", "gpx"].includes(ending) || /^\s*<\?xml\b/.test(text.slice(0, 200))) {
    return xml(text);
  }
  const lines = text.slice(0, 5_000_000).split("\n").map((line) => line.slice(0, 500));
  if (ending === "toml" || ending === "ini" || ending === "cfg" || ending === "conf") {
    const sections = lines.map((line) => line.match(/^\s*\[\[?([^\]]+)\]\]?\s*(?:[#;].*)?$/)?.[1]).filter((section) =>
      section !== undefined
    );
    const keys = lines.filter((line) => /^\s*[\w."'-]+\s*[=:]/.test(line)).length;
    return {
      kind: ending === "toml" ? "TOML" : "INI-like settings",
      facts: [
        `${keys} keys in ${sections.length} sections`,
        ...(sections.length > 0 ? [`sections: ${list(sections)}`] : []),
      ],
    };
  }
  if (ending === "yaml" || ending === "yml") {
    const top = lines.map((line) => line.match(/^(["']?)([\w ./-]{1,60})\1\s*:(?:\s|$)/)?.[2]).filter((key) =>
      key !== undefined
    );
    const documents = lines.filter((line) => /^---\s*$/.test(line)).length;
    const keys = lines.filter((line) => /^\s*(?:- )?["']?[\w ./-]{1,60}["']?\s*:(?:\s|$)/.test(line)).length;
    return {
      kind: "YAML",
      facts: [
        `${keys} keys, ${top.length} of them at the top${documents > 1 ? `, ${documents} documents` : ""}`,
        `at the top: ${list(top)}`,
      ],
    };
  }
  return null;
}
