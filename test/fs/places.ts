/** Where the blocks of files lie on a fresh disk of ext4 or xfs: the scripts of test/kernel/places.py, made here. */

import { FREE } from "../../sim/block/profile.ts";
import { Content } from "../../sim/core/content.ts";
import { MIB } from "../../sim/core/units.ts";
import type { Ext4 } from "../../sim/fs/ext4/ext4.ts";
import type { Xfs } from "../../sim/fs/xfs/xfs.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must } from "../../src/testing/expect.ts";

type PlaceStep = readonly [what: string, name: string, first?: number, count?: number];
/** Of each extent the file's first block, the disk's, and how many. */
type Extents = readonly (readonly [logical: number, physical: number, count: number])[];
type PlaceMap = readonly [free: number, extents: Extents];

export interface PlaceCase {
  /** MiB. */
  readonly size: number;
  readonly steps: readonly PlaceStep[];
  /** What each "map" tells. */
  readonly maps: readonly PlaceMap[];
}

const BLOCK = 4096;
const UNIT: Uint8Array = new Uint8Array(BLOCK).fill(120);

/** ext4-flat: ext4 on a disk that does not turn. */
export const PLACES = ["ext4", "ext4-flat", "xfs"] as const;
export type PlacesOf = (typeof PLACES)[number];

/** The maps of a case as they are here; the engines are checked after each step. */
export function ourMaps(places: PlacesOf, { size, steps }: PlaceCase): readonly PlaceMap[] {
  const filesystem = places === "xfs" ? "xfs" : "ext4";
  const host = createHost();
  must(host.task.mkdir("/m"));
  const { name } = host.addDisk({ size: MIB(size), profile: places === "ext4-flat" ? { ...FREE, rotational: false } : FREE });
  must(host.mkfs(filesystem, name));
  must(host.mount({ type: filesystem, source: name, target: "/m" }) as undefined);
  const files = new Map<string, number>();
  const maps: PlaceMap[] = [];
  for (const step of steps) {
    const map = act(host, files, step);
    if (map !== undefined) maps.push(map);
    host.check();
  }
  return maps;
}

function act(host: Host, files: Map<string, number>, [what, name, first = 0, count = 0]: PlaceStep): PlaceMap | undefined {
  const { task } = host;
  const path = `/m/${name}`;
  const fd = files.get(name) as number;
  switch (what) {
    case "open":
      files.set(name, must(task.open(path, O_RDWR | O_CREAT, 0o644)));
      break;
    case "close":
      task.close(fd);
      files.delete(name);
      break;
    case "write":
      must(task.pwrite(fd, Content.repeat(UNIT, count * BLOCK), first * BLOCK));
      break;
    case "truncate":
      must(task.ftruncate(fd, first * BLOCK));
      break;
    case "fallocate":
      must(task.fallocate(fd, 0, first * BLOCK, count * BLOCK));
      break;
    case "punch":
      must(task.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first * BLOCK, count * BLOCK));
      break;
    case "unlink":
      must(task.unlink(path));
      break;
    case "fsync":
      readOnly(host, path, (file) => must(task.fsync(file)));
      break;
    case "sync":
      must(must(task.resolve("/m")).mount.fs.sync() as undefined);
      break;
    case "map":
      return [must(task.statfs("/m")).blocksFree, readOnly(host, path, () => extentsOf(host, path))];
    default:
      throw new Error(`no step is called ${what}`);
  }
  return undefined;
}

function readOnly<T>({ task }: Host, path: string, look: (file: number) => T): T {
  const file = must(task.open(path, O_RDONLY));
  const seen = look(file);
  task.close(file);
  return seen;
}

function extentsOf({ task }: Host, path: string): Extents {
  const place = must(task.resolve(path));
  const triples = (place.mount.fs as Ext4 | Xfs).extents(place.inode);
  const found: [number, number, number][] = [];
  for (let at = 0; at < triples.length; at += 3)
    found.push([triples[at] as number, triples[at + 2] as number, triples[at + 1] as number]);
  return found;
}
