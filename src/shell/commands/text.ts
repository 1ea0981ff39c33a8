/**
 * head, tail and wc (coreutils 9.1, src/head.c, tail.c, wc.c).
 */
import { Content } from "../../../sim/core/content.ts";
import { isErrno } from "../../../sim/core/errno.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { type Command, fail, quoted } from "../command.ts";
import type { OpenedFile } from "../opened-file.ts";
import { option, type Parsed } from "../options.ts";
import { newPipe } from "../pipe.ts";
import type { Process } from "../process.ts";
import { sizeOf } from "./sizes.ts";

const SEEK_SET = 0;
const SEEK_CUR = 1;
const SEEK_END = 2;
/** BUFSIZ of glibc, by which head and tail read. */
const PIECE = 8192;
const LINES_DEFAULT = 10;
const NEWLINE = 0x0a;

/** What head and tail are to show of each file. */
interface Part {
  readonly unit: "lines" | "bytes";
  readonly count: number;
  /** tail's `+N`: from the Nth on, to the end. */
  readonly fromStart: boolean;
}

function partOf(process: Process, name: string, { values }: Parsed): Part | undefined {
  const unit = values.has("bytes") ? "bytes" : "lines";
  const text = values.get(unit) ?? String(LINES_DEFAULT);
  const fromStart = name === "tail" && text.startsWith("+");
  const count = sizeOf(text.replace(name === "tail" ? /^[+-]/ : /^\+/, ""));
  if (count !== undefined) return { unit, count, fromStart };
  fail(process, `${name}: invalid number of ${unit}: ${quoted(text)}`);
  return undefined;
}

/**
 * Opens a file that is named, or takes standard input for "-", and closes what it opened.
 * @param refused - the complaint about one that cannot be opened
 * @returns what `work` makes of it, or the exit status
 */
function withInput<T>(process: Process, path: string, refused: string, work: (input: OpenedFile) => T): T | number {
  if (path === "-") return work(process.input ?? newPipe());
  const input = process.open(path, fs.O_RDONLY);
  if (isErrno(input)) return fail(process, refused, input);
  const made = work(input);
  process.close(input);
  return made;
}

/** Opens each file that is named, or takes standard input, and shows it under its name where there are several. */
function eachFile(
  process: Process,
  name: string,
  { values, operands }: Parsed,
  show: (input: OpenedFile, shown: string) => number,
): number {
  const paths = operands.length === 0 ? ["-"] : operands;
  const isNamed = values.has("verbose") || (paths.length > 1 && !values.has("quiet"));
  let status = 0;
  let isFirst = true;
  for (const path of paths) {
    const shown = path === "-" ? "standard input" : path;
    const ended = withInput(process, path, `${name}: cannot open ${quoted(path)} for reading`, (input) => {
      if (isNamed) process.print(`${isFirst ? "" : "\n"}==> ${shown} <==\n`);
      isFirst = false;
      return show(input, shown);
    });
    status = Math.max(status, ended);
  }
  return status;
}

/** Reads and shows at most `most` bytes. @returns the exit status */
function copyOut(process: Process, input: OpenedFile, most: number, named: { name: string; shown: string }): number {
  for (let left = most; ; ) {
    const piece = process.read(input, Math.min(left, PIECE));
    if (isErrno(piece)) return fail(process, `${named.name}: error reading ${quoted(named.shown)}`, piece);
    if (piece.length === 0) return 0;
    process.printBuffered(piece);
    left -= piece.length;
    if (left <= 0) return 0;
  }
}

/** Where the first `count` lines of some bytes end, or all of them do, and how many lines are to come behind them. */
function behindLines(raw: Uint8Array, count: number): { readonly end: number; readonly left: number } {
  let end = 0;
  let left = count;
  while (end < raw.length && left > 0) {
    const next = raw.indexOf(NEWLINE, end);
    end = next < 0 ? raw.length : next + 1;
    if (next >= 0) left -= 1;
  }
  return { end, left };
}

/** The first lines: what was read behind them is given back by a seek. */
function headLines(process: Process, input: OpenedFile, count: number, shown: string): number {
  for (let left = count; left > 0; ) {
    const piece = process.read(input, PIECE);
    if (isErrno(piece)) return fail(process, `head: error reading ${quoted(shown)}`, piece);
    if (piece.length === 0) return 0;
    const { end, left: after } = behindLines(piece.toBytes(), left);
    left = after;
    process.printBuffered(piece.slice(0, end));
    if (left === 0) process.lseek(input, end - piece.length, SEEK_CUR);
  }
  return 0;
}

const PART_OPTIONS = [
  option("lines", "-n --lines", "value"),
  option("bytes", "-c --bytes", "value"),
  option("quiet", "-q --quiet --silent"),
  option("verbose", "-v --verbose"),
];

