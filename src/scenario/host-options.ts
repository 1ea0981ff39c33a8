/**
 * The machines that a scenario can ask for: kernels and cost profiles, by name.
 */
import { DEVICE_PROFILES, type DeviceProfile } from "../../sim/block/profile.ts";
import { type KernelProfile, k4_0, k6_18 } from "../../sim/core/kernel-profile.ts";
import { GIB } from "../../sim/core/units.ts";
import { DOCKER_20_10, DOCKER_PROFILES, type DockerProfile } from "../drivers/docker-profile.ts";

/** Kernels by their version, such as "6.18". */
export const KERNELS: ReadonlyMap<string, KernelProfile> = new Map([k6_18, k4_0].map((kernel) => [kernel.version, kernel]));

/** Whose storage drivers, by the version of Docker. */
export const DOCKERS: ReadonlyMap<string, DockerProfile> = DOCKER_PROFILES;

/** What a disk's commands cost, by the profile's name. */
export const COSTS: ReadonlyMap<string, DeviceProfile> = new Map(Object.entries(DEVICE_PROFILES));

/** What a host is where the file does not say. */
export const HOST_DEFAULTS: {
  readonly backing: "ext4";
  readonly device: number;
  readonly memory: number;
  readonly kernel: string;
  readonly docker: string;
} = { backing: "ext4", device: GIB(8), memory: GIB(2), kernel: k6_18.version, docker: DOCKER_20_10.version };
