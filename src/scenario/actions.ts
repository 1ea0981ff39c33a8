/**
 * What a step can do: one table, a row an action. A row is the action's fields as the file writes them and the operation they mean; the
 * schema of `do`, the JSON Schema, the suggestions and the documentation all come from it.
 *
 * Interface: the first field of a row has the action's name. Most actions are one system call in the form of recorded traces
 * (src/calls); the others stand for several calls on one file, or act on the machine.
 */
import { z } from "zod";
import { METRIC_IDS, type MetricId } from "./metrics.ts";
import { oneOf, type Slots } from "./slots.ts";

/** Bytes to write, in words: a text, or so many bytes of something. */
export type Data =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "fill"; readonly unit: Uint8Array; readonly size: number }
  | { readonly kind: "pattern"; readonly seed: number; readonly size: number }
  /** Incompressible bytes that no other write of the run has. */
  | { readonly kind: "random"; readonly size: number };

/** A system call as src/calls takes it: its name and its arguments. */
export interface CallStep {
  readonly call: string;
  readonly [argument: string]: unknown;
}

export type Operation =
  | { readonly kind: "call"; readonly step: CallStep; readonly data?: Data }
  /** open, write, close; `append` opens with O_APPEND instead of O_TRUNC. */
  | { readonly kind: "writeFile"; readonly path: string; readonly append: boolean; readonly mode: number; readonly data: Data }
  /** open, read to the end, close. */
  | { readonly kind: "readFile"; readonly path: string }
  | { readonly kind: "tick"; readonly span: number }
  | { readonly kind: "measure"; readonly metrics: readonly MetricId[] }
  | { readonly kind: "dropCaches" }
  | { readonly kind: "diff"; readonly container: string }
  /** `name`: a container, or an image's layer as `IMAGE:N`. */
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "show"; readonly image: string; readonly field: ImageField }
  /** An instruction of a build that changes the configuration alone. */
  | { readonly kind: "instruction"; readonly verb: "ENV" | "LABEL" | "CMD" | "WORKDIR" | "USER"; readonly text: string };

/** What `show` tells of an image. */
const IMAGE_FIELDS = ["id", "diff_ids", "chain_ids", "size", "layer_sizes", "created_by", "intermediate", "old_ids"] as const;
export type ImageField = (typeof IMAGE_FIELDS)[number];

/** Where an action can stand: in a container's steps and in layers, on the machine (no `in`), or in the layers of a build. */
type Scope = "files" | "machine" | "build";

export interface Action {
  readonly name: string;
  readonly about: string;
  readonly scope: Scope;
  readonly fields: readonly string[];
  readonly schema: z.ZodType<Operation, unknown>;
}

type Shape = z.core.$ZodLooseShape;

function action<S extends Shape>(
  about: string,
  shape: S,
  make: (fields: z.output<z.ZodObject<S, z.core.$strict>>) => Operation,
  scope: Scope = "files",
): Action {
  const fields = Object.keys(shape);
  const schema = z.strictObject(shape).meta({ description: about }).transform(make);
  return { name: fields[0] ?? "", about, scope, fields, schema: schema as unknown as z.ZodType<Operation, unknown> };
}

/** A system call whose arguments are given; those that are undefined are left out. */
function call(name: string, parameters: Readonly<Record<string, unknown>>, data?: Data): Operation {
  const step: Record<string, unknown> & { call: string } = { call: name };
  for (const [key, value] of Object.entries(parameters)) if (value !== undefined) step[key] = value;
  return data === undefined ? { kind: "call", step } : { kind: "call", step, data };
}

/** The name behind the `$` of an open file. */
function fd(text: string): string {
  return text.slice(1);
}

/** A field that takes a path or an open file, as the call that goes with it: `stat` or `fstat`. */
function target(
  text: string,
  byPath: string,
  byDescriptor: string,
): { readonly call: string; readonly on: Record<string, string> } {
  return text.startsWith("$") ? { call: byDescriptor, on: { fd: fd(text) } } : { call: byPath, on: { path: text } };
}

function octal(mode: number | undefined): string | undefined {
  return mode === undefined ? undefined : mode.toString(8).padStart(4, "0");
}

const OPEN_FLAGS = [
  "O_RDONLY",
  "O_WRONLY",
  "O_RDWR",
  "O_CREAT",
  "O_EXCL",
  "O_TRUNC",
  "O_APPEND",
  "O_NONBLOCK",
  "O_DSYNC",
  "O_SYNC",
  "O_DIRECT",
  "O_DIRECTORY",
  "O_NOFOLLOW",
  "O_NOATIME",
  "O_CLOEXEC",
  "O_PATH",
  "O_TMPFILE",
];
const NODE_TYPES = ["file", "char", "block", "fifo", "socket"] as const;

