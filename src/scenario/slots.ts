/**
 * The kinds of value that scenario files hold, as zod schemas: sizes, modes, paths, descriptors, bounds.
 * Interface: quantities may name the variables that are in `variables` when they are parsed.
 */
import { z } from "zod";
import { parseScript, type SimpleCommand, SyntaxFault } from "../shell/parse.ts";
import { scriptFaults } from "../shell/run.ts";
import { FOR_EVER, KEEP_WORDS, type Keep } from "./faults.ts";
import { quoted } from "./problem.ts";
import { Fault, readByte, readMode, readSize, readSpan, type Variables } from "./quantity.ts";
import { suggestion } from "./suggest.ts";

/** How much something may be: from `min` to `max`, both included. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

type Reading<T> = z.ZodPipe<z.ZodUnion<readonly [z.ZodNumber, z.ZodString]>, z.ZodTransform<T, string | number>>;

/** A number or a text that `read` understands. */
function reading<T>(about: string, read: (value: string | number) => T | Fault): Reading<T> {
  return z
    .union([z.number(), z.string()], { error: (issue) => `expected ${about}, found ${quoted(issue.input)}` })
    .meta({ description: about })
    .transform((value, context): T => {
      const found = read(value);
      if (!(found instanceof Fault)) return found;
      context.issues.push({ code: "custom", message: found.message, input: value });
      return z.NEVER;
    });
}

/** A word out of a list, with a suggestion for one that is not in it. */
export function oneOf<const Word extends string>(what: string, words: readonly Word[]): z.ZodEnum<{ [key in Word]: key }> {
  return z.enum(words as readonly [Word, ...Word[]], {
    error: (issue) =>
      typeof issue.input === "string"
        ? `unknown ${what} ${quoted(issue.input)}${suggestion(issue.input, words)}`
        : `expected a ${what}, found ${quoted(issue.input)}${suggestion("", words)}`,
  }) as unknown as z.ZodEnum<{ [key in Word]: key }>;
}

/** Words of a list joined by `|`, or a list of them: the flags of a system call. */
function wordsOf(
  what: string,
  words: readonly string[],
): z.ZodPipe<z.ZodUnion<readonly [z.ZodString, z.ZodArray<z.ZodString>]>, z.ZodTransform<string[], string | string[]>> {
  return z
    .union([z.string(), z.array(z.string())])
    .meta({ description: `${what}s out of ${words.join(" ")}, joined by | or as a list` })
    .transform((value, context) => {
      const found = (typeof value === "string" ? value.split(/[|,]/) : value)
        .map((word) => word.trim())
        .filter((word) => word !== "");
      for (const word of found) {
        if (words.includes(word)) continue;
        context.issues.push({
          code: "custom",
          message: `unknown ${what} ${quoted(word)}${suggestion(word, words)}`,
          input: value,
        });
      }
      return found;
    });
}

const PATH_MAX = 65_536;

/** An amount of something, exact, in bounds, or with a tolerance: `256MiB`, `{min: 1, max: 4}`, `256MiB ~5%`. */
function boundsOf(read: (value: string | number) => number | Fault, about: string): z.ZodType<Bounds, unknown> {
  const exact = reading(about, (value): Bounds | Fault => {
    const [, base, percent] = /^(.*?)\s*(?:~|±|\+-)\s*(\d+(?:\.\d+)?)\s*%$/.exec(String(value)) ?? [];
    const middle = read(base === undefined ? value : base);
    if (middle instanceof Fault) return middle;
    const slack = percent === undefined ? 0 : (Math.abs(middle) * Number(percent)) / 100;
    return { min: middle - slack, max: middle + slack };
  });
  const amount = reading(about, read);
  const range = z
    .strictObject({ min: amount.optional(), max: amount.optional() })
    .transform(({ min, max }): Bounds => ({ min: min ?? Number.NEGATIVE_INFINITY, max: max ?? Number.POSITIVE_INFINITY }))
    .refine((bounds) => bounds.min <= bounds.max, { message: "min is more than max" });
  return z.union([exact, range]) as unknown as z.ZodType<Bounds, unknown>;
}

/** An amount with a sign in front: space can come back. */
function readSigned(value: string | number, variables: Variables): number | Fault {
  const text = String(value).trim();
  const found = text.startsWith("-") ? readSize(text.slice(1), variables) : readSize(value, variables);
  return found instanceof Fault || !text.startsWith("-") ? found : -found;
}

/** A script of the shell, read. */
interface Script {
  readonly text: string;
  readonly script: readonly SimpleCommand[];
}

/** What is wrong with a script, in words; several faults in one message. */
function readScript(text: string, variables: Variables): Script | Fault {
  const script = parseScript(text);
  const place = (at: number): string => {
    const before = text.slice(0, at).split("\n");
    return before.length === 1 ? `at character ${at + 1}` : `in line ${before.length} of the script`;
  };
  if (script instanceof SyntaxFault) return new Fault(`${script.message} (${place(script.at)} of ${quoted(text)})`);
  const [fault] = scriptFaults(script, [...variables.keys()]);
  if (fault === undefined) return { text, script };
  return new Fault(`${fault.message}${suggestion(fault.word, fault.known)}`);
}

function ordinal(variables: Variables): z.ZodType<number, unknown> {
  return reading("a number from 1 on", (value) => {
    const found = readSize(value, variables);
    return found instanceof Fault || found >= 1 ? found : new Fault(`expected a number from 1 on, found ${quoted(value)}`);
  });
}

