/**
 * A YAML file as plain values, each with its place, safe against files made to hurt.
 *
 * Interface:
 * - The values are mappings (objects without a prototype), lists, texts, booleans, null, and numbers only where the text is a plain
 *   decimal whole number below 2^53; any other number comes as the text that stands in the file, since `0750`, `0x5a` and `1e400` mean what
 *   their slot says and not what YAML says.
 * - Anchors and aliases are allowed; an expansion of more than NODES_MAX values, a nesting deeper than DEPTH_MAX, a file longer than
 *   FILE_LENGTH_MAX, tags, duplicate keys and several documents in one file are refused.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLError,
} from "yaml";
import { type Place, type Problem, quoted } from "./problem.ts";

const FILE_LENGTH_MAX = 1_048_576;
const DEPTH_MAX = 32;
const NODES_MAX = 100_000;

/** Tokens by which the lexer marks a document, a scalar and the end of flow; they stand for no text. */
const MARKS: ReadonlySet<string> = new Set(["\u0002", "\u0018", "\u001f", "\ufeff"]);

export type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain };

/** A path into a document: keys of mappings and indices of lists. */
export type PlainPath = readonly PropertyKey[];

export interface PlainDocument {
  readonly value: Plain;
  /** Where the value at a path begins; of what does not exist, where the nearest thing around it begins. */
  readonly placeOf: (path: PlainPath) => Place;
  /** Where a key of the mapping at a path stands. */
  readonly placeOfKey: (path: PlainPath, key: string) => Place;
}

/** The places of one mapping's or list's entries. */
interface Entries {
  readonly keys: Map<string, number>;
  readonly values: Map<string, number>;
}

interface Walk {
  readonly document: Document;
  readonly text: string;
  readonly entries: WeakMap<object, Entries>;
  nodes: number;
}

class Refused extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/**
 * Reads one YAML document.
 * @param file - what problems call the file
 */
export function readYaml(text: string, file: string): PlainDocument | readonly Problem[] {
  const lines = new LineCounter();
  const place = (offset: number): Place => placeAt(lines, offset);
  const problem = (message: string, offset: number): Problem => ({ file, ...place(offset), message });
  if (text.length > FILE_LENGTH_MAX) return [problem(`the file is longer than ${FILE_LENGTH_MAX} characters`, 0)];
  const deep = tooDeep(text, lines);
  if (deep !== undefined) return [problem(`nested deeper than ${DEPTH_MAX} levels`, deep)];
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, merge: false });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) return faults.slice(0, 5).map((fault) => problem(yamlMessage(fault, text), fault.pos[0]));
  if (document.contents === null) return [problem("the file is empty", 0)];
  const walk: Walk = { document, text, entries: new WeakMap(), nodes: 0 };
  try {
    const value = plain(walk, document.contents, 0);
    return located(walk, value, place);
  } catch (error) {
    if (error instanceof Refused) return [problem(error.message, error.offset)];
    throw error;
  }
}

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** A message of the YAML reader in one line, beginning in lower case as ours do. */
function yamlMessage({ message, code, pos }: YAMLError, text: string): string {
  if (code === "DUPLICATE_KEY") {
    const key = /^(?:"[^"\n]*"|'[^'\n]*'|[^\s:,{}[\]]+)/.exec(text.slice(pos[0], pos[0] + 60))?.[0];
    if (key !== undefined) return `the key ${quoted(key.replace(/^["']|["']$/g, ""))} is there twice`;
  }
  const line = (message.split("\n")[0] ?? "")
    .replace(/:$/, "")
    .replace(/(multiple documents); please .*/, "$1: a scenario is one");
  return line.slice(0, 1).toLowerCase() + line.slice(1);
}

/**
 * The offset at which nesting exceeds DEPTH_MAX, if it does. The YAML reader itself recurses, and dies on deep nesting; so this looks at the
 * tokens alone: brackets, indicators in one line, and indentation, each of which bounds a kind of nesting.
 */
