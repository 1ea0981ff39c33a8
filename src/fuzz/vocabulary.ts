/**
 * What random operations are made of: calls, and for each argument the values it is chosen from. A few names, so that most calls meet
 * something; sizes around pages and blocks; modes with and without set-id bits.
 *
 * Interface: a vocabulary is data. `randomStep` draws from it with the simulator's random numbers, fast-check arbitraries are made from it in
 * src/testing.
 */
import type { Random } from "../../sim/core/random.ts";
import type { Json } from "../calls/json.ts";
import type { Step } from "../calls/step.ts";
import { aclText } from "./acl-text.ts";

/** A call by name, and what its arguments may be. */
export interface Word {
  readonly call: string;
  readonly arguments: Readonly<Record<string, readonly Json[]>>;
  /** How often it comes, beside the others. */
  readonly weight: number;
}

export interface Vocabulary {
  readonly words: readonly Word[];
  /** Who else makes calls, one call in `asEvery`. */
  readonly users: readonly Json[];
  readonly asEvery: number;
  readonly umasks: readonly (string | undefined)[];
}

const NAMES = ["a", "b", "c", "d", "e"] as const;
/** Folders in which names lie: the top, folders, a folder in a folder, and one that may be a symbolic link. */
const FOLDERS = ["", "/d", "/e", "/d/e", "/c"] as const;

const paths: readonly string[] = FOLDERS.flatMap((folder) => NAMES.map((name) => `${folder}/${name}`));
const fds = ["f1", "f2", "f3"] as const;
const modes = ["0644", "0600", "0755", "0700", "0000", "0444", "2755", "4711", "1777", "6777"] as const;
const data: readonly Json[] = [
  "x",
  "hello",
  "lower bytes",
  { fill: "ab", len: 3 },
  { fill: "z", len: 4096 },
  { fill: "ab", len: 5000 },
];
const longData: readonly Json[] = [
  { fill: "z", len: 70_000 },
  { fill: "ab", len: 20_000 },
];
const offsets = [0, 1, 4095, 4096, 9000, 70_000] as const;
const lengths = [5, 64, 5000] as const;
const openFlags: readonly Json[] = [
  ["O_RDONLY"],
  ["O_RDONLY", "O_NOFOLLOW"],
  ["O_RDONLY", "O_DIRECTORY"],
  ["O_WRONLY"],
  ["O_RDWR"],
  ["O_RDWR", "O_CREAT"],
  ["O_WRONLY", "O_CREAT", "O_EXCL"],
  ["O_WRONLY", "O_TRUNC"],
  ["O_RDWR", "O_CREAT", "O_TRUNC"],
  ["O_WRONLY", "O_APPEND"],
];
const fallocateFlags: readonly Json[] = [
  [],
  ["KEEP_SIZE"],
  ["PUNCH_HOLE", "KEEP_SIZE"],
  ["ZERO_RANGE"],
  ["ZERO_RANGE", "KEEP_SIZE"],
  ["COLLAPSE_RANGE"],
  ["INSERT_RANGE"],
];
const attributes = ["user.k", "user.other", "trusted.t"] as const;
const times: readonly Json[] = [1_000_000_000, 1_234_567_890_123_456, "OMIT"];

function word(call: string, args: Readonly<Record<string, readonly Json[]>>, weight = 1): Word {
  return { call, arguments: args, weight };
}

/** Access control lists: owner, named users and groups, mask, others; what a mode can say too; and what is no list. */
const lists: readonly string[] = [
  ...[
    "u::rw-,u:100:rwx,g::r--,m::rw-,o::---",
    "u::rwx,u:101:---,g::r-x,g:100:rwx,m::r-x,o::r-x",
    "u::rwx,g::rwx,g:100:---,m::rwx,o::rwx",
  ],
  ...["u::rwx,g::r-x,o::r--", "u::rw-,g::---,o::---", "u::rwx,u:100:rwx,g::rwx,o::r-x"],
].map(aclText);
const listNames = ["system.posix_acl_access", "system.posix_acl_default"] as const;

