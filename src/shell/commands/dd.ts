/**
 * dd (coreutils 9.1, src/dd.c): if=, of=, bs=, count=, skip=, seek=, conv=, oflag=, iflag=, status=.
 */

import { Content } from "../../../sim/core/content.ts";
import { EINVAL, ENOSYS, type Errno, ESPIPE, isErrno } from "../../../sim/core/errno.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { type Command, fail, quoted, refuse } from "../command.ts";
import type { OpenedFile } from "../opened-file.ts";
import type { Process } from "../process.ts";
import { humanSize, sizeOf } from "./sizes.ts";

const SEEK_CUR = 1;
const BLOCK_DEFAULT = 512;
const KEYS = ["if", "of", "bs", "ibs", "obs", "count", "skip", "seek", "conv", "oflag", "iflag", "status"];

interface Settings {
  readonly block: number;
  readonly count: number;
  readonly skip: number;
  readonly seek: number;
  readonly words: ReadonlySet<string>;
  readonly status: string;
  readonly input: string | undefined;
  readonly output: string | undefined;
}

/** @returns what is wrong with a word, as a sentence */
function settingsOf(words: readonly string[]): Settings | string {
  const values = new Map<string, string>();
  for (const word of words) {
    const [key = "", ...rest] = word.split("=");
    if (rest.length === 0 || !KEYS.includes(key)) return `unrecognized operand ${quoted(word)}`;
    values.set(key, rest.join("="));
  }
  const sizes = new Map<string, number>();
  for (const key of ["bs", "ibs", "count", "skip", "seek"]) {
    const text = values.get(key);
    const size = text === undefined ? undefined : sizeOf(text);
    if (text !== undefined && size === undefined) return `invalid number: ${quoted(text)}`;
    if (size !== undefined) sizes.set(key, size);
  }
  const listed = ["conv", "oflag", "iflag"].flatMap((key) => (values.get(key) ?? "").split(",").map((word) => `${key}:${word}`));
  return {
    block: sizes.get("bs") ?? sizes.get("ibs") ?? BLOCK_DEFAULT,
    count: sizes.get("count") ?? Number.POSITIVE_INFINITY,
    skip: sizes.get("skip") ?? 0,
    seek: sizes.get("seek") ?? 0,
    words: new Set(listed),
    status: values.get("status") ?? "",
    input: values.get("if"),
    output: values.get("of"),
  };
}

/** Opens the output: its old end is cut off behind where dd begins to write, unless conv=notrunc. */
function openOutput(process: Process, settings: Settings, path: string): OpenedFile | number {
  const { words, seek, block } = settings;
  const truncates = !words.has("conv:notrunc");
  const access = seek > 0 ? fs.O_RDWR : fs.O_WRONLY;
  const flags =
    access |
    (words.has("conv:nocreat") ? 0 : fs.O_CREAT) |
    (words.has("conv:excl") ? fs.O_EXCL : 0) |
    (truncates && seek === 0 ? fs.O_TRUNC : 0) |
    (words.has("oflag:append") ? fs.O_APPEND : 0) |
    (words.has("oflag:direct") ? fs.O_DIRECT : 0) |
    (words.has("oflag:dsync") ? fs.O_DSYNC : 0) |
    (words.has("oflag:sync") ? fs.O_SYNC : 0);
  const file = process.open(path, flags, 0o666);
  if (isErrno(file)) return fail(process, `dd: failed to open ${quoted(path)}`, file);
  if (truncates && seek > 0) {
    const failed = process.ftruncate(file, seek * block);
    // Of what is no file, such as a device, dd does not mind.
    if (failed !== undefined && file.device === undefined)
      return fail(process, `dd: failed to truncate to ${seek * block} bytes in output file ${quoted(path)}`, failed);
  }
  return file;
}

interface Moved {
  whole: number;
  partial: number;
  bytes: number;
  failed: boolean;
}