export const head: Command = {
  name: "head",
  about: "shows the first lines of files, 10 or -n N; -c N bytes",
  options: PART_OPTIONS,
  run: (process, given) => {
    const part = partOf(process, "head", given);
    if (part === undefined) return 1;
    return eachFile(process, "head", given, (input, shown) => {
      if (part.count === 0) return 0;
      if (part.unit === "lines") return headLines(process, input, part.count, shown);
      return copyOut(process, input, part.count, { name: "head", shown });
    });
  },
};

/** Where the last `count` lines begin in bytes that end with the file. */
function lastLines(raw: Uint8Array, count: number): number {
  if (count === 0) return raw.length;
  let left = raw.at(-1) === NEWLINE ? count : count - 1;
  for (let at = raw.length; ; ) {
    const found = at === 0 ? -1 : raw.lastIndexOf(NEWLINE, at - 1);
    if (found < 0) return 0;
    if (left === 0) return found + 1;
    left -= 1;
    at = found;
  }
}

/** A pipe cannot be read from its end: all of it is. */
function tailOfPipe(process: Process, input: OpenedFile, part: Part): number {
  const pieces: Content[] = [];
  for (;;) {
    const piece = process.read(input, PIECE);
    if (isErrno(piece)) return fail(process, "tail: error reading 'standard input'", piece);
    if (piece.length === 0) break;
    pieces.push(piece);
  }
  const all = Content.concat(pieces);
  const from = part.unit === "bytes" ? all.length - part.count : lastLines(all.toBytes(), part.count);
  process.printBuffered(all.slice(Math.max(0, from)));
  return 0;
}

/** The last lines of a file, searched backwards by pieces (file_lines). */
function tailLines(process: Process, input: OpenedFile, count: number, shown: string): number {
  const start = process.lseek(input, 0, SEEK_CUR);
  const end = process.lseek(input, 0, SEEK_END);
  if (isErrno(start) || isErrno(end)) return 1;
  if (end <= start) return 0;
  let left = count;
  let at = end - ((end - start) % PIECE || PIECE);
  for (let length = end - at, isLast = true; ; length = PIECE, isLast = false) {
    process.lseek(input, at, SEEK_SET);
    const piece = process.read(input, length);
    if (isErrno(piece)) return fail(process, `tail: error reading ${quoted(shown)}`, piece);
    const raw = piece.toBytes();
    if (isLast && left > 0 && raw.at(-1) !== NEWLINE) left -= 1;
    for (let place = raw.length; place > 0; ) {
      place = raw.lastIndexOf(NEWLINE, place - 1);
      if (place < 0) break;
      if (left === 0) {
        process.printBuffered(piece.slice(place + 1));
        return copyOut(process, input, end - (at + raw.length), { name: "tail", shown });
      }
      left -= 1;
    }
    if (at === start) {
      process.lseek(input, start, SEEK_SET);
      return copyOut(process, input, end, { name: "tail", shown });
    }
    at -= PIECE;
  }
}

function tailBytes(process: Process, input: OpenedFile, count: number, of: fs.Attributes, shown: string): number {
  if (of.size <= of.blockSize) return tailOfPipe(process, input, { unit: "bytes", count, fromStart: false });
  const at = process.lseek(input, 0, SEEK_CUR);
  if (!isErrno(at) && count < of.size - at) process.lseek(input, of.size - count, SEEK_SET);
  return copyOut(process, input, count, { name: "tail", shown });
}

/** From the Nth line or byte on. */
function tailFrom(process: Process, input: OpenedFile, { unit, count }: Part, shown: string): number {
  const named = { name: "tail", shown };
  let skip = Math.max(0, count - 1);
  if (unit === "bytes") {
    if (skip > 0 && isErrno(process.lseek(input, skip, SEEK_CUR))) process.read(input, skip);
    return copyOut(process, input, Number.POSITIVE_INFINITY, named);
  }
  while (skip > 0) {
    const piece = process.read(input, PIECE);
    if (isErrno(piece)) return fail(process, `tail: error reading ${quoted(shown)}`, piece);
    if (piece.length === 0) return 0;
    const { end, left } = behindLines(piece.toBytes(), skip);
    skip = left;
    if (end < piece.length) process.printBuffered(piece.slice(end));
  }
  return copyOut(process, input, Number.POSITIVE_INFINITY, named);
}

