/**
 * Calls of node:fs as data, made on any object of its shape in any of its three forms, and answers in a form that can be compared.
 */
import { Buffer } from "node:buffer";
import fc from "fast-check";

const NODE_MAJOR = Number(process.versions.node.split(".")[0]);

/** Which form of a function is called. */
type Form = "sync" | "callback" | "promise";

/** One call. An argument {file: n} stands for the n-th descriptor that was opened, {path: p} for a path in the test's folder. */
export interface FsCall {
  readonly form: Form;
  readonly name: string;
  readonly args: readonly unknown[];
}

type AnyFs = Readonly<Record<string, unknown>>;
type AnyFunction = (...args: unknown[]) => unknown;

const NAMES = ["a", "b", "c", "a/b", "a/c", "b/a", "a/b/c", "c/", "a/.", "b/../c", "lnk", "", "a/b/c/d/e", "n".repeat(256)];
const path = fc.constantFrom(...NAMES).map((name) => ({ path: name }));
const good = fc.constantFrom("a", "b", "c", "a/b", "a/c", "lnk").map((name) => ({ path: name }));
const where = fc.oneof({ weight: 8, arbitrary: good }, { weight: 2, arbitrary: path });
const file = fc.nat({ max: 4 }).map((index) => ({ file: index }));
const mode = fc.constantFrom(0o755, 0o644, 0o600, 0o4711, 0o0, "755");
const text = fc.constantFrom("", "hello", "x".repeat(5000), "äöü€");
const time = fc.constantFrom(0, 1.5, 1_600_000_000.125, 1_700_000_000, "12.5");
const flags = fc.constantFrom("r", "r+", "w", "wx", "w+", "a", "ax", "a+", "as", "rs+", 0, 2, 0o101, 0o200000, 0o400000);
const bits = fc.constantFrom(0, 1, 2, 4, 6, 7);
const offset = fc.constantFrom(0, 1, 3, 10, null, 5000);
const wrong = fc.constantFrom(undefined, null, 777, -1, 1.5, {}, [], "r\0x", true, Number.NaN, "", 2 ** 40, 10n);

type Arguments = fc.Arbitrary<readonly unknown[]>;

/** Calls that have a promise form, with arguments that fit. */
const PATH_CALLS: Readonly<Record<string, Arguments>> = {
  access: fc.tuple(where, bits),
  appendFile: fc.tuple(where, text),
  chmod: fc.tuple(where, mode),
  copyFile: fc.tuple(where, where, fc.constantFrom(0, 1)),
  link: fc.tuple(where, where),
  lstat: fc.tuple(where),
  lutimes: fc.tuple(where, time, time),
  mkdir: fc.oneof(fc.tuple(where), fc.tuple(good, fc.constant({ recursive: true })), fc.tuple(where, mode)),
  mkdtemp: fc.tuple(fc.constantFrom({ path: "none/t-" }, { path: "a/file/t-" })),
  readdir: fc.tuple(
    where,
    fc.constantFrom({}, { withFileTypes: true }, "buffer", { recursive: true }, { recursive: true, withFileTypes: true }),
  ),
  readFile: fc.tuple(where, fc.constantFrom(undefined, "utf8", "hex", { encoding: "latin1" }, { flag: "a+" })),
  readlink: fc.tuple(where, fc.constantFrom(undefined, "buffer")),
  realpath: fc.tuple(good),
  rename: fc.tuple(where, where),
  rm: fc.tuple(where, fc.constantFrom({}, { force: true }, { recursive: true }, { recursive: true, force: true })),
  rmdir: fc.tuple(where),
  stat: fc.tuple(where, fc.constantFrom({}, { bigint: true })),
  symlink: fc.tuple(fc.oneof(where, fc.constantFrom("a", "./b", "lnk", "nowhere")), where),
  truncate: fc.tuple(where, fc.constantFrom(0, 3, 10_000)),
  unlink: fc.tuple(where),
  utimes: fc.tuple(where, time, time),
  writeFile: fc.tuple(
    where,
    text,
    fc.constantFrom(undefined, { mode: 0o600 }, { flag: "wx" }, { flag: "a", flush: true }, "latin1"),
  ),
};

