/**
 * What `docker info` says of a storage driver (docker/cli v20.10.27 cli/command/system/info.go; moby daemon/info.go, info_unix.go).
 */
import type { GraphDriver } from "./driver.ts";
import { DRIVERS } from "./registry.ts";

export interface DriverInfo {
  /** The driver's rows, label and value. */
  readonly rows: readonly (readonly [string, string])[];
  /** Each with its further lines; Docker prints them to standard error. */
  readonly warnings: readonly string[];
}

const WITHOUT_TYPES = "which leads to incorrect behavior.";
const REFORMAT_XFS = "\n         Reformat the filesystem with ftype=1 to enable d_type support.";
const NOT_FOR_LONG = "\n         Running without d_type support will not be supported in future releases.";

/** What a driver of 20.10 tells of itself, and what Docker warns of. */
export function driverInfo(driver: GraphDriver): DriverInfo {
  const { name } = driver;
  const rows = driver.status();
  const values = new Map(rows);
  const warnings: string[] = [];
  if (DRIVERS.get(name)?.deprecated === true)
    warnings.push(`WARNING: the ${name} storage-driver is deprecated, and will be removed in a future release.`);
  if (values.has("Data loop file"))
    warnings.push(
      `WARNING: ${name}: usage of loopback devices is strongly discouraged for production use.\n` +
        "         Use `--storage-opt dm.thinpooldev` to specify a custom block storage device.",
    );
  if (values.get("Supports d_type") === "false") {
    const backing = values.get("Backing Filesystem") ?? "";
    const how = backing === "xfs" ? REFORMAT_XFS : "";
    warnings.push(
      `WARNING: ${name}: the backing ${backing} filesystem is formatted without d_type support, ${WITHOUT_TYPES}${how}${NOT_FOR_LONG}`,
    );
  }
  return { rows, warnings };
}

/** The rows as `docker info` prints them, below the driver's name. */
export function driverInfoText(name: string, { rows }: DriverInfo): string {
  return [` Storage Driver: ${name}`, ...rows.map(([label, value]) => `  ${label}: ${value}`)]
    .map((line) => `${line}\n`)
    .join("");
}
