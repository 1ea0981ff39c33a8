/**
 * The modes of a pool, from the one in which everything works to the one in which nothing does (drivers/md/dm-thin.c, enum pool_mode).
 */
export type PoolMode = "write" | "outOfDataSpace" | "outOfMetadataSpace" | "readOnly" | "fail";

const NAMES: Readonly<Record<PoolMode, string>> = {
  write: "write",
  outOfDataSpace: "out-of-data-space",
  outOfMetadataSpace: "read-only",
  readOnly: "read-only",
  fail: "fail",
};

/** A mode as the kernel logs it (notify_of_pool_mode_change). @param errorIfNoSpace - whether bios that find no space fail at once. */
export function modeText(mode: PoolMode, errorIfNoSpace: boolean): string {
  if (mode !== "outOfDataSpace") return NAMES[mode];
  return `${NAMES[mode]} (${errorIfNoSpace ? "error" : "queue"} IO)`;
}