const changes: readonly Word[] = [
  word("mkdir", { path: paths, mode: modes }, 2),
  word("open", { path: paths, flags: openFlags, fd: fds, mode: modes }, 2),
  word("write", { fd: fds, data }),
  word("write", { fd: fds, data: longData }, 0.1),
  word("pwrite", { fd: fds, data, offset: offsets }),
  word("ftruncate", { fd: fds, len: offsets }),
  word("truncate", { path: paths, len: offsets }),
  word("close", { fd: fds }),
  word("unlink", { path: paths }, 2),
  word("rmdir", { path: paths }),
  word("link", { path: paths, to: paths }),
  word("symlink", { target: ["a", "/d", "d/e", "../a", "missing"], path: paths }),
  word("chmod", { path: paths, mode: modes }),
  word("fchmod", { fd: fds, mode: modes }),
  word("chown", { path: paths, uid: [0, 1000, -1], gid: [0, 1000, -1] }),
  word("lchown", { path: paths, uid: [0, 1001], gid: [0, 1000] }),
  word("utimens", { path: paths, atime: times, mtime: times }),
  word("setxattr", { path: paths, name: attributes, value: ["", "v", "longer value"] }),
  word("removexattr", { path: paths, name: attributes }),
];
const questions: readonly Word[] = [
  word("stat", { path: paths }),
  word("fstat", { fd: fds }),
  word("read", { fd: fds, len: lengths }),
  word("pread", { fd: fds, len: lengths, offset: offsets }),
  word("readdir", { path: [...paths, "/"] }),
  word("readlink", { path: paths }),
  word("listxattr", { path: paths }),
  word("getxattr", { path: paths, name: attributes }),
  word("access", { path: paths, want: ["r", "w", "x"] }),
];
const users: readonly Json[] = [
  { uid: 1000, gid: 1000 },
  { uid: 1001, gid: 1000, groups: [1000] },
];
const umasks = [undefined, "0022", "0077"] as const;

/** Space of files: what filesystems allocate, and give back. */
const ALLOCATING: readonly Word[] = [
  word("fallocate", { fd: fds, offset: offsets, len: [1, 4096, 10_000], flags: fallocateFlags }),
];

/** What the plain tree can answer. */
export const MODELLED: Vocabulary = {
  words: [
    ...changes,
    ...questions.map((one) => ({ ...one, weight: 2 * one.weight })),
    word("lstat", { path: paths }, 6),
    word("stat", { path: paths }, 4),
    word("lseek", { fd: fds, offset: offsets, whence: ["SEEK_SET", "SEEK_CUR", "SEEK_END"] }),
    word("rename", { path: paths, to: paths, flags: [[], [], [], ["NOREPLACE"], ["EXCHANGE"]] }, 2),
    word("mknod", { path: paths, type: ["socket", "file"], mode: modes }, 0.7),
    word("mknod", { path: paths, type: ["char"], mode: modes, rdev: [[9, 9]] }, 0.3),
    word("mtime", { path: paths }),
    ...ALLOCATING.map((one) => ({ ...one, weight: 0.7 * one.weight })),
    word("fsync", { fd: fds }, 0.1),
    word("sync", {}, 0.02),
    word("drop", { path: paths }, 0.2),
  ],
  users,
  asEvery: 7,
  umasks,
};

/** What a kernel may do by access control lists. */
const LISTS: readonly Word[] = [
  word("setxattr", { path: paths, name: listNames, value: [...lists, ""] }, 2),
  word("removexattr", { path: paths, name: listNames }),
  word("getxattr", { path: paths, name: listNames }),
];

/** Flags of chattr(1), and files that begin without a name. */
const FLAGS_AND_NAMELESS: readonly Word[] = [
  word("setflags", { path: paths, flags: ["", "", "A", "d", "i", "a", "iaA"] }, 0.7),
  word("getflags", { path: paths }, 0.7),
  word("open", { path: ["/", "/d", "/e"], flags: [["O_TMPFILE", "O_RDWR"]], fd: fds, mode: modes }, 0.7),
  word("link", { fd: fds, to: paths }),
];