function keepSchema(variables: Variables): z.ZodType<Keep, unknown> {
  return z.union([oneOf("choice", KEEP_WORDS), z.array(ordinal(variables)).max(1000, "more than 1000 writes")]).meta({
    description: "what of the unflushed writes is there afterwards: all, none, random sectors, or writes by their numbers",
  });
}

/** A command line, or several. */
function scriptSlot(variables: Variables): z.ZodType<Script, unknown> {
  return z
    .string({ error: (issue) => `expected a command line such as "mv /a /b", found ${quoted(issue.input)}` })
    .max(PATH_MAX, "a script of more than 65536 characters")
    .meta({ description: "a command line: commands with | && || ; and lines, quotes, $names of vars, patterns, > >> < <<END" })
    .transform((text, context): Script => {
      const found = readScript(text, variables);
      if (!(found instanceof Fault)) return found;
      context.issues.push({ code: "custom", message: found.message, input: text });
      return z.NEVER;
    }) as unknown as z.ZodType<Script, unknown>;
}

/** The value schemas of one file. */
export function slotsFor(variables: Variables): Slots {
  const size = reading("bytes, such as 4096, 64KiB, 1GiB or 2*$name", (value) => readSize(value, variables));
  return {
    size,
    count: reading("a whole number or a sum over $names", (value) => readSize(value, variables)),
    ordinal: ordinal(variables),
    keep: keepSchema(variables),
    times: z.union([
      z
        .literal(FOR_EVER, { error: (issue) => `expected how often, or "${FOR_EVER}", found ${quoted(issue.input)}` })
        .transform(() => Number.POSITIVE_INFINITY),
      ordinal(variables),
    ]),
    span: reading("a span of time such as 5s or 20ms", (value) => readSpan(value, variables)),
    mode: reading("permission bits, octal, such as 0644", readMode),
    byte: reading("one byte, such as 0x5a", readByte),
    bounds: boundsOf((value) => readSigned(value, variables), "an amount: 256MiB, 3, 256MiB ±5%"),
    spanBounds: boundsOf((value) => readSpan(value, variables), "a span of time: 5s, 5s ±10%"),
    path: z
      .string({ error: (issue) => `expected a path, found ${quoted(issue.input)}` })
      .max(PATH_MAX, "a path of more than 65536 characters")
      .refine((path) => !path.includes("\0"), "a path has no NUL in it")
      .meta({ description: "a path in the container" }),
    descriptor: z
      .string({ error: (issue) => `expected an open file such as $fd, found ${quoted(issue.input)}` })
      .regex(/^\$[A-Za-z_]\w*$/, { error: (issue) => `expected an open file such as $fd, found ${quoted(issue.input)}` })
      .meta({ description: "an open file: $ and the name that `open` gave it by `as`" }),
    name: z
      .string({ error: (issue) => `expected a name, found ${quoted(issue.input)}` })
      .regex(/^[A-Za-z0-9][\w.+-]*$/, {
        error: (issue) => `expected a name of letters, digits, "." "_" "+" and "-", found ${quoted(issue.input)}`,
      })
      .max(64, "a name of more than 64 characters"),
    treeName: z
      .string({ error: (issue) => `expected a container or a layer, found ${quoted(issue.input)}` })
      .regex(/^[A-Za-z0-9][\w.+-]*(:[1-9]\d*)?$/, {
        error: (issue) => `expected a container, or a layer such as app:1, found ${quoted(issue.input)}`,
      })
      .max(80, "a name of more than 80 characters"),
    text: z.string({ error: (issue) => `expected a text, found ${quoted(issue.input)}` }),
    word: z
      .union([z.string(), z.int()], { error: (issue) => `expected a word or a number, found ${quoted(issue.input)}` })
      .transform(String) as unknown as z.ZodType<string, unknown>,
    script: scriptSlot(variables),
    variables,
    id: z
      .int({ error: (issue) => `expected a user or group number, found ${quoted(issue.input)}` })
      .min(-1, "a user or group number is at least -1")
      .max(2 ** 32 - 2, "a user or group number is at most 4294967294"),
    flags: (what, words) => wordsOf(what, words),
  };
}

export interface Slots {
  readonly size: Reading<number>;
  readonly count: Reading<number>;
  /** From 1. */
  readonly ordinal: z.ZodType<number, unknown>;
  /** What a power cut leaves of unflushed writes. */
  readonly keep: z.ZodType<Keep, unknown>;
  /** How often something fails; `Infinity` for ever. */
  readonly times: z.ZodType<number, unknown>;
  readonly span: Reading<number>;
  readonly mode: Reading<number>;
  readonly byte: Reading<number>;
  readonly bounds: z.ZodType<Bounds, unknown>;
  readonly spanBounds: z.ZodType<Bounds, unknown>;
  readonly path: z.ZodString;
  readonly descriptor: z.ZodString;
  readonly name: z.ZodString;
  readonly treeName: z.ZodString;
  readonly text: z.ZodString;
  /** A name or a number, such as of a user. */
  readonly word: z.ZodType<string, unknown>;
  readonly script: z.ZodType<Script, unknown>;
  /** The file's own variables. */
  readonly variables: Variables;
  readonly id: z.ZodInt;
  readonly flags: typeof wordsOf;
}
