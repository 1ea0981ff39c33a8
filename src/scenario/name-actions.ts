/**
 * Actions on attributes and names.
 */
import { z } from "zod";
import { type Action, action, call, octal, target } from "./action.ts";
import { oneOf, type Slots } from "./slots.ts";

const NODE_TYPES = ["file", "char", "block", "fifo", "socket"] as const;

/** Actions on what stat(2) shows, and extended attributes. */
export function attributes(slots: Slots): Action[] {
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

/** Actions on names and directories. */
export function names(slots: Slots): Action[] {
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