/** The bytes of an id must be ASCII, as those of any xattr's value in a script: people and groups are below 128. */
const KERNEL_USERS: readonly Json[] = [
  { uid: 100, gid: 100 },
  { uid: 101, gid: 100, groups: [102] },
  { uid: 101, gid: 102, groups: [0, 100] },
  // Root as a container is by default, and without what each rule asks for.
  { uid: 0, gid: 0, without: ["CAP_DAC_READ_SEARCH", "CAP_LINUX_IMMUTABLE", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"] },
  { uid: 0, gid: 0, without: ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"] },
  { uid: 0, gid: 0, without: ["CAP_FOWNER"] },
  { uid: 0, gid: 100, without: ["CAP_FSETID", "CAP_CHOWN"] },
  { uid: 0, gid: 0, without: ["CAP_MKNOD", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_SETFCAP"] },
];

/** Copies between open files, which may be the same one. */
const SHARING: readonly Word[] = [
  word("clone", { fd: fds, to: fds }, 0.7),
  word("copy_file_range", { fd: fds, to: fds, len: [1, 4096, 10_000] }, 0.7),
];

/** What a real kernel can answer: also what no two drivers agree on. */
export const KERNEL: Vocabulary = {
  words: [
    ...changes.filter(({ call }) => call !== "chown" && call !== "lchown"),
    word("chown", { path: paths, uid: [0, 100, -1], gid: [0, 100, -1] }),
    word("lchown", { path: paths, uid: [0, 101], gid: [0, 100] }),
    word("fchown", { fd: fds, uid: [0, 100, -1], gid: [0, 100] }, 0.5),
    ...questions,
    ...LISTS,
    ...FLAGS_AND_NAMELESS,
    ...ALLOCATING,
    ...SHARING,
    word("lstat", { path: paths, dirnlink: [true] }),
    word("lseek", { fd: fds, offset: offsets, whence: ["SEEK_SET", "SEEK_END", "SEEK_DATA", "SEEK_HOLE"] }),
    word("rename", { path: paths, to: paths, flags: [[], [], [], ["NOREPLACE"], ["EXCHANGE"], ["WHITEOUT"]] }, 2),
    // No FIFO: opening one waits for its other end.
    word("mknod", { path: paths, type: ["socket", "char", "file"], mode: modes }),
    word("fsync", { fd: fds }),
  ],
  users: KERNEL_USERS,
  asEvery: 7,
  umasks,
};

/** What a base layer begins with, so that there is something below. */
export const PRELUDE: readonly Step[] = [
  { call: "mkdir", path: "/d", mode: "0755" },
  { call: "mkdir", path: "/d/e", mode: "0755" },
  { call: "mkdir", path: "/e", mode: "0777" },
  { call: "open", path: "/a", flags: ["O_WRONLY", "O_CREAT"], mode: "0666", fd: "p" },
  { call: "write", fd: "p", data: "from the lowest layer" },
  { call: "close", fd: "p" },
  { call: "open", path: "/d/b", flags: ["O_WRONLY", "O_CREAT"], mode: "0644", fd: "p" },
  { call: "write", fd: "p", data: { fill: "lower", len: 9000 } },
  { call: "close", fd: "p" },
  { call: "link", path: "/a", to: "/d/a" },
  { call: "symlink", target: "d", path: "/c" },
];

/** Draws one call with its arguments, and who makes it. */
export function randomStep(vocabulary: Vocabulary, random: Random): Step {
  const total = vocabulary.words.reduce((sum, one) => sum + one.weight, 0);
  let at = random.fraction() * total;
  let chosen = vocabulary.words[0] as Word;
  for (const one of vocabulary.words) {
    chosen = one;
    at -= one.weight;
    if (at < 0) break;
  }
  const step: Record<string, Json> = { call: chosen.call };
  for (const [key, values] of Object.entries(chosen.arguments)) step[key] = random.pick(values);
  if (random.below(vocabulary.asEvery) === 0) step["as"] = random.pick(vocabulary.users);
  const umask = vocabulary.umasks[random.below(vocabulary.umasks.length)];
  if (umask !== undefined) step["umask"] = umask;
  return step;
}