/** What stands beside `write`, `append` and `pwrite`: either `text`, or `size` with `fill` or `content`. */
function dataShape(slots: Slots): {
  text: z.ZodOptional<Slots["text"]>;
  size: z.ZodOptional<Slots["size"]>;
  fill: z.ZodOptional<Slots["byte"]>;
  content: z.ZodOptional<z.ZodType<"random" | "zeros" | { seed: number }, unknown>>;
} {
  const content = z
    .string()
    .regex(/^(random|zeros|seed:\d{1,9})$/, {
      error: (issue) => `expected content random, zeros or seed:N, found ${JSON.stringify(issue.input)}`,
    })
    .transform((text) => (text === "random" || text === "zeros" ? text : { seed: Number(text.slice(5)) }));
  return {
    text: slots.text.optional(),
    size: slots.size.optional(),
    fill: slots.byte.optional(),
    content: (content as unknown as z.ZodType<"random" | "zeros" | { seed: number }, unknown>).optional(),
  };
}

interface DataFields {
  readonly text?: string | undefined;
  readonly size?: number | undefined;
  readonly fill?: number | undefined;
  readonly content?: "random" | "zeros" | { readonly seed: number } | undefined;
}

function dataOf({ text, size, fill, content }: DataFields): Data {
  if (text !== undefined) return { kind: "text", text };
  if (size === undefined) return { kind: "text", text: "" };
  if (fill !== undefined) return { kind: "fill", unit: Uint8Array.of(fill), size };
  if (content === "zeros") return { kind: "fill", unit: Uint8Array.of(0), size };
  return typeof content === "object" ? { kind: "pattern", seed: content.seed, size } : { kind: "random", size };
}

/** What is wrong with the data fields taken together; undefined when nothing is. */
export function dataFault(fields: Readonly<Record<string, unknown>>): string | undefined {
  const has = (key: string): boolean => fields[key] !== undefined;
  if (has("text") && (has("size") || has("fill") || has("content")))
    return '"text" stands alone: leave out "size", "fill" and "content"';
  if (has("fill") && has("content")) return 'give "fill" or "content", not both';
  if (!has("text") && !has("size")) return 'say what to write: "size" (with "fill" or "content") or "text"';
  return undefined;
}

/** Actions whose fields `dataFault` judges. */
export const DATA_ACTIONS: readonly string[] = ["write", "append", "pwrite"];

function openFiles(slots: Slots): Action[] {
  const { path, descriptor, size, mode, name } = slots;
  const either = z.union([descriptor, path]) as unknown as z.ZodString;
  return [
    action(
      "open(2); `as` names the open file for later steps",
      { open: path, flags: slots.flags("flag", OPEN_FLAGS).optional(), mode: mode.optional(), as: name.optional() },
      (at) => call("open", { path: at.open, flags: at.flags ?? ["O_RDONLY"], mode: octal(at.mode), fd: at.as ?? "fd" }),
    ),
    action("close(2)", { close: descriptor }, (at) => call("close", { fd: fd(at.close) })),
    action("fsync(2)", { fsync: descriptor }, (at) => call("fsync", { fd: fd(at.fsync) })),
    action("fdatasync(2)", { fdatasync: descriptor }, (at) => call("fdatasync", { fd: fd(at.fdatasync) })),
    action("syncfs(2) of the container's filesystem", { sync: oneOf("thing to sync", ["filesystem"]) }, () => call("sync", {})),
    action("read(2) of an open file, or a whole file by its path", { read: either, size: size.optional() }, (at) =>
      at.read.startsWith("$") ? call("read", { fd: fd(at.read), len: at.size ?? 4096 }) : { kind: "readFile", path: at.read },
    ),
    action("pread(2)", { pread: descriptor, offset: size, size }, (at) =>
      call("pread", { fd: fd(at.pread), offset: at.offset, len: at.size }),
    ),
    action(
      "write(2) to an open file, or a whole file by its path",
      { write: either, ...dataShape(slots), mode: mode.optional() },
      (at) =>
        at.write.startsWith("$")
          ? call("write", { fd: fd(at.write) }, dataOf(at))
          : { kind: "writeFile", path: at.write, append: false, mode: at.mode ?? 0o644, data: dataOf(at) },
    ),
    action("adds to a file by its path", { append: path, ...dataShape(slots) }, (at) => ({
      kind: "writeFile",
      path: at.append,
      append: true,
      mode: 0o644,
      data: dataOf(at),
    })),
    action("pwrite(2)", { pwrite: descriptor, offset: size, ...dataShape(slots) }, (at) =>
      call("pwrite", { fd: fd(at.pwrite), offset: at.offset }, dataOf(at)),
    ),
    action(
      "lseek(2)",
      {
        lseek: descriptor,
        offset: size,
        whence: oneOf("whence", ["SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_DATA", "SEEK_HOLE"]).optional(),
      },
      (at) => call("lseek", { fd: fd(at.lseek), offset: at.offset, whence: at.whence ?? "SEEK_SET" }),
    ),
    action(
      "maps the first page and touches it",
      {
        mmap: descriptor,
        prot: oneOf("protection", ["r", "rw"]).optional(),
        share: oneOf("sharing", ["shared", "private"]).optional(),
      },
      (at) => call("mmap", { fd: fd(at.mmap), prot: at.prot ?? "r", share: at.share ?? "shared" }),
    ),
  ];
}