export const tail: Command = {
  name: "tail",
  about: "shows the last lines of files, 10 or -n N; -c N bytes; +N: from the Nth on",
  options: PART_OPTIONS,
  run: (process, given) => {
    const part = partOf(process, "tail", given);
    if (part === undefined) return 1;
    return eachFile(process, "tail", given, (input, shown) => {
      const of = process.fstat(input);
      if (isErrno(of)) return fail(process, `tail: cannot fstat ${quoted(shown)}`, of);
      if (part.fromStart) return tailFrom(process, input, part, shown);
      if ((of.mode & fs.S_IFMT) !== fs.S_IFREG) return tailOfPipe(process, input, part);
      if (part.unit === "bytes") return tailBytes(process, input, part.count, of, shown);
      return tailLines(process, input, part.count, shown);
    });
  },
};

/** What wc reads at a time; where it counts nothing but lines, as much as its AVX2 loop takes. */
const WC_PIECE = 16_384;
const WC_LINES_PIECE = 16_320;
const PAGE = 4096;

const COUNTS = ["lines", "words", "bytes"] as const;
type Counts = Record<(typeof COUNTS)[number], number>;

function isSpace(unit: number): boolean {
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
}

/** The size that a file says it has; what behind it lies is read all the same where the size is a whole number of pages. */
function countedBytes(process: Process, input: OpenedFile, of: fs.Attributes): number | undefined {
  if ((of.mode & fs.S_IFMT) !== fs.S_IFREG) return 0;
  if (of.size % PAGE !== 0) return undefined;
  const near = of.size - (of.size % (of.blockSize + 1));
  return near > 0 && !isErrno(process.lseek(input, near, SEEK_CUR)) ? near : 0;
}

/** @returns the counts, or the exit status */
function countIn(
  process: Process,
  input: OpenedFile,
  wanted: ReadonlySet<string>,
  shown: string,
  looked?: fs.Attributes,
): Counts | number {
  const counts: Counts = { lines: 0, words: 0, bytes: 0 };
  if (wanted.size === 1 && wanted.has("bytes")) {
    const of = looked ?? process.fstat(input);
    if (!isErrno(of)) {
      const known = countedBytes(process, input, of);
      if (known === undefined) return { ...counts, bytes: of.size };
      counts.bytes = known;
    }
  }
  const length = wanted.has("lines") && !wanted.has("words") ? WC_LINES_PIECE : WC_PIECE;
  let inWord = false;
  for (;;) {
    const piece = process.read(input, length);
    if (isErrno(piece)) return fail(process, `wc: ${shown}`, piece);
    if (piece.length === 0) return counts;
    counts.bytes += piece.length;
    if (length === WC_PIECE && !wanted.has("words")) continue;
    for (const unit of piece.toBytes()) {
      if (unit === NEWLINE) counts.lines += 1;
      if (!inWord && !isSpace(unit)) counts.words += 1;
      inWord = !isSpace(unit);
    }
  }
}

/** How wide the numbers are: as the sizes together, at least 7 where something is no file. */
function widthOf(looked: readonly (fs.Attributes | undefined)[]): number {
  const known = looked.filter((of) => of !== undefined);
  const isFile = ({ mode }: fs.Attributes): boolean => (mode & fs.S_IFMT) === fs.S_IFREG;
  const sum = known.reduce((total, of) => total + (isFile(of) ? of.size : 0), 0);
  return Math.max(known.every(isFile) ? 1 : 7, String(sum).length);
}

export const wc: Command = {
  name: "wc",
  about: "counts lines, words and bytes of files: -l, -w, -c",
  options: [option("lines", "-l --lines"), option("words", "-w --words"), option("bytes", "-c --bytes")],
  run: (process, { values, operands }) => {
    const asked = COUNTS.filter((one) => values.has(one));
    const shown = asked.length === 0 ? COUNTS : asked;
    const paths = operands.length === 0 ? ["-"] : operands;
    const looks = paths.length > 1 || shown.length > 1;
    const looked = paths.map((path) => {
      if (!looks) return undefined;
      const of = path === "-" ? process.fstat(process.input ?? newPipe()) : process.stat(path);
      return isErrno(of) ? undefined : of;
    });
    const width = looks ? widthOf(looked) : 1;
    const total: Counts = { lines: 0, words: 0, bytes: 0 };
    const tell = (counts: Counts, name: string): void => {
      const numbers = shown.map((one) => String(counts[one]).padStart(width)).join(" ");
      process.print(`${numbers}${name === "" ? "" : ` ${name}`}\n`);
      process.endLine();
    };
    let status = 0;
    for (const [index, path] of paths.entries()) {
      const counts = withInput(process, path, `wc: ${path}`, (input) =>
        countIn(process, input, new Set(shown), path, looked[index]),
      );
      if (typeof counts === "number") {
        status = counts;
        continue;
      }
      for (const one of COUNTS) total[one] += counts[one];
      tell(counts, operands.length === 0 ? "" : path);
    }
    if (paths.length > 1) tell(total, "total");
    return status;
  },
};
