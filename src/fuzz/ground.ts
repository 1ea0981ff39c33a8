/**
 * Where a script runs.
 */
import { DRIVERS } from "../drivers/registry.ts";

export interface Ground {
  /** A driver's name. */
  readonly target: string;
  /** The filesystem below. */
  readonly backing: string;
  /** Options of its union mounts, in the place of Docker's own; "" for those. */
  readonly mountOptions: string;
}

/** A driver as it comes, on its usual filesystem, else ext4. */
export function groundOf(driver: string): Ground {
  return { target: driver, backing: DRIVERS.get(driver)?.backings?.[0] ?? "ext4", mountOptions: "" };
}
