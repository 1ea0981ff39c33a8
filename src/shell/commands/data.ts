/**
 * cat, truncate, touch and sync (coreutils 9.1).
 */
import { timeFromNanoseconds } from "../../../sim/core/clock.ts";
import { EISDIR, ENOENT, isErrno } from "../../../sim/core/errno.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { type Command, fail, missingOperand, quoted } from "../command.ts";
import type { OpenedFile } from "../opened-file.ts";
import { option } from "../options.ts";
import type { Process, UtimeTo } from "../process.ts";
import { sameInode } from "./copy.ts";
import { BUFFER_BYTES } from "./copy-file.ts";
import { sizeOf } from "./sizes.ts";

const SEEK_CUR = 1;

/** One file to standard output: copy_file_range into a file, else by pieces of 128 KiB. */
function concatenate(process: Process, input: OpenedFile, name: string, outputIs: fs.Attributes | undefined): number {
  const found = process.fstat(input);
  if (isErrno(found)) return fail(process, `cat: ${name}`, found);
  const { output } = process;
  if (output !== undefined && outputIs !== undefined && input.device === undefined && sameInode(found, outputIs)) {
    const at = process.lseek(input, 0, SEEK_CUR);
    if (isErrno(at) || at < found.size) return fail(process, `cat: ${name}: input file is output file`);
  }
  const isFile = ({ mode }: fs.Attributes): boolean => (mode & fs.S_IFMT) === fs.S_IFREG;
  if (output !== undefined && outputIs !== undefined && isFile(outputIs) && isFile(found)) {
    let moved = 0;
    for (;;) {
      const copied = process.copyFileRange(input, output);
      if (isErrno(copied)) break;
      if (copied === 0) {
        if (moved > 0) return 0;
        break;
      }
      moved += copied;
    }
  }
  for (;;) {
    const piece = process.read(input, BUFFER_BYTES);
    if (isErrno(piece)) return fail(process, `cat: ${name}`, piece);
    if (piece.length === 0) return 0;
    const failed = process.printContent(piece);
    if (failed !== undefined) return fail(process, "cat: write error", failed);
  }
}

export const cat: Command = {
  name: "cat",
  about: "writes files to standard output",
  options: [],
  run: (process, { operands }) => {
    const looked = process.output === undefined ? undefined : process.fstat(process.output);
    const outputIs = looked === undefined || isErrno(looked) ? undefined : looked;
    let status = 0;
    for (const name of operands.length === 0 ? ["-"] : operands) {
      if (name === "-") {
        if (process.input !== undefined) status = Math.max(status, concatenate(process, process.input, name, outputIs));
        continue;
      }
      const input = process.open(name, fs.O_RDONLY);
      if (isErrno(input)) {
        status = fail(process, `cat: ${name}`, input);
        continue;
      }
      status = Math.max(status, concatenate(process, input, name, outputIs));
      process.close(input);
    }
    return status;
  },
};

export const truncate: Command = {
  name: "truncate",
  about: "sets sizes: -s SIZE, +SIZE or -SIZE",
  options: [option("size", "-s --size", "value"), option("no-create", "-c --no-create")],
  run: (process, { values, operands }) => {
    const text = values.get("size");
    if (text === undefined) {
      process.complain(
        "truncate: you must specify either '--size' or '--reference'\nTry 'truncate --help' for more information.",
      );
      return 1;
    }
    if (operands.length === 0) return missingOperand(process, "truncate");
    const [, sign = "", digits = ""] = /^([+-]?)(.*)$/.exec(text) ?? [];
    const amount = sizeOf(digits);
    if (amount === undefined) return fail(process, `truncate: Invalid number: ${quoted(text)}`);
    let status = 0;
    for (const path of operands) {
      const file = process.open(
        path,
        fs.O_WRONLY | (values.has("no-create") ? 0 : fs.O_CREAT) | fs.O_NONBLOCK,
        values.has("no-create") ? undefined : 0o666,
      );
      if (isErrno(file)) {
        if (!(values.has("no-create") && file === ENOENT))
          status = fail(process, `truncate: cannot open ${quoted(path)} for writing`, file);
        continue;
      }
      const before = sign === "" ? undefined : process.fstat(file);
      const size =
        before === undefined || isErrno(before) ? amount : Math.max(0, before.size + (sign === "-" ? -amount : amount));
      const failed = process.ftruncate(file, size);
      if (failed !== undefined) status = fail(process, `truncate: failed to truncate ${quoted(path)} at ${size} bytes`, failed);
      process.close(file);
    }
    return status;
  },
};

