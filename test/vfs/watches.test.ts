/**
 * What inotify told on a real kernel of some calls, on a plain folder and through an overlay, is told here too, event by event.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { O_APPEND, O_CREAT, O_TMPFILE, O_TRUNC, O_WRONLY, S_IFIFO } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import {
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_IGNORED,
  IN_ISDIR,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  type Listener,
} from "../../sim/vfs/watches.ts";
import { dockerHost, must } from "../drivers/docker-host.ts";

type Row = readonly [
  step: readonly [string, string, string?],
  error: string | null,
  events: readonly (readonly [string, string, string])[],
];
const RECORDED = JSON.parse(readFileSync(new URL("../data/inotify/events.json", import.meta.url), "utf8")) as Readonly<
  Record<"plain" | "merged", readonly Row[]>
>;

const WATCHED = ["d", "e", "d/low", "d/two", "d/three", "d/sub"];
/** The events in the order of their bits, as the recorder writes them. */
const WORDS: readonly (readonly [word: string, bit: number])[] = [
  ["MODIFY", IN_MODIFY],
  ["ATTRIB", IN_ATTRIB],
  ["MOVED_FROM", IN_MOVED_FROM],
  ["MOVED_TO", IN_MOVED_TO],
  ["CREATE", IN_CREATE],
  ["DELETE", IN_DELETE],
  ["DELETE_SELF", IN_DELETE_SELF],
  ["MOVE_SELF", IN_MOVE_SELF],
  ["IGNORED", IN_IGNORED],
  ["ISDIR", IN_ISDIR],
];
const MASK = 0xfc6;

function fill(task: Task, root: string): void {
  for (const folder of ["d", "d/sub", "e"]) must(task.mkdir(`${root}/${folder}`));
  for (const name of ["low", "two", "three"]) {
    const fd = must(task.open(`${root}/d/${name}`, O_WRONLY | O_CREAT, 0o644));
    must(task.write(fd, Content.text("text")));
    task.close(fd);
  }
}

function write(task: Task, path: string, flags: number, text?: string): Errno | undefined {
  const fd = task.open(path, O_WRONLY | flags, 0o644);
  if (isErrno(fd)) return fd;
  if (text !== undefined) task.write(fd, Content.text(text));
  return task.close(fd);
}

const CALLS: Readonly<Record<string, (task: Task, path: string, to: string) => Errno | undefined>> = {
  append: (task, path) => write(task, path, O_APPEND, "x"),
  chmod: (task, path) => task.chmod(path, 0o700),
  truncate: (task, path) => task.truncate(path, 2),
  otrunc: (task, path) => write(task, path, O_TRUNC),
  utimes: (task, path) => task.utimens(path, { seconds: 1, nanoseconds: 0 }, { seconds: 2, nanoseconds: 0 }),
  create: (task, path) => write(task, path, O_CREAT),
  empty: (task, path) => write(task, path, 0, ""),
  rename: (task, path, to) => task.rename(path, to),
  link: (task, path, to) => task.link(path, to),
  symlink: (task, _, to) => task.symlink("x", to),
  mkdir: (task, path) => task.mkdir(path),
  rmdir: (task, path) => task.rmdir(path),
  unlink: (task, path) => task.unlink(path),
  chown: (task, path) => task.chown(path, 0, 0),
  setxattr: (task, path) => task.setxattr(path, "user.k", new TextEncoder().encode("v")),
  mknod: (task, path) => task.mknod(path, S_IFIFO | 0o600),
};

/** The steps of a recording in a folder, with what the watches were told. */
function replay(
  task: Task,
  root: string,
  rows: readonly Row[],
  watched: readonly (readonly [name: string, path: string])[],
): Row[] {
  let events: [string, string, string][] = [];
  for (const [name, path] of watched) {
    const listener: Listener = (mask, child) => {
      const words = WORDS.filter(([, bit]) => (mask & bit) !== 0).map(([word]) => word);
      events.push([name, words.join("|"), child]);
    };
    must(task.watch(path, MASK, listener));
  }
  return rows.map(([step]) => {
    events = [];
    const [call, path, to = ""] = step;
    const failed = CALLS[call]?.(task, `${root}/${path}`, `${root}/${to}`);
    return [step, failed?.code ?? null, events];
  });
}

describe("watches", () => {
  test("are told on ext4 what inotify told", () => {
    const host = dockerHost();
    const { task } = host;
    must(task.mkdir("/var/lib/docker/plain"));
    fill(task, "/var/lib/docker/plain");
    const watched = WATCHED.map((name) => [name, `/var/lib/docker/plain/${name}`] as const);
    expect(replay(task, "/var/lib/docker/plain", RECORDED.plain, watched)).toEqual(RECORDED.plain);
    host.check();
  });

  test("are told through an overlay what inotify told, and nothing in its lower layer", () => {
    const host = dockerHost();
    const { task } = host;
    const at = (name: string): string => `/var/lib/docker/${name}`;
    for (const name of ["lower", "upper", "work", "merged"]) must(task.mkdir(at(name)));
    fill(task, at("lower"));
    const options = `lowerdir=${at("lower")},upperdir=${at("upper")},workdir=${at("work")},index=off`;
    expect(host.mount({ type: "overlay", source: "overlay", target: at("merged"), options })).toBeUndefined();
    const watched = [
      ...WATCHED.map((name) => [name, at(`merged/${name}`)] as const),
      ...WATCHED.map((name) => [`lower/${name}`, at(`lower/${name}`)] as const),
    ];
    expect(replay(task, at("merged"), RECORDED.merged, watched)).toEqual(RECORDED.merged);
    host.check();
  });

  test("are told of a file without a name that gets one as of another link (vfs_link, fsnotify_link)", () => {
    const { task } = dockerHost();
    const at = "/var/lib/docker/d";
    must(task.mkdir(at));
    const told: [number, string][] = [];
    must(task.watch(at, MASK, (mask, name) => told.push([mask, name])));
    const fd = must(task.open(at, O_TMPFILE | O_WRONLY, 0o644));
    expect(told).toEqual([]);
    must(task.linkFile(fd, `${at}/named`));
    expect(told).toEqual([[IN_CREATE, "named"]]);
    must(task.watch(`${at}/named`, MASK, (mask, name) => told.push([mask, name])));
    must(task.linkFile(fd, `${at}/again`));
    expect(told.slice(1)).toEqual([
      [IN_ATTRIB, ""],
      [IN_CREATE, "again"],
    ]);
  });

  test("end when they are ended, and let go of their inodes", () => {
    const host = dockerHost();
    const { task } = host;
    fill(task, "/var/lib/docker");
    let told = 0;
    const end = must(task.watch("/var/lib/docker/d/low", MASK, () => told++));
    must(task.chmod("/var/lib/docker/d/low", 0o600));
    end();
    end();
    must(task.chmod("/var/lib/docker/d/low", 0o644));
    expect(told).toBe(1);
    expect(host.vfs.watches).toBeUndefined();
    must(task.unlink("/var/lib/docker/d/low"));
    host.check();
  });
});
