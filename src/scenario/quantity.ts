/**
 * Quantities as people write them: sizes with their units, spans of time, octal modes, and small sums over named values.
 *
 * Interface: a reader gives the number or a Fault, whose message says what was found and what would be right. A number without a unit is bytes
 * (a size) or a count; KiB is 2^10 bytes, kB is 1000, and a bare K or M is refused because it means either.
 */
import { quoted } from "./problem.ts";
import { suggestion } from "./suggest.ts";

/** Why a text is no quantity. */
export class Fault {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ["B", 1],
  ["KiB", 2 ** 10],
  ["MiB", 2 ** 20],
  ["GiB", 2 ** 30],
  ["TiB", 2 ** 40],
  ["kB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
  ["TB", 1e12],
]);

const TIME_UNITS: ReadonlyMap<string, number> = new Map([
  ["ns", 1],
  ["us", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
  ["min", 60e9],
  ["h", 3600e9],
]);

/** Named values of a scenario (`vars`). */
export type Variables = ReadonlyMap<string, number>;

/** The largest size that is taken: 16 TiB, the largest device. */
const SIZE_MAX: number = 2 ** 44;

/** Bytes of a disk's sector. */
const SECTOR = 512;

/** Why no disk has this size. */
export function diskFault(size: number): string | undefined {
  return size % SECTOR === 0 ? undefined : `a disk has whole sectors of ${SECTOR} bytes, not ${size} bytes`;
}

/** A size or a count: a whole number from 0 to 16 TiB. */
export function readSize(value: unknown, variables: Variables): number | Fault {
  const found = typeof value === "number" ? value : typeof value === "string" ? sum(value, SIZE_UNITS, variables) : undefined;
  if (found === undefined) return new Fault(`expected a size such as 64KiB, found ${quoted(value)}`);
  if (found instanceof Fault) return found;
  if (!Number.isFinite(found) && /[/÷]/.test(String(value))) return new Fault(`${quoted(value)} divides by 0`);
  if (found > SIZE_MAX) return new Fault(`${quoted(value)} is more than 16 TiB`);
  if (!Number.isSafeInteger(found) || found < 0) return new Fault(`expected a whole number from 0 on, found ${quoted(value)}`);
  return found;
}

/** A span of time in nanoseconds; the unit is needed. At most 1000 hours. */
export function readSpan(value: unknown, variables: Variables): number | Fault {
  if (typeof value === "number") return new Fault(`${value} of what? Write a unit, such as ${value}s or ${value}ms`);
  const found = typeof value === "string" ? sum(value, TIME_UNITS, variables) : undefined;
  if (found === undefined) return new Fault(`expected a span of time such as 5s, found ${quoted(value)}`);
  if (found instanceof Fault) return found;
  if (!Number.isFinite(found) || found < 0) return new Fault(`expected a span of time, found ${quoted(value)}`);
  return found > 3.6e15 ? new Fault(`${quoted(value)} is more than 1000 h`) : Math.floor(found);
}

/** Permission bits, always octal: 0644, 755 and 0o4755 are what chmod(1) takes them for. */
export function readMode(value: unknown): number | Fault {
  const text = typeof value === "number" ? String(value) : typeof value === "string" ? value.replace(/^0o/, "") : "";
  if (!/^[0-7]{1,5}$/.test(text)) return new Fault(`expected an octal mode such as 0644, found ${quoted(value)}`);
  const mode = Number.parseInt(text, 8);
  return mode > 0o7777 ? new Fault(`a mode has at most 07777, found ${quoted(value)}`) : mode;
}

/** One byte: 0 to 255, or 0x00 to 0xff. */
export function readByte(value: unknown): number | Fault {
  const text = String(value);
  const found = /^0x[0-9a-f]{1,2}$/i.test(text) || /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  return found <= 255 ? found : new Fault(`expected one byte such as 0x5a, found ${quoted(value)}`);
}

interface Reader {
  readonly text: string;
  readonly units: ReadonlyMap<string, number>;
  readonly variables: Variables;
  at: number;
  depth: number;
}

/** Sums and products over numbers with units and `$names`: `2*$pages`, `1GiB - 4KiB`, `$size/4096`. */
function sum(text: string, units: ReadonlyMap<string, number>, variables: Variables): number | Fault {
  if (text.length > 200) return new Fault("expected a quantity, found a long text");
  const reader: Reader = { text, units, variables, at: 0, depth: 0 };
  const found = terms(reader);
  if (found instanceof Fault) return found;
  skipSpaces(reader);
  return reader.at < text.length ? new Fault(`expected a quantity, found ${quoted(text)}`) : found;
}

function terms(reader: Reader): number | Fault {
  let total = factors(reader);
  for (let sign = operator(reader, "+-−"); sign !== undefined; sign = operator(reader, "+-−")) {
    const next = factors(reader);
    if (total instanceof Fault) return total;
    if (next instanceof Fault) return next;
    total += sign === "+" ? next : -next;
  }
  return total;
}

function factors(reader: Reader): number | Fault {
  let total = atom(reader);
  for (let sign = operator(reader, "*×/÷"); sign !== undefined; sign = operator(reader, "*×/÷")) {
    const next = atom(reader);
    if (total instanceof Fault) return total;
    if (next instanceof Fault) return next;
    total = sign === "*" || sign === "×" ? total * next : total / next;
  }
  return total;
}

function skipSpaces(reader: Reader): void {
  while (reader.text[reader.at] === " ") reader.at += 1;
}

function operator(reader: Reader, signs: string): string | undefined {
  skipSpaces(reader);
  const sign = reader.text[reader.at];
  if (sign === undefined || !signs.includes(sign)) return undefined;
  reader.at += 1;
  return sign;
}

function take(reader: Reader, pattern: RegExp): string | undefined {
  pattern.lastIndex = reader.at;
  const found = pattern.exec(reader.text)?.[0];
  if (found !== undefined) reader.at += found.length;
  return found;
}

function atom(reader: Reader): number | Fault {
  skipSpaces(reader);
  if (operator(reader, "(") !== undefined) {
    reader.depth += 1;
    if (reader.depth > 8) return new Fault("too many brackets");
    const inner = terms(reader);
    reader.depth -= 1;
    return operator(reader, ")") === undefined ? new Fault(`a bracket is not closed in ${quoted(reader.text)}`) : inner;
  }
  const name = take(reader, /\$\w+/y);
  if (name !== undefined) {
    const value = reader.variables.get(name.slice(1));
    const known = [...reader.variables.keys()].map((key) => `$${key}`);
    return value ?? new Fault(`no variable is called "${name}"${suggestion(name, known)}`);
  }
  const digits = take(reader, /\d+(?:_\d+)*(?:\.\d+)?/y);
  if (digits === undefined) return new Fault(`expected a quantity such as ${example(reader)}, found ${quoted(reader.text)}`);
  skipSpaces(reader);
  const unit = take(reader, /[A-Za-zµ]+/y);
  const scale = unit === undefined ? 1 : reader.units.get(unit === "µs" ? "us" : unit);
  if (scale === undefined) return new Fault(unknownUnit(unit ?? "", reader));
  if (unit === undefined && reader.units === TIME_UNITS && reader.text.trim() === digits)
    return new Fault(`${digits} of what? Write a unit, such as ${digits}s`);
  return Number(digits.replaceAll("_", "")) * scale;
}

function example(reader: Reader): string {
  return reader.units === TIME_UNITS ? "5s" : "64KiB";
}

function unknownUnit(unit: string, reader: Reader): string {
  const bare = /^([kKmMgGtT])[bB]?$/.exec(unit)?.[1]?.toUpperCase();
  if (reader.units === SIZE_UNITS && bare !== undefined) {
    const decimal = bare === "K" ? "kB" : `${bare}B`;
    return `unknown unit "${unit}"; did you mean "${bare}iB" (powers of 1024) or "${decimal}" (powers of 1000)?`;
  }
  return `unknown unit "${unit}"${suggestion(unit, [...reader.units.keys()])}`;
}
