/**
 * Actions on open files, and on files' data by their paths.
 */
import { z } from "zod";
import { type Action, action, call, type Data, fd, octal, target } from "./action.ts";
import { oneOf, type Slots } from "./slots.ts";

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

/** Actions on open files. */
export function openFiles(slots: Slots): Action[] {
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
  ];
}

/** Actions of whoever maps an open file, or tells how it will be used. */
export function mappingAndAdvice({ descriptor, size }: Slots): Action[] {
  return [
    action(
      "maps the first page and touches it",
      {
        mmap: descriptor,
        prot: oneOf("protection", ["r", "rw"]).optional(),
        share: oneOf("sharing", ["shared", "private"]).optional(),
      },
      (at) => call("mmap", { fd: fd(at.mmap), prot: at.prot ?? "r", share: at.share ?? "shared" }),
    ),
    action(
      "posix_fadvise(2): how an open file will be read, or a range that will be or will not",
      {
        fadvise: descriptor,
        advice: oneOf("advice", ["normal", "random", "sequential", "willneed", "dontneed"]),
        offset: size.optional(),
        size: size.optional(),
      },
      (at) => call("fadvise", { fd: fd(at.fadvise), advice: at.advice, offset: at.offset, len: at.size }),
    ),
  ];
}

/** Actions on the space that files take, and copies between open files. */
export function spaceAndCopies(slots: Slots): Action[] {
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

/** Actions of whoever watches files. */
export function watching({ path, descriptor, name }: Slots): Action[] {
  return [
    action(
      "inotify_add_watch(2) on a file or folder; `as` names the watch. In a layer (`in: IMAGE:N`): on the image's own, as the host sees it",
      { watch: path, as: name },
      (at) => call("watch", { path: at.watch, fd: at.as }),
    ),
    action("the events that a watch was told since it was last asked", { watched: descriptor }, (at) =>
      call("watched", { fd: fd(at.watched) }),
    ),
  ];
}
