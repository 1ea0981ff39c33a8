/** What is said to mount(8) with -o: flags of the mount, and what is the filesystem's own. */
import { PAGE_SIZE } from "../vfs/address-space.ts";
import type { MountOptions } from "../vfs/mount.ts";

/** The options that mount(8) takes for itself. */
const GENERAL: ReadonlyMap<string, MountOptions> = new Map<string, MountOptions>([
  ["ro", { readOnly: true }],
  ["rw", { readOnly: false }],
  ["atime", { noatime: false }],
  ["noatime", { noatime: true }],
  ["relatime", { strictatime: false }],
  ["strictatime", { strictatime: true, noatime: false }],
  ["suid", { nosuid: false }],
  ["nosuid", { nosuid: true }],
  ["dev", { nodev: false }],
  ["nodev", { nodev: true }],
  ["exec", { noexec: false }],
  ["noexec", { noexec: true }],
  ["defaults", {}],
]);

/** Options that mount(8) takes for itself, the later ones before the earlier, and those that are the filesystem's. */
export function sortOptions(text: string): { readonly flags: MountOptions; readonly rest: readonly string[] } {
  let flags: MountOptions = {};
  const rest: string[] = [];
  for (const word of splitOptions(text)) {
    const general = GENERAL.get(word);
    if (general === undefined) rest.push(word);
    else flags = { ...flags, ...general };
  }
  return { flags, rest };
}

/** Options at commas; one behind a backslash belongs to its option. */
function splitOptions(text: string): string[] {
  return text.split(/(?<!\\),/);
}

/** What of a filesystem's options arrives: as much as fits a page, whose last byte ends the text (copy_mount_options; path_mount). */
export function pageOf(data: readonly string[]): string {
  const text = data.join(",");
  if (text.length * 3 < PAGE_SIZE) return text;
  return new TextDecoder().decode(new TextEncoder().encode(text).subarray(0, PAGE_SIZE - 1));
}
