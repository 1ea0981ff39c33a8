/** A host for tests: a clock, names, a page cache, and a tmpfs as the root. */
import { Clock } from "../../sim/core/clock.ts";
import { EventStream } from "../../sim/core/events.ts";
import { NameTable } from "../../sim/core/names.ts";
import { Tmpfs, type TmpfsOptions } from "../../sim/fs/tmpfs.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { Vfs } from "../../sim/vfs/vfs.ts";

export interface TestHost {
  readonly vfs: Vfs;
  readonly clock: Clock;
  readonly fs: Tmpfs;
  /** root, umask 0. */
  readonly task: Task;
  /** Checks every engine. */
  check(): void;
}

export function testHost(options: TmpfsOptions & { memoryPages?: number } = {}): TestHost {
  const clock = new Clock();
  const names = new NameTable();
  const events = new EventStream(() => clock.now);
  const cache = new PageCache(clock, events, { memoryPages: options.memoryPages ?? 65_536 });
  const vfs = new Vfs({ names, clock, events, cache });
  const fs = new Tmpfs(vfs, options);
  const task = vfs.task(vfs.mountRoot(fs));
  task.umask = 0;
  return {
    vfs,
    clock,
    fs,
    task,
    check: () => {
      fs.check();
      cache.check();
    },
  };
}