function spaceAndCopies(slots: Slots): Action[] {
  const { descriptor, size, path } = slots;
  const either = z.union([descriptor, path]) as unknown as z.ZodString;
  const modes = ["KEEP_SIZE", "PUNCH_HOLE", "ZERO_RANGE", "COLLAPSE_RANGE", "INSERT_RANGE", "UNSHARE"];
  return [
    action("truncate(2) or ftruncate(2)", { truncate: either, size }, (at) => {
      const { call: name, on } = target(at.truncate, "truncate", "ftruncate");
      return call(name, { ...on, len: at.size });
    }),
    action("fallocate(2)", { fallocate: descriptor, offset: size, size, flags: slots.flags("flag", modes).optional() }, (at) =>
      call("fallocate", { fd: fd(at.fallocate), offset: at.offset, len: at.size, flags: at.flags }),
    ),
    action("copy_file_range(2), at both files' positions", { copy_file_range: descriptor, to: descriptor, size }, (at) =>
      call("copy_file_range", { fd: fd(at.copy_file_range), to: fd(at.to), len: at.size }),
    ),
    action("ioctl(FICLONE)", { clone: descriptor, to: descriptor }, (at) => call("clone", { fd: fd(at.clone), to: fd(at.to) })),
  ];
}

function attributes(slots: Slots): Action[] {
  const { path, descriptor, mode, id, text } = slots;
  const either = z.union([descriptor, path]) as unknown as z.ZodString;
  const nofollow = z.boolean().optional();
  const instant = z.union([oneOf("time", ["NOW", "OMIT"]), z.int()]).optional();
  return [
    action("stat(2) or fstat(2)", { stat: either }, (at) => {
      const { call: name, on } = target(at.stat, "stat", "fstat");
      return call(name, on);
    }),
    action("lstat(2)", { lstat: path }, (at) => call("lstat", { path: at.lstat })),
    action(
      "faccessat(2) with the effective ids",
      { access: path, want: z.string().regex(/^[rwx]{1,3}$/, "expected some of r, w and x") },
      (at) => call("access", { path: at.access, want: at.want }),
    ),
    action("chmod(2) or fchmod(2)", { chmod: either, mode }, (at) => {
      const { call: name, on } = target(at.chmod, "chmod", "fchmod");
      return call(name, { ...on, mode: octal(at.mode) });
    }),
    action("chown(2) or fchown(2); -1 leaves an id as it is", { chown: either, uid: id.optional(), gid: id.optional() }, (at) => {
      const { call: name, on } = target(at.chown, "chown", "fchown");
      return call(name, { ...on, uid: at.uid ?? -1, gid: at.gid ?? -1 });
    }),
    action("lchown(2)", { lchown: path, uid: id.optional(), gid: id.optional() }, (at) =>
      call("lchown", { path: at.lchown, uid: at.uid ?? -1, gid: at.gid ?? -1 }),
    ),
    action(
      "utimensat(2); times in ns since 1970, NOW or OMIT",
      { utimens: path, atime: instant, mtime: instant, nofollow },
      (at) => call("utimens", { path: at.utimens, atime: at.atime ?? "OMIT", mtime: at.mtime ?? "OMIT", nofollow: at.nofollow }),
    ),
    action("the access time in ns", { atime: path, nofollow }, (at) => call("atime", { path: at.atime, nofollow: at.nofollow })),
    action("the modification time in ns", { mtime: path, nofollow }, (at) =>
      call("mtime", { path: at.mtime, nofollow: at.nofollow }),
    ),
    action(
      "setxattr(2)",
      { setxattr: path, name: text, value: text, flags: slots.flags("flag", ["CREATE", "REPLACE"]).optional() },
      (at) => call("setxattr", { path: at.setxattr, name: at.name, value: at.value, flags: at.flags }),
    ),
    action("getxattr(2)", { getxattr: path, name: text }, (at) => call("getxattr", { path: at.getxattr, name: at.name })),
    action("removexattr(2)", { removexattr: path, name: text }, (at) =>
      call("removexattr", { path: at.removexattr, name: at.name }),
    ),
    action("listxattr(2)", { listxattr: path }, (at) => call("listxattr", { path: at.listxattr })),
  ];
}

