/**
 * zpool(8) on the devices of a pool: the commands as functions, their checks in the kernel's order and their errors in the library's words
 * (module/zfs/spa.c: spa_vdev_attach, spa_vdev_detach; vdev.c: vdev_offline, vdev_online, vdev_clear; lib/libzfs/libzfs_pool.c; OpenZFS 2.1).
 *
 * Interface: a device is named as zpool status shows it, with /dev/ before it or not, or by its guid. A command returns what it would write to standard
 * error, without the last newline; undefined when it worked. What a resilver is needed for is resilvered when a command returns (scan.ts).
 */
import type { BlockDevice } from "../../block/device.ts";
import { suspended } from "./commands.ts";
import { eraseLabels, readLabel } from "./labels.ts";
import type { Pool } from "./pool.ts";
import { scanPool } from "./scan.ts";
import { GUIDS_A_GROUP, isBehind, isRequired, newSide, openDevice, type Side, type TopLevel, usableBytes } from "./vdev.ts";

const NO_DEVICE = "no such device in pool";
const NO_REPLICAS = "no valid replicas";
/** What stands above disks: it is found, and no command here is for it. */
const INTERIOR = /^(?:mirror|replacing)-\d+$/;

interface Place {
  readonly top: TopLevel;
  readonly side: Side;
}

/** A device's name without where it stands. */
export function shortName(word: string): string {
  return word.replace(/^\/dev\/(?:mapper\/)?/, "");
}

function placeOf(pool: Pool, word: string): Place | undefined {
  const name = shortName(word);
  for (const top of pool.store.tops) {
    const side = top.sides.find((one) => one.name === name || String(one.guid) === word);
    if (side !== undefined) return { top, side };
  }
  return undefined;
}

/** A disk of the pool, or why there is none; a word for what stands above disks gives what the command says of those. */
function wantedSide(pool: Pool, word: string, doing: string, ofInterior: string): Place | string {
  const wrong = suspended(pool, doing);
  if (wrong !== undefined) return wrong;
  const found = placeOf(pool, word);
  if (found !== undefined) return found;
  return `${doing}: ${INTERIOR.test(word) ? ofInterior : NO_DEVICE}`;
}

/** The configuration is written with a group of its own, and what is behind is brought up to date. @returns what is told of a pool that can write no more. */
function settle(pool: Pool, doing: string): string | undefined {
  pool.configGroup = pool.store.group;
  pool.syncGroup();
  if (isBehind(pool.store.tops)) scanPool(pool, "resilver");
  return suspended(pool, doing);
}

const OTHER_POOL = "operation not supported on this type of pool";

/** zpool offline [-t]. @param temporary - until the next import alone */
export function zpoolOffline(pool: Pool, word: string, temporary = false): string | undefined {
  const doing = `cannot offline ${word}`;
  const found = wantedSide(pool, word, doing, OTHER_POOL);
  if (typeof found === "string") return found;
  const { top, side } = found;
  if (side.state !== "OFFLINE" && isRequired(top, side)) return `${doing}: ${NO_REPLICAS}`;
  side.state = "OFFLINE";
  side.temporary = temporary;
  return settle(pool, doing);
}

/** Opens a side again (vdev_reopen): it is there when its disk is, with its own label. */
function reopen(pool: Pool, side: Side): void {
  const label = side.device === undefined ? undefined : readLabel(side.device);
  const isOwn = label?.guid === pool.guid && label.side === side.guid;
  side.state = isOwn ? "ONLINE" : "UNAVAIL";
  side.temporary = false;
}

/**
 * zpool online. @param device - what is found under that name now; absent: what was there before
 * @returns undefined also when the device stays away: `zpool status` tells
 */
export function zpoolOnline(pool: Pool, word: string, device?: BlockDevice): string | undefined {
  const doing = `cannot online ${word}`;
  const found = wantedSide(pool, word, doing, OTHER_POOL);
  if (typeof found === "string") return found;
  const { side } = found;
  side.device = device ?? side.device;
  reopen(pool, side);
  return settle(pool, doing);
}

