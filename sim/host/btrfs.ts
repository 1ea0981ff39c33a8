/**
 * btrfs as mkfs and mount(8) make it: the options that are known, and what the kernel logs about others.
 */
import type { BlockDevice } from "../block/device.ts";
import type { Clock } from "../core/clock.ts";
import { EINVAL, ENOENT, type Errno, isErrno } from "../core/errno.ts";
import { Btrfs } from "../cow/btrfs/btrfs.ts";
import type { Compression } from "../cow/btrfs/compression.ts";
import type { BtrfsOptions } from "../cow/btrfs/environment.ts";
import { subvolumeIdOf, subvolumeRoot } from "../cow/btrfs/ioctl.ts";
import { mkfsBtrfs } from "../cow/btrfs/mkfs.ts";
import { mountBtrfs } from "../cow/btrfs/mount.ts";
import type { FileSystem, Inode } from "../vfs/filesystem.ts";
import type { FileSystemType, HostParts, MountFailure, MountRequest } from "./types.ts";

function makeBtrfs(device: BlockDevice, options: string, clock: Clock): Errno | undefined {
  return options.trim() === "" ? mkfsBtrfs(device, { clock }) : EINVAL;
}

/** Options of mount -o that change nothing here: they name what is the default, or how fast something is. */
const DEFAULTS: ReadonlySet<string> = new Set(
  "rw,datacow,datasum,ssd,nossd,space_cache,space_cache=v2,acl,barrier,treelog,relatime".split(","),
);
const DISCARDS: ReadonlyMap<string, NonNullable<BtrfsOptions["discard"]>> = new Map([
  ["discard", "sync"],
  ["discard=sync", "sync"],
  ["discard=async", "async"],
  ["nodiscard", "no"],
]);
const ALGORITHMS: ReadonlySet<string> = new Set(["zlib", "lzo", "zstd"]);

/** compress, compress=zstd:3, compress-force=lzo; undefined for an algorithm that is not known. */
function compressionOf(text: string): Compression | undefined {
  const name = (text === "" ? "zlib" : text).split(":", 1)[0] as string;
  if (name === "no" || name === "none") return "none";
  return ALGORITHMS.has(name) ? (name as Compression) : undefined;
}

function parse(data: string): BtrfsOptions | string {
  const options: { -readonly [K in keyof BtrfsOptions]: BtrfsOptions[K] } = {};
  for (const word of data.split(",")) {
    const [key = "", text = ""] = word.split("=", 2);
    const discard = DISCARDS.get(word);
    if (word === "" || DEFAULTS.has(word)) continue;
    if (key === "compress" || key === "compress-force") {
      const compress = compressionOf(text);
      if (compress === undefined) return word;
      options.compress = compress;
      options.force = key === "compress-force";
    } else if (key === "subvol" || (key === "subvolid" && /^\d+$/.test(text))) continue;
    else if (key === "max_inline" && /^\d+$/.test(text)) options.inlineMax = Number(text);
    else if (discard !== undefined) options.discard = discard;
    else if (word === "nodatacow" || word === "nodatasum" || word === "notreelog") options[word] = true;
    else return word;
  }
  return options;
}

function mountOnDevice(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const attached = host.device(request.source);
  if (attached === undefined) return { errno: ENOENT, message: `Can't open blockdev ${request.source}` };
  // One device has one filesystem, however often it is mounted; what its first mount said holds.
  const known = host.mounted((fs) => fs instanceof Btrfs && fs.state.device === attached.device);
  if (known !== undefined) return known;
  const options = parse(data);
  if (typeof options === "string") return { errno: EINVAL, message: `btrfs: Unknown parameter '${options}'` };
  const { names, clock, events, cache, allocations } = host;
  const label = `btrfs:${request.source}`;
  const newDevice = (): ReturnType<typeof host.anonymousNumber> => host.anonymousNumber();
  const mounted = mountBtrfs(attached.device, {
    names,
    clock,
    events,
    cache,
    allocations,
    newDevice,
    label,
    options,
    profile: host.kernel.btrfs,
  });
  if (!isErrno(mounted)) return mounted;
  const message =
    mounted === EINVAL
      ? `BTRFS: ${request.source} has no valid super block`
      : `BTRFS error (device ${request.source}): open_ctree failed`;
  return { errno: mounted, message };
}

/** The subvolume that subvol= or subvolid= names (fs/btrfs/super.c: mount_subvol). */
function subvolumeOf(fs: FileSystem, host: HostParts, data: string): Inode | MountFailure {
  if (!(fs instanceof Btrfs)) return fs.root;
  const value = (key: string): string | undefined =>
    data
      .split(",")
      .filter((word) => word.startsWith(`${key}=`))
      .at(-1)
      ?.slice(key.length + 1);
  const path = value("subvol");
  const id = Number(value("subvolid") ?? 0);
  const byId = id === 0 ? undefined : subvolumeRoot(fs, id);
  if (isErrno(byId)) return { errno: byId, message: "" };
  if (path === undefined) return byId ?? fs.root;
  let at = fs.root;
  for (const name of path.split("/")) {
    if (name === "") continue;
    const found = fs.lookup(at, host.names.intern(name));
    if (isErrno(found)) return { errno: found, message: "" };
    at = found;
  }
  if (byId !== undefined && at !== byId)
    return { errno: EINVAL, message: `BTRFS error: subvol '${path}' does not match subvolid ${id}` };
  const isRoot = subvolumeRoot(fs, subvolumeIdOf(fs, at)) === at;
  return isRoot ? at : { errno: EINVAL, message: `BTRFS error: '${path}' is not a valid subvolume` };
}

/** btrfs. */
export const BTRFS: FileSystemType = { name: "btrfs", make: makeBtrfs, mount: mountOnDevice, top: subvolumeOf };
