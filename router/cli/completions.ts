/**
 * Completions for three shells, made of the table of commands.
 * @module
 */
import { type Command, commands, commandWords, generalOptions, type Option, options, taskCommand } from "./commands.ts";

const PROGRAM = "researchswarm";

const allOptions = Object.entries(options) as [string, Option][];
const flagsOf = (command: Command): string =>
  [...command.options, ...generalOptions].map((name) => `--${name}`).join(" ");
const secondWords = (first: string): string =>
  commands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name.split(" ")[1]).join(" ");
const groups = [...commandWords].filter((word) => secondWords(word) !== "");
const firstWords = [...commandWords].join(" ");
/** Options whose next word is their value, as a pattern of a shell's `case`. */
const valued = allOptions.filter(([, { type }]) => type === "string").map(([name]) => `--${name}`).join("|");
/** A text within single quotes of any of the shells. */
const single = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("'", "’");

/** Lines of a shell's `case` over what an option takes. */
function valueCases(filled: (choices: string) => string, files: string, none: string): string {
  return allOptions.filter(([, { type }]) => type === "string").map(([name, { choices, file }]) => {
    const action = choices !== undefined ? filled(choices.join(" ")) : file ? files : none;
    return `    --${name}) ${action} ;;`;
  }).join("\n");
}

function bash(): string {
  return `# bash completion of ${PROGRAM}
_${PROGRAM}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="" command="" word i
  if ((COMP_CWORD > 0)); then prev="\${COMP_WORDS[COMP_CWORD-1]}"; fi
  COMPREPLY=()
  case "$prev" in
${
    valueCases(
      (choices) => `COMPREPLY=($(compgen -W "${choices}" -- "$cur")); return`,
      `compopt -o filenames 2>/dev/null || :; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return`,
      "return",
    )
  }
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$word" in
      ${valued}) ((++i)); continue ;;
      -*) continue ;;
    esac
    [[ -z "$command" ]] && command="$word" || command="$command $word"
  done
  case "$command" in
    "") COMPREPLY=($(compgen -W "${firstWords} ${flagsOf(taskCommand)}" -- "$cur")) ;;
${groups.map((word) => `    ${word}) COMPREPLY=($(compgen -W "${secondWords(word)}" -- "$cur")) ;;`).join("\n")}
    help) COMPREPLY=($(compgen -W "${firstWords}" -- "$cur")) ;;
${
    commands.filter(({ name }) => !groups.includes(name) && name !== "help").map((command) =>
      `    "${command.name}"*) COMPREPLY=($(compgen -W "${
        [...command.choices ?? [], flagsOf(command)].join(" ")
      }" -- "$cur")) ;;`
    ).join("\n")
  }
    *) COMPREPLY=($(compgen -W "${flagsOf(taskCommand)}" -- "$cur")) ;;
  esac
}
complete -F _${PROGRAM} ${PROGRAM}
`;
}

function zsh(): string {
  return `#compdef ${PROGRAM}
# zsh completion of ${PROGRAM}
_${PROGRAM}() {
  local command="" word i
  case "\${words[CURRENT-1]}" in
${valueCases((choices) => `compadd -- ${choices}; return`, "_files; return", "return")}
  esac
  for ((i = 2; i < CURRENT; i++)); do
    word="\${words[i]}"
    case "$word" in
      ${valued}) ((++i)); continue ;;
      -*) continue ;;
    esac
    [[ -z "$command" ]] && command="$word" || command="$command $word"
  done
  case "$command" in
    "") compadd -- ${firstWords} ${flagsOf(taskCommand)} ;;
${groups.map((word) => `    ${word}) compadd -- ${secondWords(word)} ;;`).join("\n")}
    help) compadd -- ${firstWords} ;;
${
    commands.filter(({ name }) => !groups.includes(name) && name !== "help").map((command) =>
      `    "${command.name}"*) compadd -- ${[...command.choices ?? [], flagsOf(command)].join(" ")} ;;`
    ).join("\n")
  }
    *) compadd -- ${flagsOf(taskCommand)} ;;
  esac
}
if [[ "\${funcstack[1]}" == _${PROGRAM} ]]; then
  _${PROGRAM} "$@"
else
  compdef _${PROGRAM} ${PROGRAM}
fi
`;
}

function fish(): string {
  const line = (condition: string, rest: string) => `complete -c ${PROGRAM} -n '${condition}' ${rest}`;
  const lines = [
    `# fish completion of ${PROGRAM}`,
    `complete -c ${PROGRAM} -f`,
    ...[...commandWords].map((word) => {
      const summary = commands.find(({ name }) => name.split(" ")[0] === word)!.summary;
      return line("__fish_use_subcommand", `-a ${word} -d '${single(groups.includes(word) ? `${word} …` : summary)}'`);
    }),
    ...groups.map((word) => {
      const second = secondWords(word);
      return line(
        `__fish_seen_subcommand_from ${word}; and not __fish_seen_subcommand_from ${second}`,
        `-a '${second}'`,
      );
    }),
    line("__fish_seen_subcommand_from help", `-a '${firstWords}'`),
  ];
  for (const command of [taskCommand, ...commands]) {
    const [first, second] = command.name.split(" ");
    const condition = command.name === ""
      ? `not __fish_seen_subcommand_from ${firstWords}`
      : `__fish_seen_subcommand_from ${first}${
        second === undefined ? "" : `; and __fish_seen_subcommand_from ${second}`
      }`;
    if (command.choices !== undefined) lines.push(line(condition, `-a '${command.choices.join(" ")}'`));
    for (const name of [...command.options, ...generalOptions]) {
      const { type, short, choices, file, text }: Option = options[name];
      const value = type === "boolean" ? "" : choices ? ` -x -a '${choices.join(" ")}'` : file ? " -r -F" : " -x";
      lines.push(
        line(condition, `-l ${name}${short === undefined ? "" : ` -s ${short}`}${value} -d '${single(text)}'`),
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

/** The completions of a shell. */
export function completionsOf(shell: string): string {
  return { bash, zsh, fish }[shell as "bash" | "zsh" | "fish"]();
}