/** What a touch sets: times of a reference, of -d @SECONDS, or now. */
function touchTimes(process: Process, values: ReadonlyMap<string, string>): readonly [UtimeTo, UtimeTo] | number {
  const reference = values.get("reference");
  const date = values.get("date");
  let times: readonly [UtimeTo, UtimeTo] = ["NOW", "NOW"];
  if (reference !== undefined) {
    const found = process.stat(reference);
    if (isErrno(found)) return fail(process, `touch: failed to get attributes of ${quoted(reference)}`, found);
    times = [found.atime, found.mtime];
  } else if (date !== undefined) {
    if (!/^@\d+$/.test(date))
      return fail(process, `touch: invalid date format ${quoted(date)}: @SECONDS since 1970 are read here`);
    const at = timeFromNanoseconds(BigInt(date.slice(1)) * 1_000_000_000n);
    times = [at, at];
  }
  if (values.has("access") && !values.has("modification")) return [times[0], "OMIT"];
  return values.has("modification") && !values.has("access") ? ["OMIT", times[1]] : times;
}

export const touch: Command = {
  name: "touch",
  about: "makes empty files, and sets times",
  options: [
    option("no-create", "-c --no-create"),
    option("access", "-a"),
    option("modification", "-m"),
    option("reference", "-r --reference", "value"),
    option("date", "-d --date", "value"),
  ],
  run: (process, { values, operands }) => {
    if (operands.length === 0) return missingOperand(process, "touch");
    const times = touchTimes(process, values);
    if (typeof times === "number") return times;
    let status = 0;
    for (const path of operands) {
      const flags = fs.O_WRONLY | fs.O_CREAT | fs.O_NOCTTY | fs.O_NONBLOCK;
      const file = values.has("no-create") ? undefined : process.open(path, flags, 0o666);
      if (file === undefined || isErrno(file)) {
        const failed = process.utimens(path, ...times);
        if (failed === undefined || (values.has("no-create") && failed === ENOENT)) continue;
        status = fail(
          process,
          `touch: ${file === undefined ? "setting times of" : "cannot touch"} ${quoted(path)}`,
          file !== undefined && file !== EISDIR ? file : failed,
        );
        continue;
      }
      const failed = process.futimens(file, ...times);
      if (failed !== undefined) status = fail(process, `touch: setting times of ${quoted(path)}`, failed);
      process.close(file);
    }
    return status;
  },
};

export const sync: Command = {
  name: "sync",
  about: "writes back everything, or files; -d data alone, -f their filesystem",
  options: [option("data", "-d --data"), option("filesystem", "-f --file-system")],
  run: (process, { values, operands }) => {
    if (operands.length === 0) {
      process.syncfs();
      return 0;
    }
    let status = 0;
    for (const path of operands) {
      const file = process.open(path, fs.O_RDONLY | fs.O_NONBLOCK);
      if (isErrno(file)) {
        status = fail(process, `sync: error opening ${quoted(path)}`, file);
        continue;
      }
      const failed = values.has("filesystem") ? process.syncfs(file) : process.fsync(file, values.has("data"));
      if (failed !== undefined) status = fail(process, `sync: error syncing ${quoted(path)}`, failed);
      process.close(file);
    }
    return status;
  },
};
