/**
 * tmpfs as mount(8) makes it: its options and their faults.
 */
import { EINVAL } from "../core/errno.ts";
import { bytes } from "../core/units.ts";
import { Tmpfs } from "../fs/tmpfs.ts";
import { PAGE_SIZE } from "../vfs/address-space.ts";
import type { FileSystem } from "../vfs/filesystem.ts";
import type { FileSystemType, HostParts, MountFailure, MountRequest } from "./types.ts";

const SIZE = /^(\d+)([kmgtp%]?)$/i;
const POWERS = "kmgtp";

/** A size of a tmpfs option: bytes, with a unit, or a share of memory in percent; undefined for anything else. */
function sizeOf(text: string, memory: number): number | undefined {
  const parts = SIZE.exec(text);
  if (parts === null) return undefined;
  const unit = (parts[2] ?? "").toLowerCase();
  if (unit === "%") return Math.floor((Number(parts[1]) * memory) / 100);
  return Number(parts[1]) * 1024 ** (unit === "" ? 0 : POWERS.indexOf(unit) + 1);
}

function mountTmpfs(host: HostParts, _request: MountRequest, data: string): FileSystem | MountFailure {
  const options: { size?: ReturnType<typeof bytes>; inodes?: number; mode?: number } = {};
  for (const word of data.split(",").filter((one) => one !== "")) {
    const [key = "", text = ""] = word.split("=", 2);
    const number = key === "mode" ? Number.parseInt(text, 8) : sizeOf(text, host.cache.memoryPages * PAGE_SIZE);
    if (number === undefined || Number.isNaN(number)) return { errno: EINVAL, message: `tmpfs: Bad value for '${key}'` };
    if (key === "size") options.size = bytes(number);
    else if (key === "nr_inodes") options.inodes = number;
    else if (key === "mode") options.mode = number;
    else return { errno: EINVAL, message: `tmpfs: Unknown parameter '${key}'` };
  }
  return new Tmpfs(host, { ...options, device: host.anonymousNumber() });
}

/** tmpfs. */
export const TMPFS: FileSystemType = { name: "tmpfs", mount: mountTmpfs };
