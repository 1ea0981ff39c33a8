/**
 * What zod found wrong, in our words: one message an issue, with the path whose place it belongs to.
 */
import type { z } from "zod";
import { DRIVERS } from "../drivers/registry.ts";
import type { Plain, PlainPath } from "./document.ts";
import { quoted } from "./problem.ts";
import { dockerWord, suggestion } from "./suggest.ts";

export interface Finding {
  readonly path: PlainPath;
  /** The key of the mapping at `path` that is wrong, where it is the key and not a value. */
  readonly key?: string;
  readonly message: string;
}

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;

/** Every finding of a failed parse, in the order of the document. */
export function findingsOf(error: z.core.$ZodError, schema: Schema, value: Plain): Finding[] {
  return error.issues.flatMap((issue) => explain(issue as Issue, schema, value, []));
}

function explain(issue: Issue, root: Schema, value: Plain, base: PlainPath): Finding[] {
  const path = [...base, ...issue.path];
  const found = valueAt(value, path);
  if (issue.code === "unrecognized_keys") {
    const shape = shapeAt(root, value, path);
    return issue.keys.map((key) => {
      const above = keyWithAction(shape, key);
      const isUnrun = isExpectation(path) && DRIVERS.has(key);
      const known = isUnrun ? "; this file does not run that driver" : suggestion(key, Object.keys(shape));
      const hint = above === undefined ? known : `; it stands below "${above}": { ${key}: … }`;
      return { path, key, message: `unknown key ${quoted(key)}${hint}` };
    });
  }
  if (issue.code === "invalid_union") return explainUnion(issue, root, value, path);
  if (issue.code === "invalid_key" || issue.code === "invalid_element") {
    const key = String(path.at(-1) ?? "");
    return [{ path: path.slice(0, -1), key, message: issue.issues[0]?.message ?? `the key ${quoted(key)} is wrong` }];
  }
  if (found === undefined && path.length > 0)
    return [{ path: path.slice(0, -1), message: `${quoted(String(path.at(-1)))} is missing` }];
  if (isOwn(issue.message)) return [{ path, message: issue.message }];
  if (issue.code === "invalid_type") return [{ path, message: `expected ${kindName(issue.expected)}, found ${quoted(found)}` }];
  if (issue.code === "invalid_value")
    return [{ path, message: `expected ${issue.values.map((one) => quoted(one)).join(" or ")}, found ${quoted(found)}` }];
  if (issue.code === "too_small" || issue.code === "too_big") {
    const bound = issue.code === "too_small" ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
    return [{ path, message: `expected ${bound}, found ${Array.isArray(found) ? found.length : quoted(found)}` }];
  }
  return [{ path, message: `${quoted(found)} cannot stand here` }];
}

/** Whether a message is ours and not one that zod made up. */
function isOwn(message: string): boolean {
  return !/^(Invalid|Too (small|big)|Unrecognized)/.test(message);
}

/** A union failed: the branch that was meant speaks. */
function explainUnion(issue: Extract<Issue, { code: "invalid_union" }>, root: Schema, value: Plain, path: PlainPath): Finding[] {
  const found = valueAt(value, path);
  if (found === undefined) return [{ path: path.slice(0, -1), message: `${quoted(String(path.at(-1)))} is missing` }];
  const branches = issue.errors.filter((errors) => !errors.some((one) => one.path.length === 0 && one.code === "invalid_type"));
  const options = optionsAt(root, value, path);
  const word = isMapping(found) ? actionWord(found, options) : undefined;
  if (word !== undefined) {
    const branch = issue.errors[options.findIndex((option) => firstKey(option) === word)] ?? [];
    return branch.flatMap((one) => explain(one, root, value, path));
  }
  const actions = options.map(firstKey).filter((key) => key !== undefined);
  if (isMapping(found) && actions.length > 1) {
    const key = Object.keys(found)[0];
    if (key === undefined) return [{ path, message: "expected an action, found an empty mapping" }];
    return [{ path, key, message: `unknown action ${quoted(key)}${dockerWord(key) ?? suggestion(key, actions)}` }];
  }
  const kinds = issue.errors.map(([first, ...others]) => (others.length === 0 ? wantedKind(first) : undefined));
  if (kinds.length > 1 && kinds.every((kind) => kind !== undefined))
    return [{ path, message: `expected ${kinds.join(" or ")}, found ${quoted(found)}` }];
  const meant = branches.length === 1 ? branches[0] : branches.find((errors) => errors.some((one) => one.path.length > 0));
  if (meant !== undefined && meant.length > 0) return meant.flatMap((one) => explain(one, root, value, path));
  if (isOwn(issue.message)) return [{ path, message: issue.message }];
  if (actions.length > 1) return [{ path, message: `expected an action such as { mkdir: /a }, found ${quoted(found)}` }];
  const words = issue.errors.flat().map((one) => one.message);
  return [{ path, message: words.find(isOwn) ?? `${quoted(found)} cannot stand here` }];
}

