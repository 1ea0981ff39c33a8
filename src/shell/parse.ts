/**
 * A command line as POSIX shells read it, as far as this shell goes: commands with | && || ; and lines, quotes, variables, patterns, redirections,
 * here-documents.
 *
 * Interface: `parseScript` gives the list or a SyntaxFault with the offset in the text. Loops, functions, substitution of commands and
 * assignments are not part of it and are refused by name.
 */

/** A piece of a word; quoted text is no pattern. */
type Part =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | { readonly kind: "variable"; readonly name: string; readonly quoted: boolean };

/** One word, and where it begins. */
export interface Word {
  readonly parts: readonly Part[];
  readonly at: number;
}

interface Redirection {
  /** The descriptor that is redirected: 0, 1 or 2. */
  readonly fd: number;
  /** A file, opened for reading, from the start or at its end; or another descriptor. */
  readonly to:
    | { readonly kind: "file"; readonly mode: "read" | "write" | "append"; readonly word: Word }
    /** A here-document's text. */
    | { readonly kind: "text"; readonly word: Word }
    | { readonly kind: "descriptor"; readonly fd: number };
}

export interface SimpleCommand {
  readonly words: readonly Word[];
  readonly redirections: readonly Redirection[];
  /** `! command`; of a pipe, its first command says it for all. */
  readonly negated: boolean;
  /** When it runs, by how the command before it ended; or it reads what that one writes. */
  readonly when: "always" | "and" | "or" | "pipe";
}

/** Why a text is no command line of this shell. */
export class SyntaxFault {
  readonly message: string;
  readonly at: number;
  constructor(message: string, at: number) {
    this.message = message;
    this.at = at;
  }
}

/** A here-document whose lines come after the line at work. */
interface AwaitedText {
  readonly end: string;
  /** <<-: tabs at the beginnings of lines are not part of it. */
  readonly strips: boolean;
  /** Of an end in quotes: a $ is no variable's. */
  readonly literal: boolean;
  readonly parts: Part[];
  readonly at: number;
}

interface Reader {
  readonly text: string;
  at: number;
  readonly awaited: AwaitedText[];
}

const OPERATORS = ["&&", "||", ";", "\n", ">>", ">&", ">", "<", "|", "&", "(", ")"] as const;
const REFUSED: Readonly<Record<string, string>> = {
  "&": "a command in the background",
  "(": "a subshell",
  ")": "a bracket",
};
const JOINED: Readonly<Partial<Record<string, SimpleCommand["when"]>>> = { "&&": "and", "||": "or", "|": "pipe" };
const LOOPS: ReadonlySet<string> = new Set(["for", "while", "until"]);
const LOOP_ADVICE = ": `repeat: N` beside `do` does a step again, `populate` makes many files, `walk` goes through them";
const KEYWORDS: ReadonlySet<string> = new Set(["if", "for", "while", "until", "case", "{", "then", "do", "function"]);

/** Reads a script. */
export function parseScript(text: string): readonly SimpleCommand[] | SyntaxFault {
  const reader: Reader = { text, at: 0, awaited: [] };
  const commands: SimpleCommand[] = [];
  let when: SimpleCommand["when"] = "always";
  for (;;) {
    skipBlanks(reader, when !== "always");
    if (reader.at >= text.length) break;
    const command = readCommand(reader, when);
    if (command instanceof SyntaxFault) return command;
    if (command.words.length > 0 || command.redirections.length > 0) commands.push(command);
    else if (when !== "always") return new SyntaxFault("a command is missing after |, && or ||", reader.at);
    const operator = operatorAt(reader);
    when = "always";
    if (operator === undefined) break;
    reader.at += operator.length;
    const joined = JOINED[operator];
    if (joined !== undefined) {
      if (command.words.length === 0) return new SyntaxFault(`a command is missing before ${operator}`, reader.at);
      when = joined;
    } else if (operator === "\n") {
      const fault = readTexts(reader);
      if (fault !== undefined) return fault;
    } else if (operator !== ";")
      return new SyntaxFault(`${REFUSED[operator] ?? operator} is not part of this shell`, reader.at - 1);
  }
  if (when !== "always") return new SyntaxFault("a command is missing at the end", text.length);
  const [missing] = reader.awaited;
  if (missing !== undefined) return new SyntaxFault(`the lines of <<${missing.end} are missing`, missing.at);
  return commands.length === 0 ? new SyntaxFault("no command", 0) : commands;
}

