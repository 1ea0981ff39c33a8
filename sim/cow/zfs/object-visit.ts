/**
 * Walking the blocks of an object set by their births: what destroying, importing and checking have in common.
 */
import { type Errno, isErrno } from "../../core/errno.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { visitTree } from "./block-tree.ts";
import type { DnodesRecord, IndirectRecord, ObjsetRecord } from "./records.ts";
import type { BlockStore } from "./store.ts";

/** Visits every block of an object set that was born after `since`, its own included. O(what is visited). */
export function visitObjectSet(
  store: BlockStore,
  pointer: BlockPointer | undefined,
  since: number,
  visit: (pointer: BlockPointer) => void,
): Errno | undefined {
  if (pointer === undefined || pointer.birth <= since) return undefined;
  const record = store.readRecord(pointer);
  if (isErrno(record)) return record;
  const set = record as ObjsetRecord;
  const io = {
    readPointers: (of: BlockPointer): readonly (BlockPointer | undefined)[] | Errno => {
      const found = store.readRecord(of);
      return isErrno(found) ? found : (found as IndirectRecord).pointers;
    },
  };
  visit(pointer);
  for (const other of [...set.system, ...set.accounting]) if (other.birth > since) visit(other);
  const dnodes: BlockPointer[] = [];
  const failed = visitTree(io, set.tops[0], since, (found) => {
    visit(found);
    if (found.level === 0) dnodes.push(found);
  });
  if (failed !== undefined) return failed;
  for (const block of dnodes) {
    const found = store.readRecord(block);
    if (isErrno(found)) return found;
    const { tops, bodies } = found as DnodesRecord;
    for (const body of bodies) if (body?.spill !== undefined && body.spill.birth > since) visit(body.spill);
    for (const top of tops) {
      const wrong = visitTree(io, top, since, visit);
      if (wrong !== undefined) return wrong;
    }
  }
  return undefined;
}
