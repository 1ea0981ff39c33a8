/** What a btrfs is mounted with: the host around it, and the options of mount. */
import type { Allocations } from "../../core/allocations.ts";
import type { Clock } from "../../core/clock.ts";
import type { EventStream } from "../../core/events.ts";
import type { BtrfsProfile } from "../../core/kernel-profile.ts";
import type { NameTable } from "../../core/names.ts";
import type { DeviceNumber } from "../../core/units.ts";
import type { AddressSpace, Mapping } from "../../vfs/address-space.ts";
import type { Inode } from "../../vfs/filesystem.ts";
import type { Compression } from "./compression.ts";

interface PageCacheLike {
  readonly memoryPages: number;
  readonly dirtyPages: number;
  mapping(space: AddressSpace, inode: Inode): Mapping;
}

export interface BtrfsEnvironment {
  /** Which allocations fail; absent: none by a test's will. */
  readonly allocations?: Allocations;
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly cache: PageCacheLike;
  /** A new anonymous st_dev: one for the superblock, one for each subvolume that is looked up. */
  readonly newDevice: () => DeviceNumber;
  readonly label?: string;
  readonly options?: BtrfsOptions;
  readonly profile: BtrfsProfile;
}

/** Options of mount. */
export interface BtrfsOptions {
  readonly compress?: Compression;
  /** fsync commits: nothing is logged. */
  readonly notreelog?: boolean;
  /** Compress also what did not shrink at first (compress-force). */
  readonly force?: boolean;
  /** The longest data that an item keeps in a leaf. Default 2048. */
  readonly inlineMax?: number;
  readonly nodatacow?: boolean;
  /** When free space is discarded: some time after its commit, with it, never. Default: as the kernel does. */
  readonly discard?: "async" | "sync" | "no";
  /** New files have no checksums of their data. */
  readonly nodatasum?: boolean;
}