function operatorAt({ text, at }: Reader): (typeof OPERATORS)[number] | undefined {
  return OPERATORS.find((operator) => text.startsWith(operator, at));
}

/** Spaces, tabs, comments and escaped line ends; after && line ends too. */
function skipBlanks(reader: Reader, lines: boolean): void {
  for (;;) {
    const found = (lines ? /[ \t\n]+|#[^\n]*|\\\n/y : /[ \t]+|#[^\n]*|\\\n/y).source;
    const pattern = new RegExp(found, "y");
    pattern.lastIndex = reader.at;
    const skipped = pattern.exec(reader.text)?.[0];
    if (skipped === undefined) return;
    reader.at += skipped.length;
  }
}

function readCommand(reader: Reader, when: SimpleCommand["when"]): SimpleCommand | SyntaxFault {
  const words: Word[] = [];
  const redirections: Redirection[] = [];
  let negated = false;
  for (;;) {
    skipBlanks(reader, false);
    const redirection = readHere(reader) ?? readRedirection(reader);
    if (redirection instanceof SyntaxFault) return redirection;
    if (redirection !== undefined) {
      redirections.push(redirection);
      continue;
    }
    if (reader.at >= reader.text.length || operatorAt(reader) !== undefined) break;
    const word = readWord(reader);
    if (word instanceof SyntaxFault) return word;
    const plain = plainText(word);
    if (words.length === 0 && plain === "!") negated = !negated;
    else if (words.length === 0 && plain !== undefined && (KEYWORDS.has(plain) || /^\w+=/.test(plain)))
      return new SyntaxFault(`${plain} is not part of this shell${LOOPS.has(plain) ? LOOP_ADVICE : ""}`, word.at);
    else words.push(word);
  }
  return { words, redirections, negated, when };
}

/** The text of a word without quotes and variables; undefined for any other. */
export function plainText(word: Word): string | undefined {
  let text = "";
  for (const part of word.parts) {
    if (part.kind !== "text") return undefined;
    text += part.text;
  }
  return text;
}

/** `<< END` and `<<- END`: the lines up to END come later. */
function readHere(reader: Reader): Redirection | SyntaxFault | undefined {
  const pattern = /0?<<(-?)/y;
  pattern.lastIndex = reader.at;
  const [whole, dash] = pattern.exec(reader.text) ?? [];
  if (whole === undefined) return undefined;
  reader.at += whole.length;
  skipBlanks(reader, false);
  const word = readWord(reader);
  if (word instanceof SyntaxFault) return word;
  const end = plainText(word);
  if (end === undefined || end === "") return new SyntaxFault("after << the line that ends the text must stand", word.at);
  const literal = word.parts.some((part) => part.quoted);
  const parts: Part[] = [];
  reader.awaited.push({ end, strips: dash === "-", literal, parts, at: word.at });
  return { fd: 0, to: { kind: "text", word: { parts, at: word.at } } };
}

/** The lines of the here-documents that the line before asked for. */
function readTexts(reader: Reader): SyntaxFault | undefined {
  for (const { end, strips, literal, parts, at } of reader.awaited.splice(0)) {
    const lines: string[] = [];
    for (;;) {
      if (reader.at >= reader.text.length) return new SyntaxFault(`the line ${end} is missing that ends the text`, at);
      const next = reader.text.indexOf("\n", reader.at);
      const whole = reader.text.slice(reader.at, next < 0 ? undefined : next);
      reader.at = next < 0 ? reader.text.length : next + 1;
      const line = strips ? whole.replace(/^\t+/, "") : whole;
      if (line === end) break;
      lines.push(`${line}\n`);
    }
    const fault = addText(parts, lines.join(""), literal);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** A here-document's text as parts of one word: as in double quotes, but that a quote is a quote. */
function addText(parts: Part[], text: string, literal: boolean): SyntaxFault | undefined {
  const reader: Reader = { text, at: 0, awaited: [] };
  let plain = "";
  const flush = (): void => {
    parts.push({ kind: "text", text: plain, quoted: true });
    plain = "";
  };
  while (reader.at < text.length) {
    const unit = text[reader.at] ?? "";
    if (!literal && unit === "$") {
      flush();
      const fault = readVariable(reader, parts, true);
      if (fault !== undefined) return fault;
      continue;
    }
    const escapes = !literal && unit === "\\" && /[\\$`]/.test(text[reader.at + 1] ?? "");
    plain += escapes ? text[reader.at + 1] : unit;
    reader.at += escapes ? 2 : 1;
  }
  flush();
  return undefined;
}

function readRedirection(reader: Reader): Redirection | SyntaxFault | undefined {
  const pattern = /([012]?)(>>|>&|>|<)/y;
  pattern.lastIndex = reader.at;
  const [whole, digit, operator] = pattern.exec(reader.text) ?? [];
  if (whole === undefined) return undefined;
  reader.at += whole.length;
  const fd = digit === "" || digit === undefined ? (operator === "<" ? 0 : 1) : Number(digit);
  skipBlanks(reader, false);
  const word = readWord(reader);
  if (word instanceof SyntaxFault) return word;
  if (word.parts.length === 0) return new SyntaxFault(`a file is missing after ${operator}`, reader.at);
  if (operator !== ">&") {
    const mode = operator === "<" ? "read" : operator === ">>" ? "append" : "write";
    return { fd, to: { kind: "file", mode, word } };
  }
  const target = plainText(word);
  if (target !== "1" && target !== "2") return new SyntaxFault("after >& a descriptor, 1 or 2, must stand", word.at);
  return { fd, to: { kind: "descriptor", fd: Number(target) } };
}

function readWord(reader: Reader): Word | SyntaxFault {
  const at = reader.at;
  const parts: Part[] = [];
  const add = (text: string, quoted: boolean): void => void parts.push({ kind: "text", text, quoted });
  while (reader.at < reader.text.length && operatorAt(reader) === undefined && !/[ \t\n]/.test(reader.text[reader.at] ?? "")) {
    const unit = reader.text[reader.at] ?? "";
    if (unit === "'") {
      const end = reader.text.indexOf("'", reader.at + 1);
      if (end < 0) return new SyntaxFault("a quote ' is not closed", reader.at);
      add(reader.text.slice(reader.at + 1, end), true);
      reader.at = end + 1;
    } else if (unit === '"') {
      const fault = readDoubleQuoted(reader, parts);
      if (fault !== undefined) return fault;
    } else if (unit === "\\") {
      add(reader.text[reader.at + 1] ?? "", true);
      reader.at += 2;
    } else if (unit === "$") {
      const fault = readVariable(reader, parts, false);
      if (fault !== undefined) return fault;
    } else if (unit === "`") return new SyntaxFault("the output of a command in a word is not part of this shell", reader.at);
    else {
      const pattern = /[^\s'"\\$`&|;<>()]+/y;
      pattern.lastIndex = reader.at;
      const text = pattern.exec(reader.text)?.[0] ?? unit;
      add(text, false);
      reader.at += text.length;
    }
  }
  return { parts, at };
}

function readDoubleQuoted(reader: Reader, parts: Part[]): SyntaxFault | undefined {
  const start = reader.at;
  reader.at += 1;
  let text = "";
  const flush = (): void => {
    parts.push({ kind: "text", text, quoted: true });
    text = "";
  };
  for (;;) {
    const unit = reader.text[reader.at];
    if (unit === undefined) return new SyntaxFault('a quote " is not closed', start);
    if (unit === '"') {
      reader.at += 1;
      flush();
      return undefined;
    }
    if (unit === "$") {
      flush();
      const fault = readVariable(reader, parts, true);
      if (fault !== undefined) return fault;
    } else if (unit === "\\" && /["\\$`]/.test(reader.text[reader.at + 1] ?? "")) {
      text += reader.text[reader.at + 1];
      reader.at += 2;
    } else {
      text += unit;
      reader.at += 1;
    }
  }
}

function readVariable(reader: Reader, parts: Part[], quoted: boolean): SyntaxFault | undefined {
  const pattern = /\$(?:(\?|[A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})/y;
  pattern.lastIndex = reader.at;
  const [whole, bare, braced] = pattern.exec(reader.text) ?? [];
  if (whole === undefined) {
    if (/^\$[({]/.test(reader.text.slice(reader.at)))
      return new SyntaxFault("only a name, a name in braces and ? may follow a $", reader.at);
    parts.push({ kind: "text", text: "$", quoted: true });
    reader.at += 1;
    return undefined;
  }
  parts.push({ kind: "variable", name: bare ?? braced ?? "", quoted });
  reader.at += whole.length;
  return undefined;
}
