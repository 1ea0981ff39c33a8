/**
 * Files that cannot be read or written, and why, in the same words wherever it happens.
 *
 * Interface: `onFile` names the file in front of the system's reason, `readWhole` takes a file of bounded size.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** A file that cannot be read or written as asked: one line that says which and why. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** Where the system's own words say less than they could. */
const WORDS: Readonly<Record<string, string>> = {
  EISDIR: "it is a directory",
  ERR_FS_FILE_TOO_LARGE: "the file is too large",
};

/** The system's reason in plain words: "no such file or directory". */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const code = isOfMachine(error) ? (error.code ?? "") : "";
  return WORDS[code] ?? /^E[A-Z0-9]+: ([^,]*)/.exec(text)?.[1] ?? text;
}

/** Whether an error is one of the machine's own system calls, or of Node in their place. */
export function isOfMachine(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && ("syscall" in error || error.code === "ERR_FS_FILE_TOO_LARGE");
}

/** An error of the machine with the file in front. */
export function fileError(path: string, error: unknown): InputError {
  return new InputError(`${path}: ${reasonOf(error)}`);
}

/** Does something with a file. @throws InputError with the file and the reason where the machine refuses; other errors as they are */
export function onFile<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw isOfMachine(error) ? fileError(path, error) : error;
  }
}

const PIECE_BYTES = 65_536;

/**
 * All bytes of a file. @param most - bytes that are read at most: a device or a pipe may never end
 * @throws InputError where it cannot be read, or is longer
 */
export function readWhole(path: string, most: number): Uint8Array {
  return onFile(path, () => {
    const fd = openSync(path, "r");
    try {
      const { size } = fstatSync(fd);
      let raw = Buffer.alloc(Math.min(Math.max(size + 1, PIECE_BYTES), most + 1));
      let length = 0;
      for (;;) {
        const got = readSync(fd, raw, length, raw.length - length, null);
        length += got;
        if (got === 0) return new Uint8Array(raw.buffer, raw.byteOffset, length);
        if (length > most) throw new InputError(`${path}: the file is longer than ${most} bytes`);
        if (length === raw.length) raw = Buffer.concat([raw], Math.min(2 * length, most + 1));
      }
    } finally {
      closeSync(fd);
    }
  });
}

/** A text file. @throws InputError as readWhole does, and where it is not UTF-8 */
export function readText(path: string, most: number): string {
  const raw = readWhole(path, most);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(raw);
  } catch {
    throw new InputError(`${path}: the file is not UTF-8 text`);
  }
}
