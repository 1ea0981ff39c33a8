/**
 * The machines that a scenario can ask for: kernels and cost profiles, by name.
 */
import { DEVICE_PROFILES, type DeviceProfile } from "../../sim/block/profile.ts";
import { type KernelProfile, k4_0, k6_18 } from "../../sim/core/kernel-profile.ts";

/** Kernels by their version, such as "6.18". */
export const KERNELS: ReadonlyMap<string, KernelProfile> = new Map([k6_18, k4_0].map((kernel) => [kernel.version, kernel]));

/** Whose storage drivers: the version of Docker that they were written after. */
export const DOCKERS: readonly string[] = ["20.10"];

/** What a disk's commands cost, by the profile's name. */
export const COSTS: ReadonlyMap<string, DeviceProfile> = new Map(Object.entries(DEVICE_PROFILES));
