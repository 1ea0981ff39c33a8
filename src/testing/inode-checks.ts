/**
 * Checks of what any filesystem owes to one inode: times that move with changes, bytes that are zeros where nothing was written.
 */
import type { Time } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { ENOENT } from "../../sim/core/errno.ts";
import { seconds } from "../../sim/core/units.ts";
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type Check, container, layer, names, put, text } from "./check.ts";
import { expect, must } from "./expect.ts";

const told = ({ seconds: whole, nanoseconds }: Time): string => `${whole}.${nanoseconds}`;

/** What changes an inode, by the call. */
const INODE_CHANGES: Readonly<Record<string, (task: Task) => unknown>> = {
  link: (task) => task.link("/f", "/second"),
  unlink: (task) => task.unlink("/second"),
  rename: (task) => task.rename("/f", "/moved"),
  "rename back": (task) => task.rename("/moved", "/f"),
  chmod: (task) => task.chmod("/f", 0o600),
  chown: (task) => task.chown("/f", 1, 1),
  setxattr: (task) => task.setxattr("/f", "user.k", Uint8Array.of(1)),
  removexattr: (task) => task.removexattr("/f", "user.k"),
  truncate: (task) => task.truncate("/f", 1),
  write: (task) => put(task, "/f", "again"),
};

/** Where a file is written over, in bytes: less and more than half of 64 KiB and of 128 KiB, from several places on. */
const WRITTEN_OVER: readonly (readonly [start: number, length: number])[] = [
  [1, 10],
  [8192, 4196],
  [66_000, 50_000],
  [200_000, 90_000],
  [458_752, 45_056],
  [720_896, 100_000],
];

export const INODE_CHECKS: readonly Check[] = [
  {
    name: "what lies below a directory that moved is found by its new path, and by the old one no more",
    run: (lab) => {
      layer(lab, "image", undefined, (task) => put(task, "/f", "image"));
      const task = container(lab, "image");
      must(task.mkdir("/d", 0o755));
      must(task.mkdir("/d/e", 0o755));
      put(task, "/d/e/f", "moves");
      expect(text(task, "/d/e/f")).toBe("moves");
      must(task.stat("/d/e/f"));
      must(task.rename("/d", "/moved"));
      expect(task.stat("/d/e/f")).toBe(ENOENT);
      expect(text(task, "/moved/e/f")).toBe("moves");
    },
  },
  {
    name: "a file of the image that is written over in many places reads the same from the disk",
    run: (lab) => {
      const whole = Uint8Array.from({ length: 900_000 }, (_, at) => (at * 31 + (at >> 12)) % 251);
      layer(lab, "image", undefined, (task) => {
        const fd = must(task.open("/f", O_RDWR | O_CREAT, 0o644));
        must(task.write(fd, Content.literal(whole.slice())));
        must(task.close(fd));
      });
      const task = container(lab, "image");
      const fd = must(task.open("/f", O_RDWR));
      for (const [start, length] of WRITTEN_OVER) {
        whole.fill(0x7a, start, start + length);
        must(task.pwrite(fd, Content.repeat(Uint8Array.of(0x7a), length), start));
      }
      must(task.close(fd));
      must(task.dropPages("/f") as undefined);
      const again = must(task.open("/f", O_RDONLY));
      expect(must(task.pread(again, whole.length, 0)).toBytes()).toEqual(whole);
      must(task.close(again));
    },
  },
  {
    name: "whatever changes an inode moves its ctime, and reading it does not",
    run: (lab) => {
      const { clock } = lab.host;
      must(lab.addLayer("base"));
      const task = must(lab.task("base"));
      put(task, "/f", "text");
      const ctime = (): string => told(must(task.stat(task.stat("/f") === ENOENT ? "/moved" : "/f")).ctime);
      for (const [name, change] of Object.entries(INODE_CHANGES)) {
        clock.advance(seconds(2));
        text(task, "/f");
        const before = ctime();
        must(change(task) as undefined);
        expect([name, ctime() === before]).toEqual([name, false]);
        clock.advance(seconds(2));
        const after = ctime();
        names(task, "/");
        expect([name, ctime() === after]).toEqual([name, true]);
      }
    },
  },
  {
    name: "ftruncate(2) moves the mtime, to the same size too",
    run: (lab) => {
      must(lab.addLayer("base"));
      const task = must(lab.task("base"));
      put(task, "/f", "text");
      const before = told(must(task.stat("/f")).mtime);
      const fd = must(task.open("/f", O_WRONLY));
      lab.host.clock.advance(seconds(2));
      must(task.ftruncate(fd, 4));
      expect(told(must(task.stat("/f")).mtime) === before).toBe(false);
      must(task.close(fd));
    },
  },
  {
    name: "what a truncation cut off is zeros when the file grows again",
    run: (lab) => {
      must(lab.addLayer("base"));
      const task = must(lab.task("base"));
      put(task, "/f", "");
      const fd = must(task.open("/f", O_RDWR));
      const whole = 20_000;
      for (const size of [0, 1, 4095, 4096, 4097, 9000, 16_384]) {
        for (const isDurable of [false, true]) {
          must(task.pwrite(fd, Content.repeat(Uint8Array.of(0x78), whole), 0));
          if (isDurable) must(task.fsync(fd));
          must(task.ftruncate(fd, size));
          must(task.ftruncate(fd, whole));
          const shown = must(task.pread(fd, whole, 0)).toText();
          expect([size, shown === "x".repeat(size) + "\0".repeat(whole - size)]).toEqual([size, true]);
        }
      }
      must(task.close(fd));
    },
  },
];
