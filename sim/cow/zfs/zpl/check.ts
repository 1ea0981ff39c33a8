/**
 * Whether what a mounted dataset keeps adds up: names and link counts, parents, sizes, and no object that nobody has.
 */
import { assert } from "../../../core/assert.ts";
import { isErrno } from "../../../core/errno.ts";
import { S_IFDIR, S_IFMT } from "../../../vfs/filesystem.ts";
import { MODE, NLINK, PARENT } from "../records.ts";
import { directoryOf } from "./names.ts";
import type { ZplState } from "./state.ts";

/** Throws an InvariantError when it does not. O(objects + names). */
export function checkZpl(state: ZplState): void {
  const { set, dentries } = state;
  const { path: label } = state.dataset;
  const root = set.store.profile.rootObject;
  dentries.check();
  const names = new Map<number, number>();
  const below = new Map<number, number>();
  const add = (to: Map<number, number>, object: number): void => {
    to.set(object, (to.get(object) ?? 0) + 1);
  };
  /** Hidden folders, which nothing names. */
  const hidden = new Set<number>();
  const open = [root];
  set.visitObjects((object) => {
    const body = set.body(object);
    if (body === undefined || isErrno(body) || body.folder === undefined) return;
    assert(set.word(body.folder, PARENT) === object, `${label}: folder ${body.folder} is not of object ${object}`);
    hidden.add(body.folder);
    open.push(body.folder);
  });
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    assert(!isErrno(directoryOf(state, directory)), `${label}: directory ${directory} cannot be read`);
    for (let row = dentries.first(directory); row !== 0; row = dentries.next(row)) {
      const child = dentries.child(row);
      assert(set.word(child, MODE) !== 0, `${label}: directory ${directory} names the freed object ${child}`);
      add(names, child);
      if (!state.isDirectory(child)) continue;
      add(below, directory);
      assert(set.word(child, PARENT) === directory, `${label}: directory ${child} has another parent than ${directory}`);
      open.push(child);
    }
  }
  let objects = 0;
  set.visitObjects((object) => {
    objects += 1;
    const isDirectory = (set.word(object, MODE) & S_IFMT) === S_IFDIR;
    const known = names.get(object) ?? 0;
    const gone = object !== root && known === 0 && !hidden.has(object);
    const links = isDirectory ? (gone ? 0 : 2 + (below.get(object) ?? 0)) : known;
    assert(set.word(object, NLINK) === links, `${label}: object ${object} has ${set.word(object, NLINK)} links, not ${links}`);
    assert(!gone || set.unlinked.has(object), `${label}: object ${object} has neither names nor holders`);
  });
  assert(objects === set.objects, `${label}: ${set.objects} objects are counted, ${objects} found`);
}