/** A disk may join a top-level device (spa_vdev_attach). @returns why not. */
function misfit(pool: Pool, top: TopLevel, device: BlockDevice, wrongKind: string): string | undefined {
  const metaslab = 2 ** pool.profile.metaslabShift(top.size);
  if (usableBytes(device) < Math.floor(top.size / metaslab) * metaslab) return "device is too small";
  return device.sectorSize > 1 << top.ashift ? wrongKind : undefined;
}

function isReplacing(top: TopLevel, side: Side): boolean {
  return side.replaces !== undefined || top.sides.some(({ replaces }) => replaces === side);
}

/** The side that a disk may stand beside, or why not. `wrongKind`: what the command says where it is for no such side, or no such disk */
function placeBeside(
  pool: Pool,
  word: string,
  device: BlockDevice,
  { doing, wrongKind }: { doing: string; wrongKind: string },
): Place | string {
  const found = wantedSide(pool, word, doing, wrongKind);
  if (typeof found === "string") return found;
  const { top, side } = found;
  const wrong = isReplacing(top, side) ? wrongKind : misfit(pool, top, device, wrongKind);
  return wrong === undefined ? found : `${doing}: ${wrong}`;
}

/** zpool attach: a disk becomes a side of a mirror beside another. */
export function zpoolAttach(pool: Pool, word: string, device: BlockDevice): string | undefined {
  const doing = `cannot attach ${device.name} to ${word}`;
  const wrongKind = "can only attach to mirrors and top-level disks";
  const found = placeBeside(pool, word, device, { doing, wrongKind });
  if (typeof found === "string") return found;
  const { top } = found;
  top.sides = [...top.sides, newSide(device, pool.store.group * GUIDS_A_GROUP, pool.store.group)];
  return settle(pool, doing);
}

/** zpool replace: a disk takes another's place. @param device - may be found under the old one's name: another disk was put there */
export function zpoolReplace(pool: Pool, word: string, device: BlockDevice): string | undefined {
  const doing = `cannot replace ${word} with ${device.name}`;
  const wrongKind = "already in replacing/spare config; wait for completion or use 'zpool detach'";
  const found = placeBeside(pool, word, device, { doing, wrongKind });
  if (typeof found === "string") return found;
  const { top, side } = found;
  if (side.device === device || side.name === device.name) {
    side.device = undefined;
    side.state = "UNAVAIL";
  }
  const made = newSide(device, pool.store.group * GUIDS_A_GROUP, pool.store.group, side);
  top.sides = top.sides.flatMap((one) => (one === side ? [one, made] : [one]));
  return settle(pool, doing);
}

/** zpool detach: a disk leaves its mirror, or ends a replacement that is not done. */
export function zpoolDetach(pool: Pool, word: string): string | undefined {
  const doing = `cannot detach ${word}`;
  const wrongKind = "only applicable to mirror and replacing vdevs";
  const found = wantedSide(pool, word, doing, wrongKind);
  if (typeof found === "string") return found;
  const { top, side } = found;
  if (top.sides.length < 2) return `${doing}: ${wrongKind}`;
  if (isRequired(top, side)) return `${doing}: ${NO_REPLICAS}`;
  const device = openDevice(side);
  if (device !== undefined) eraseLabels(device);
  top.sides = top.sides.filter((one) => one !== side);
  for (const other of top.sides) if (other.replaces === side) other.replaces = undefined;
  return settle(pool, doing);
}

/** zpool scrub. */
export function zpoolScrub(pool: Pool): string | undefined {
  scanPool(pool, "scrub");
  return suspended(pool, `cannot scrub ${pool.name}`);
}

/** zpool clear: errors are forgotten, and disks that were taken out for them are opened again. @param word - absent: of all disks */
export function zpoolClear(pool: Pool, word?: string): string | undefined {
  const doing = `cannot clear errors for ${word ?? pool.name}`;
  const found = word === undefined ? undefined : wantedSide(pool, word, doing, NO_DEVICE);
  if (typeof found === "string") return found;
  for (const { sides } of pool.store.tops) {
    for (const side of sides) {
      if (found !== undefined && found.side !== side) continue;
      Object.assign(side.errors, { read: 0, write: 0, checksum: 0 });
      if (side.state === "FAULTED" || side.state === "UNAVAIL") reopen(pool, side);
    }
  }
  return settle(pool, doing);
}