/** Whether a place is where drivers are named to say what is expected of them. */
function isExpectation(path: PlainPath): boolean {
  return path.at(-1) === "expect" || path.at(-1) === "warn";
}

/** What a branch of a union takes, where it is about the value as a whole and has no words of its own. */
function wantedKind(issue: Issue | undefined): string | undefined {
  if (issue === undefined || issue.path.length > 0 || !("message" in issue) || isOwn(issue.message)) return undefined;
  if (issue.code === "invalid_type") return kindName(issue.expected);
  return issue.code === "invalid_value" ? issue.values.map((one) => quoted(one)).join(" or ") : undefined;
}

/** The first key of a mapping that names an action. */
function actionWord(mapping: object, options: readonly Schema[]): string | undefined {
  const names = options.length > 2 ? options.map(firstKey) : [];
  return Object.keys(mapping).find((key) => names.includes(key));
}

function isMapping(value: unknown): value is Readonly<Record<string, Plain>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindName(expected: string): string {
  const names: Readonly<Record<string, string>> = {
    object: "a mapping",
    record: "a mapping",
    array: "a list",
    string: "a text",
    number: "a number",
    int: "a whole number",
    boolean: "true or false",
    tuple: "a list",
  };
  return names[expected] ?? expected;
}

/** The value at a path; undefined where there is none. */
export function valueAt(value: Plain, path: PlainPath): Plain | undefined {
  let at: unknown = value;
  for (const step of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Readonly<Record<PropertyKey, unknown>>)[step];
  }
  return at as Plain | undefined;
}

/** What zod keeps of a schema, as far as a path leads through it. */
interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly innerType?: Schema;
  readonly element?: Schema;
  readonly valueType?: Schema;
  readonly in?: Schema;
  readonly options?: readonly Schema[];
}

function definition(schema: Schema): Definition {
  const def = schema._zod.def as unknown as Definition;
  if (def.type === "pipe" && def.in !== undefined) return definition(def.in);
  return (def.type === "optional" || def.type === "nullable") && def.innerType !== undefined ? definition(def.innerType) : def;
}

function firstKey(schema: Schema): string | undefined {
  const { shape } = definition(schema);
  return shape === undefined ? undefined : Object.keys(shape)[0];
}

/** The definition that a path leads to; in a union the branch that fits the value. */
function definitionAt(root: Schema, value: Plain, path: PlainPath): Definition | undefined {
  let at: Definition | undefined = definition(root);
  let node: unknown = value;
  for (const step of path) {
    at = at === undefined ? undefined : branchFor(at, node);
    const next: Schema | undefined = at?.shape?.[String(step)] ?? at?.element ?? at?.valueType;
    at = next === undefined ? undefined : definition(next);
    node = typeof node === "object" && node !== null ? (node as Readonly<Record<PropertyKey, unknown>>)[step] : undefined;
  }
  return at;
}

function branchFor(at: Definition, node: unknown): Definition {
  if (at.options === undefined) return at;
  const wanted = Array.isArray(node) ? "array" : isMapping(node) ? "object" : "";
  const fitting = at.options.filter((option) => definition(option).type === wanted);
  const word = isMapping(node) ? actionWord(node, at.options) : undefined;
  const nested = at.options.find((option) => definition(option).type === "union");
  const chosen = fitting.find((option) => word !== undefined && firstKey(option) === word) ?? fitting[0] ?? nested;
  return chosen === undefined ? at : branchFor(definition(chosen), node);
}

/** The keys of the mapping at a path, each with what it takes. */
function shapeAt(root: Schema, value: Plain, path: PlainPath): Readonly<Record<string, Schema>> {
  const at = definitionAt(root, value, path);
  const branch = at === undefined ? undefined : branchFor(at, valueAt(value, path));
  return branch?.shape ?? {};
}

/** The key whose actions have one of that word, for a word that was written beside it. */
function keyWithAction(shape: Readonly<Record<string, Schema>>, word: string): string | undefined {
  return Object.keys(shape).find((key) => definition(shape[key] as Schema).options?.some((option) => firstKey(option) === word));
}

/** The options of the union at a path; a union among them stands for its own options only where it is the one that fits. */
function optionsAt(root: Schema, value: Plain, path: PlainPath): readonly Schema[] {
  return definitionAt(root, value, path)?.options ?? [];
}