function tooDeep(text: string, lines: LineCounter): number | undefined {
  let offset = 0;
  let brackets = 0;
  let indicators = 0;
  let lineStart = true;
  let found: number | undefined;
  for (const token of new Lexer().lex(text)) {
    if (lineStart && /^ +$/.test(token) && token.length > DEPTH_MAX * 8) found ??= offset;
    lineStart = false;
    if (token === "[" || token === "{") brackets += 1;
    else if (token === "]" || token === "}") brackets -= 1;
    else if (token === "-" || token === "?") indicators += 1;
    else if (token.endsWith("\n")) {
      indicators = 0;
      lineStart = true;
    }
    if (brackets > DEPTH_MAX || indicators > DEPTH_MAX) found ??= offset;
    if (found !== undefined) break;
    if (!MARKS.has(token)) offset += token.length;
  }
  if (found !== undefined) {
    lines.addNewLine(0);
    for (let at = text.indexOf("\n"); at >= 0 && at < found; at = text.indexOf("\n", at + 1)) lines.addNewLine(at + 1);
  }
  return found;
}

function startOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

function plain(walk: Walk, node: unknown, depth: number): Plain {
  if (node === null || node === undefined) return null;
  const at = startOf(node as Node);
  walk.nodes += 1;
  if (walk.nodes > NODES_MAX) throw new Refused(`aliases expand to more than ${NODES_MAX} values`, at);
  if (depth > DEPTH_MAX) throw new Refused(`nested deeper than ${DEPTH_MAX} levels`, at);
  if (isAlias(node)) {
    const target = node.resolve(walk.document);
    if (target === undefined) throw new Refused(`no anchor is called "${node.source}"`, at);
    return plain(walk, target, depth + 1);
  }
  const tag = (node as Node).tag;
  if (tag !== undefined && /^!|^\*\*/.test(tag)) throw new Refused(`tags such as ${tag} mean nothing here`, at);
  if (isMap(node)) return plainMap(walk, node, depth);
  if (isSeq(node)) {
    const values = new Map<string, number>();
    const list = node.items.map((item, index) => {
      values.set(String(index), item === null ? at : startOf(item as Node));
      return plain(walk, item, depth + 1);
    });
    walk.entries.set(list, { keys: values, values });
    return list;
  }
  return isScalar(node) ? plainScalar(node.value, node.source) : null;
}

function plainMap(walk: Walk, node: { readonly items: readonly { key: unknown; value: unknown }[] }, depth: number): Plain {
  const out: Record<string, Plain> = Object.create(null);
  const entries: Entries = { keys: new Map(), values: new Map() };
  for (const { key, value } of node.items) {
    const at = startOf(key as Node);
    if (!isScalar(key)) throw new Refused("a key must be a plain word", at);
    const word = String(key.source ?? key.value);
    entries.keys.set(word, at);
    entries.values.set(word, value === null || value === undefined ? at : startOf(value as Node));
    out[word] = plain(walk, value, depth + 1);
  }
  walk.entries.set(out, entries);
  return out;
}

function plainScalar(value: unknown, source: string | undefined): Plain {
  if (typeof value === "number" || typeof value === "bigint") {
    const text = source ?? String(value);
    return /^(0|-?[1-9]\d*)$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : text;
  }
  return typeof value === "string" || typeof value === "boolean" ? value : null;
}

function located(walk: Walk, value: Plain, place: (offset: number) => Place): PlainDocument {
  const rootOffset = startOf(walk.document.contents as Node);
  const find = (path: PlainPath): { readonly node: Plain; readonly offset: number } => {
    let node = value;
    let offset = rootOffset;
    for (const step of path) {
      const known = typeof node === "object" && node !== null ? walk.entries.get(node) : undefined;
      const next = known?.values.get(String(step));
      if (next === undefined) break;
      offset = next;
      node = (node as Record<string, Plain>)[String(step)] ?? null;
    }
    return { node, offset };
  };
  return {
    value,
    placeOf: (path) => place(find(path).offset),
    placeOfKey: (path, key) => {
      const { node, offset } = find(path);
      const known = typeof node === "object" && node !== null ? walk.entries.get(node) : undefined;
      return place(known?.keys.get(key) ?? offset);
    },
  };
}