const COPY_CALL: Arguments = fc.tuple(
  good,
  good,
  fc.constantFrom(
    {},
    { recursive: true },
    { recursive: true, force: false, errorOnExist: true },
    { recursive: true, preserveTimestamps: true },
  ),
);

/** Calls on descriptors, which have no promise form. */
const FILE_CALLS: Readonly<Record<string, Arguments>> = {
  close: fc.tuple(file),
  fchmod: fc.tuple(file, mode),
  fdatasync: fc.tuple(file),
  fstat: fc.tuple(file),
  fsync: fc.tuple(file),
  ftruncate: fc.tuple(file, fc.constantFrom(0, 3, 9000)),
  futimes: fc.tuple(file, time, time),
  open: fc.tuple(where, flags, fc.constantFrom(0o644, 0o600)),
  read: fc.tuple(file, fc.constant({ room: 8 }), fc.constantFrom(0, 2), fc.constantFrom(0, 4, 6), offset),
  readv: fc.tuple(file, fc.constant([{ room: 3 }, { room: 6000 }]), offset),
  write: fc.oneof(
    fc.tuple(file, fc.constant({ bytes: "abcdef" }), fc.constantFrom(0, 2), fc.constantFrom(0, 3), offset),
    fc.tuple(file, text, offset, fc.constant("utf8")),
  ),
  writev: fc.tuple(file, fc.constant([{ bytes: "one" }, { bytes: "two" }]), offset),
  readFile: fc.tuple(file, fc.constantFrom(undefined, "utf8")),
  writeFile: fc.tuple(file, text),
  existsSync: fc.tuple(where),
};

const callsOf = (table: Readonly<Record<string, Arguments>>, form: fc.Arbitrary<Form>): fc.Arbitrary<FsCall>[] =>
  Object.entries(table).map(([name, args]) => fc.record({ form, name: fc.constant(name), args }));

/** Calls whose arguments are of the right types. */
export const rightCall: fc.Arbitrary<FsCall> = fc.oneof(
  ...callsOf(PATH_CALLS, fc.constantFrom("sync", "callback", "promise")),
  ...callsOf(FILE_CALLS, fc.constantFrom("sync", "callback")),
  // Both ends are asked at once in the other forms: which error comes first is chance. From Node 22 on cpSync is another one, with other words.
  ...(NODE_MAJOR < 22 ? callsOf({ cp: COPY_CALL }, fc.constant("sync")) : []),
);

/** Checks that Node makes in other words, or elsewhere: a call and the places of its arguments that are left alone. */
const OTHER_CHECKS: Readonly<Record<string, readonly number[]>> = {
  access: [1],
  appendFile: [0, 1],
  copyFile: [2],
  cp: [0, 1, 2],
  existsSync: [0],
  mkdtemp: [0],
  read: [0, 1, 2, 3],
  readFile: [0],
  realpath: [0],
  rm: [0, 1],
  symlink: [0, 1],
  truncate: [0, 1],
  stat: [1],
  write: [1, 2, 3],
  writeFile: [0, 1],
};

/** Calls of which one argument is of a wrong type or out of range. */
export const wrongCall: fc.Arbitrary<FsCall> = fc
  .tuple(rightCall, fc.nat({ max: 3 }), wrong)
  .map(([call, number, value]) => ({ call, place: number % call.args.length, value }))
  .filter(({ call, place }) => OTHER_CHECKS[call.name]?.includes(place) !== true)
  .map(({ call, place, value }) => ({ ...call, args: call.args.map((arg, index) => (index === place ? value : arg)) }));

/** The files of one side. */
export interface Side {
  readonly fs: AnyFs;
  /** Absolute; the same text on both sides. */
  readonly folder: string;
  readonly files: number[];
}