function move(process: Process, settings: Settings, input: OpenedFile | undefined, output: OpenedFile | undefined): Moved {
  const moved: Moved = { whole: 0, partial: 0, bytes: 0, failed: false };
  while (moved.whole + moved.partial < settings.count) {
    const piece = input === undefined ? undefined : process.read(input, settings.block);
    if (isErrno(piece)) {
      fail(process, `dd: error reading ${quoted(settings.input ?? "standard input")}`, piece);
      moved.failed = true;
      break;
    }
    if (piece === undefined || piece.length === 0) break;
    const padded = settings.words.has("conv:sync")
      ? Content.concat([piece, Content.zeros(settings.block - piece.length)])
      : piece;
    const written = output === undefined ? process.printContent(padded) : process.write(output, padded);
    if (isErrno(written)) {
      fail(process, `dd: error writing ${quoted(settings.output ?? "standard output")}`, written);
      moved.failed = true;
      break;
    }
    if (piece.length === settings.block) moved.whole += 1;
    else moved.partial += 1;
    moved.bytes += padded.length;
  }
  return moved;
}

function report(process: Process, { whole, partial, bytes }: Moved, status: string): void {
  if (status === "none") return;
  process.complain(`${whole}+${partial} records in\n${whole}+${partial} records out`);
  if (status === "noxfer") return;
  const sizes = [...(bytes >= 1000 ? [humanSize(bytes, 1000)] : []), ...(bytes >= 1024 ? [humanSize(bytes, 1024)] : [])];
  const known = sizes.length === 0 ? "" : ` (${sizes.join(", ")})`;
  process.complain(`${bytes} byte${bytes === 1 ? "" : "s"}${known} copied`);
}

function skipInput(process: Process, input: OpenedFile, { skip, block, input: name }: Settings): boolean {
  if (skip === 0) return true;
  const found = process.lseek(input, skip * block, SEEK_CUR);
  const size = process.fstat(input);
  if (!isErrno(found) && !isErrno(size)) return true;
  return refuse(process, `dd: ${quoted(name ?? "standard input")}: cannot skip`, isErrno(found) ? found : ESPIPE);
}

/** What conv= asks for behind the last block (synchronize_output). @returns whether the data is there */
function synchronize(process: Process, { words, output: name }: Settings, output: OpenedFile): boolean {
  let whole = words.has("conv:fsync");
  let ok = true;
  const tell = (call: string, failed: Errno): void => {
    fail(process, `dd: ${call} failed for ${quoted(name ?? "standard output")}`, failed);
    ok = false;
  };
  if (words.has("conv:fdatasync")) {
    const failed = process.fsync(output, true);
    // What cannot be synchronized so is tried as a whole.
    if (failed === ENOSYS || failed === EINVAL) whole = true;
    if (failed !== undefined && failed !== ENOSYS && failed !== EINVAL) tell("fdatasync", failed);
  }
  if (whole) {
    const failed = process.fsync(output);
    if (failed !== undefined) tell("fsync", failed);
  }
  return ok;
}

/** @returns the files, or the exit status where one cannot be opened */
function openBoth(
  process: Process,
  settings: Settings,
): { input: OpenedFile | undefined; output: OpenedFile | undefined } | number {
  let input = process.input;
  if (settings.input !== undefined) {
    const opened = process.open(settings.input, fs.O_RDONLY | (settings.words.has("iflag:direct") ? fs.O_DIRECT : 0));
    if (isErrno(opened)) return fail(process, `dd: failed to open ${quoted(settings.input)}`, opened);
    input = opened;
  }
  if (input !== undefined) process.lseek(input, 0, SEEK_CUR);
  if (settings.output === undefined) return { input, output: process.output };
  const output = openOutput(process, settings, settings.output);
  return typeof output === "number" ? output : { input, output };
}

export const dd: Command = {
  name: "dd",
  about:
    "copies in blocks: if= of= bs= count= skip= seek= conv=notrunc,fsync,fdatasync,sync oflag=direct,append,sync,dsync status=none",
  options: [],
  verbatim: true,
  run: (process, { operands }) => {
    const settings = settingsOf(operands);
    if (typeof settings === "string") return fail(process, `dd: ${settings}\nTry 'dd --help' for more information.`);
    const files = openBoth(process, settings);
    if (typeof files === "number") return files;
    const { input, output } = files;
    if (input !== undefined && !skipInput(process, input, settings)) return 1;
    if (output !== undefined && settings.seek > 0) process.lseek(output, settings.seek * settings.block, SEEK_CUR);
    const moved = move(process, settings, input, output);
    if (output !== undefined && !synchronize(process, settings, output)) moved.failed = true;
    if (settings.input !== undefined && input !== undefined) process.close(input);
    if (settings.output !== undefined && output !== undefined) process.close(output);
    report(process, moved, settings.status);
    return moved.failed ? 1 : 0;
  },
};
