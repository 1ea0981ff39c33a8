/**
 * Whether what a tmpfs keeps adds up: names and link counts, parents, pages, and no inode that nobody has.
 */
import { assert } from "../core/assert.ts";
import type { DentryTable } from "../vfs/dentry-table.ts";
import { S_IFDIR, S_IFMT } from "../vfs/filesystem.ts";
import { CachedMapping } from "../vfs/mapping.ts";
import { SHORT_TARGET, type TmpfsInodes } from "./tmpfs-inodes.ts";

interface State {
  readonly label: string;
  readonly inodes: TmpfsInodes;
  readonly entries: DentryTable;
  /** How many pages it says are used. */
  readonly pages: number;
}

function isDirectory(inodes: TmpfsInodes, inode: number): boolean {
  return ((inodes.mode[inode] as number) & S_IFMT) === S_IFDIR;
}

/** How many pages an inode has in memory. */
function pagesOf(inodes: TmpfsInodes, inode: number): number {
  const data = inodes.data[inode];
  if (data instanceof CachedMapping) return data.cachedPages;
  return typeof data === "string" && (inodes.size[inode] as number) > SHORT_TARGET ? 1 : 0;
}

/** Throws an InvariantError when it does not. O(inodes + names). */
export function checkTmpfs({ label, inodes, entries, pages }: State): void {
  const names = new Uint32Array(inodes.end);
  const below = new Uint32Array(inodes.end);
  let found = 0;
  let used = 0;
  for (let inode = 1; inode < inodes.end; inode++) {
    if (inodes.number[inode] === 0) continue;
    used += 1;
    found += pagesOf(inodes, inode);
    if (!isDirectory(inodes, inode)) continue;
    for (let row = entries.first(inode); row !== 0; row = entries.next(row)) {
      const child = entries.child(row);
      assert(inodes.number[child] !== 0, `${label}: directory ${inode} names the freed inode ${child}`);
      names[child] = (names[child] as number) + 1;
      if (!isDirectory(inodes, child)) continue;
      below[inode] = (below[inode] as number) + 1;
      assert(inodes.extra[child] === inode, `${label}: directory ${child} has another parent than ${inode}`);
    }
  }
  assert(used === inodes.count, `${label}: ${inodes.count} inodes are counted, ${used} found`);
  assert(found === pages, `${label}: ${pages} pages are counted, ${found} found`);
  for (let inode = 1; inode < inodes.end; inode++) {
    if (inodes.number[inode] === 0) continue;
    const known = names[inode] as number;
    const gone = inode !== 1 && known === 0;
    const expected = !isDirectory(inodes, inode) ? known : gone ? 0 : (below[inode] as number) + 2;
    assert(inodes.nlink[inode] === expected, `${label}: inode ${inode} has ${inodes.nlink[inode]} links, not ${expected}`);
    assert(!gone || (inodes.holders[inode] as number) > 0, `${label}: inode ${inode} has neither names nor holders`);
  }
}