function argumentFor(side: Side, arg: unknown): unknown {
  if (Array.isArray(arg)) return arg.map((one) => argumentFor(side, one));
  if (typeof arg !== "object" || arg === null) return arg;
  const { path: name, file: index, room, bytes } = arg as { path?: string; file?: number; room?: number; bytes?: string };
  if (name !== undefined) return name === "" ? "" : `${side.folder}/${name}`;
  if (index !== undefined) return side.files[index] ?? 900 + index;
  if (room !== undefined) return Buffer.alloc(room);
  return bytes === undefined ? arg : Buffer.from(bytes);
}

/** Makes one call and gives its answer or its error, to be compared. */
export async function answer(side: Side, call: FsCall): Promise<unknown> {
  const args = call.args.map((arg) => argumentFor(side, arg));
  try {
    const result = await made(side.fs, call, args);
    if (call.name === "open") {
      side.files.push(result as number);
      return "a descriptor";
    }
    const shownArgs = call.name.startsWith("read")
      ? shown(args.filter((arg) => ArrayBuffer.isView(arg) || Array.isArray(arg)))
      : null;
    return { result: shown(result), filled: shownArgs };
  } catch (error) {
    return shownError(error as NodeJS.ErrnoException);
  }
}

function made(fs: AnyFs, { form, name }: FsCall, args: readonly unknown[]): unknown {
  if (name === "existsSync") return (fs["existsSync"] as AnyFunction)(...args);
  if (form === "sync") return (fs[`${name}Sync`] as AnyFunction)(...args);
  if (form === "promise") return ((fs["promises"] as AnyFs)[name] as AnyFunction)(...args);
  return new Promise((resolve, reject) => {
    (fs[name] as AnyFunction)(...args, (error: Error | null, ...results: unknown[]) => {
      if (error) reject(error);
      else resolve(results[0]);
    });
  });
}

function shownError(error: NodeJS.ErrnoException): unknown {
  const { name, message, code, errno, syscall, path: of, dest } = error as NodeJS.ErrnoException & { dest?: string };
  // mkdtemp's letters are chance.
  // How an argument is shown depends on whether Node checks it in JavaScript or in C++; readlink's has another name from Node 22 on.
  const plain = (text: string | undefined): string | undefined =>
    text
      ?.replace(/t-\w{6}\b/, "t-XXXXXX")
      .replace(/(["'])oldPath\1/, "$1path$1")
      .replace(/ Received [\s\S]*/, "");
  // cpSync tells of EISDIR with the number of EINVAL.
  const number = code === "ERR_FS_EISDIR" ? null : errno;
  return { name, message: plain(message), code, errno: number, syscall, path: plain(of), dest };
}

/** Results as plain data; what differs from filesystem to filesystem is left out. */
export function shown(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("latin1");
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== "object" || value === null) return value;
  const of = value as Record<string, unknown> & {
    isDirectory?: () => boolean;
    isFile?: () => boolean;
    isSymbolicLink?: () => boolean;
  };
  if (of.isDirectory === undefined) return value;
  const type = [of.isDirectory(), of.isFile?.(), of.isSymbolicLink?.()];
  if (of["mode"] === undefined) return { name: shown(of["name"]), parentPath: of["parentPath"], type };
  const folder = of.isDirectory();
  const { mode: bitsOf, uid, gid, nlink, size } = of;
  const whole = { type, mode: bitsOf, uid, gid, nlink: folder ? null : nlink, size: folder ? null : size };
  const keys = Object.keys(value).filter((key) => !/^(atime|mtime|ctime|birthtime)$/.test(key));
  return { ...whole, keys: keys.sort(), early: early(of["mtimeMs"]) };
}

/** A time that a test has set; one that the clock made is left out. */
function early(ms: unknown): unknown {
  const known = Number(ms);
  return known < 1_600_000_000_000 || known === 1_600_000_000_125 || known === 1_700_000_000_000 ? String(ms) : null;
}
