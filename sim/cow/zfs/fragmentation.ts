/**
 * How far free space lies in pieces: 0 for pieces of 16 MiB or more, 100 for those of a sector (module/zfs/metaslab.c, zfs_frag_table,
 * metaslab_set_fragmentation, metaslab_class_fragmentation).
 */

/** Percent by the pieces' size, from 512 bytes on, doubling. */
const PERCENT: readonly number[] = [100, 100, 98, 95, 90, 80, 70, 60, 50, 40, 30, 20, 15, 10, 5, 0];
const SECTOR_SHIFT = 9;

/** What visits the free pieces of a metaslab, by their bytes. */
export type VisitPieces = (visit: (bytes: number) => void) => void;

/** Percent of one metaslab: its pieces by their bytes. */
function fragmentationOf(pieces: VisitPieces): number {
  let total = 0;
  let weighed = 0;
  pieces((bytes) => {
    const place = Math.min(PERCENT.length - 1, Math.max(0, Math.floor(Math.log2(bytes)) - SECTOR_SHIFT));
    total += bytes;
    weighed += bytes * (PERCENT[place] as number);
  });
  return total === 0 ? 0 : Math.floor(weighed / total);
}

/** Percent of a device: the average of its metaslabs, those among them that nothing was ever taken of. */
export function averageFragmentation(touched: readonly VisitPieces[], count: number): number {
  return Math.floor(touched.reduce((sum, pieces) => sum + fragmentationOf(pieces), 0) / count);
}