function names(slots: Slots): Action[] {
  const { path, mode, text } = slots;
  const part = z
    .int()
    .min(0)
    .max(2 ** 20 - 1);
  return [
    action("mkdir(2)", { mkdir: path, mode: mode.optional() }, (at) =>
      call("mkdir", { path: at.mkdir, mode: octal(at.mode ?? 0o755) }),
    ),
    action("rmdir(2)", { rmdir: path }, (at) => call("rmdir", { path: at.rmdir })),
    action("unlink(2)", { unlink: path }, (at) => call("unlink", { path: at.unlink })),
    action("readlink(2)", { readlink: path }, (at) => call("readlink", { path: at.readlink })),
    action("link(2): `to` becomes a second name", { link: path, to: path }, (at) => call("link", { path: at.link, to: at.to })),
    action("symlink(2): the link stands at the path and leads to `target`", { symlink: path, target: text }, (at) =>
      call("symlink", { path: at.symlink, target: at.target }),
    ),
    action(
      "renameat2(2)",
      { rename: path, to: path, flags: slots.flags("flag", ["NOREPLACE", "EXCHANGE", "WHITEOUT"]).optional() },
      (at) => call("rename", { path: at.rename, to: at.to, flags: at.flags }),
    ),
    action(
      "mknod(2); `rdev` is [major, minor]",
      { mknod: path, type: oneOf("node type", NODE_TYPES), mode: mode.optional(), rdev: z.tuple([part, part]).optional() },
      (at) => call("mknod", { path: at.mknod, type: at.type, mode: octal(at.mode ?? 0o644), rdev: at.rdev }),
    ),
    action("the sorted entries of a directory", { readdir: path }, (at) => call("readdir", { path: at.readdir })),
    action("the whole tree below a path", { tree: path }, (at) => call("tree", { path: at.tree })),
    action(
      "another call on a file, for its errno and its copy-up",
      {
        other: path,
        what: oneOf("call", ["flock", "lock", "fadvise", "getflags", "setnoatime", "inotify", "exec", "sendfile", "handle"]),
      },
      (at) => call("other", { path: at.other, what: at.what }),
    ),
    action("writes a file back and drops its pages from the page cache", { drop: path }, (at) => call("drop", { path: at.drop })),
    action("how many of a file's 4 KiB pages are in the page cache", { cached: path }, (at) =>
      call("cached", { path: at.cached }),
    ),
  ];
}

function machine(slots: Slots): Action[] {
  const metric = oneOf("metric", METRIC_IDS);
  return [
    action(
      "lets virtual time pass: timers run, such as the flusher's",
      { tick: slots.span },
      (at) => ({ kind: "tick", span: at.tick }),
      "machine",
    ),
    action(
      "notes metrics as they stand",
      { measure: z.union([metric, z.array(metric).min(1)]) },
      (at) => ({ kind: "measure", metrics: Array.isArray(at.measure) ? at.measure : [at.measure] }),
      "machine",
    ),
    action(
      "writes everything back and empties the page cache (vm.drop_caches)",
      { drop_caches: z.literal(1) },
      () => ({ kind: "dropCaches" }),
      "machine",
    ),
    action(
      "what Docker shows of an image that its builder made, or that came from an archive",
      { show: slots.name, field: oneOf("field", IMAGE_FIELDS) },
      (at) => ({ kind: "show", image: at.show, field: at.field }),
      "machine",
    ),
    action("docker diff of a container", { diff: slots.name }, (at) => ({ kind: "diff", container: at.diff }), "machine"),
    action(
      "the driver removes a container or, as IMAGE:N, an image's Nth layer, whatever stands on it: Docker itself would refuse that first",
      { remove: slots.treeName },
      (at) => ({ kind: "remove", name: at.remove }),
      "machine",
    ),
  ];
}

function building(slots: Slots): Action[] {
  const step = (key: "env" | "label" | "cmd" | "workdir" | "user", about: string): Action =>
    action(
      about,
      { [key]: slots.text } as Record<string, Slots["text"]>,
      (at) => ({ kind: "instruction", verb: key.toUpperCase() as "ENV", text: String(at[key]) }),
      "build",
    );
  return [
    step("env", "ENV of a Dockerfile: KEY=VALUE words"),
    step("label", "LABEL of a Dockerfile: KEY=VALUE words"),
    step("cmd", "CMD of a Dockerfile"),
    step("workdir", "WORKDIR of a Dockerfile"),
    step("user", "USER of a Dockerfile"),
  ];
}

/** Every action, in the order of the documentation. */
export function actionsFor(slots: Slots): readonly Action[] {
  return [openFiles, spaceAndCopies, attributes, names, machine, building].flatMap((actions) => actions(slots));
}
