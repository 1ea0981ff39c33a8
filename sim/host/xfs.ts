/**
 * xfs as mkfs and mount(8) make it: the options that are known, and what the kernel logs about others.
 */
import type { BlockDevice } from "../block/device.ts";
import type { Clock } from "../core/clock.ts";
import { EINVAL, ENOENT, type Errno, isErrno } from "../core/errno.ts";
import { GIB, KIB, MIB } from "../core/units.ts";
import { growXfs } from "../fs/xfs/grow.ts";
import { BLOCK_SIZE, SECTOR_SIZE, type Stripe } from "../fs/xfs/layout.ts";
import { type MkfsOptions, mkfsXfs } from "../fs/xfs/mkfs.ts";
import { mountXfs } from "../fs/xfs/mount.ts";
import type { FileSystem } from "../vfs/filesystem.ts";
import type { FileSystemType, HostParts, MountFailure, MountRequest } from "./types.ts";

/** Of mkfs.xfs's sub-options those that are known, by their letter. */
const SUBOPTIONS: ReadonlyMap<string, "ftype" | "reflink" | "crc"> = new Map([
  ["-n ftype", "ftype"],
  ["-m reflink", "reflink"],
  ["-m crc", "crc"],
]);

/** Options that change nothing here: overwrite, quiet, no discard; and features as they are. */
const MKFS_DEFAULTS: ReadonlySet<string> = new Set(["-f", "-q", "-K"]);
const FEATURE_DEFAULTS: ReadonlySet<string> = new Set([
  "-m finobt=0",
  "-m finobt=1",
  "-m rmapbt=0",
  "-m bigtime=1",
  "-m inobtcount=1",
]);

/** A size of mkfs.xfs: a number with k, m, g, b (blocks) or s (sectors); NaN for anything else. */
function sizeOf(text: string): number {
  const [, digits, letter = ""] = /^(\d+)([kmgbs]?)$/.exec(text) ?? [];
  const units: Readonly<Record<string, number>> = { k: KIB(1), m: MIB(1), g: GIB(1), b: BLOCK_SIZE, s: SECTOR_SIZE, "": 1 };
  return Number(digits) * (units[letter] as number);
}

/** What -d says of stripes: su and sw, or sunit and swidth in sectors; none where it says noalign. */
class StripeWords {
  #unit = 0;
  #width = 0;
  #units = 0;
  #aligns = true;

  /** @returns whether the word is one of these. */
  take(name: string, value: string): boolean {
    if (name === "noalign") this.#aligns = false;
    else if (name === "su") this.#unit = sizeOf(value);
    else if (name === "sw") this.#units = Number(value);
    else if (name === "sunit") this.#unit = Number(value) * SECTOR_SIZE;
    else if (name === "swidth") this.#width = Number(value) * SECTOR_SIZE;
    else return false;
    return true;
  }

  /** @returns undefined for no stripe; false for a stripe that cannot be. */
  get stripe(): Stripe | undefined | false {
    const bytes = this.#width + this.#units * this.#unit;
    if (this.#unit === 0 && bytes === 0) return undefined;
    const stripe = { unit: this.#unit / BLOCK_SIZE, width: bytes / BLOCK_SIZE };
    const isWhole =
      this.#aligns && stripe.unit >= 1 && Number.isInteger(stripe.unit) && stripe.width > 0 && stripe.width % stripe.unit === 0;
    return isWhole && stripe;
  }
}

/** mkfs.xfs's options; undefined for what is not known. */
function makeOptions(options: string): MkfsOptions | undefined {
  const known: { -readonly [K in keyof MkfsOptions]: MkfsOptions[K] } = {};
  const stripes = new StripeWords();
  let saysStripes = false;
  const words = options.split(" ").filter((word) => word !== "");
  for (let at = 0; at < words.length; at++) {
    const letter = words[at] as string;
    if (MKFS_DEFAULTS.has(letter)) continue;
    at += 1;
    for (const word of (words[at] ?? "").split(",")) {
      const [name = "", value = ""] = word.split("=", 2);
      if (letter === "-d" && stripes.take(name, value)) {
        saysStripes = true;
        continue;
      }
      const key = SUBOPTIONS.get(`${letter} ${name}`);
      if (key !== undefined && /^[01]$/.test(value)) known[key] = value === "1";
      else if (!FEATURE_DEFAULTS.has(`${letter} ${word}`)) return undefined;
    }
  }
  // "cannot disable ftype with crcs enabled", "reflink not supported without CRC support".
  const crc = known.crc ?? true;
  if ((crc && known.ftype === false) || (!crc && known.reflink === true)) return undefined;
  if (!saysStripes) return known;
  const { stripe } = stripes;
  return stripe === false ? undefined : { ...known, stripe };
}

function makeXfs(device: BlockDevice, options: string, clock: Clock): Errno | undefined {
  const known = makeOptions(options);
  return known === undefined ? EINVAL : mkfsXfs(device, { ...known, clock });
}

/** Options of mount -o that change nothing here: they name what is the default, or what there is only one of. */
const XFS_DEFAULTS: ReadonlySet<string> = new Set(["", "rw", "nouuid", "nodiscard", "inode64", "attr2", "noquota", "user_xattr"]);
/** Options that keep to the limits of projects. */
const PROJECT_QUOTA: ReadonlySet<string> = new Set(["pquota", "prjquota"]);

function mountOnDevice(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const attached = host.device(request.source);
  if (attached === undefined) return { errno: ENOENT, message: `Can't open blockdev ${request.source}` };
  const words = data.split(",");
  const unknown = words.find((word) => word !== "discard" && !PROJECT_QUOTA.has(word) && !XFS_DEFAULTS.has(word));
  if (unknown !== undefined) return { errno: EINVAL, message: `xfs: Unknown parameter '${unknown}'` };
  const { names, clock, events, cache, allocations, kernel } = host;
  const label = `xfs:${request.source}`;
  const projectQuota = words.some((word) => PROJECT_QUOTA.has(word));
  const discard = words.includes("discard");
  const mounted = mountXfs(attached.device, {
    names,
    clock,
    events,
    cache,
    allocations,
    device: attached.number,
    label,
    discard,
    projectQuota,
    profile: kernel.xfs,
  });
  if (!isErrno(mounted)) return mounted;
  const message = mounted === EINVAL ? `XFS (${request.source}): Invalid superblock magic number` : "";
  return { errno: mounted, message };
}

/** xfs. */
export const XFS: FileSystemType = { name: "xfs", make: makeXfs, grow: growXfs, mount: mountOnDevice };
