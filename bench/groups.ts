/** The groups of workloads in the order in which they run. */
import type { Group } from "./workload.ts";
import { copyUp, copyUpAnySize, scatteredWrites, scatteredWritesDescribed } from "./workloads/bytes.ts";
import { btrfsSnapshots, treeSnapshots, zfsSnapshots } from "./workloads/cow.ts";
import { directoryRename } from "./workloads/directories.ts";
import { files, memoryOfEmptyFiles, memoryOfSmallFiles } from "./workloads/files.ts";
import { layers } from "./workloads/layers.ts";
import { reads, stat } from "./workloads/lookups.ts";
import { firstFit, memoryOfPool, provisioning, snapshots } from "./workloads/thin.ts";

export const GROUPS: readonly Group[] = [
  { name: "stat", workloads: ["stat-depth"], needsLayers: false, run: stat },
  { name: "reads", workloads: ["open-read4k-close", "readdir", "append-1-byte"], needsLayers: false, run: reads },
  { name: "files", workloads: ["create-", "rename", "unlink"], needsLayers: false, run: files },
  { name: "directories", workloads: ["rename-directory"], needsLayers: false, run: directoryRename },
  { name: "layers", workloads: ["stat-first-L", "stat-L", "miss-L", "readdir-L"], needsLayers: true, run: layers },
  { name: "copy-up", workloads: ["copy-up-1-MiB"], needsLayers: true, run: copyUp },
  { name: "copy-up-described", workloads: ["copy-up-described"], needsLayers: true, run: copyUpAnySize },
  { name: "writes", workloads: ["write-4-KiB-scattered"], needsLayers: false, run: scatteredWrites },
  { name: "writes-described", workloads: ["write-4-KiB-scattered-described"], needsLayers: false, run: scatteredWritesDescribed },
  { name: "memory-empty", workloads: ["memory-empty-files"], needsLayers: false, run: memoryOfEmptyFiles },
  { name: "memory-small", workloads: ["memory-100-byte-files"], needsLayers: false, run: memoryOfSmallFiles },
  { name: "thin", workloads: ["thin-provision"], needsLayers: true, run: provisioning },
  { name: "thin-snapshots", workloads: ["thin-snapshot-of"], needsLayers: true, run: snapshots },
  { name: "thin-first-fit", workloads: ["thin-first-fit"], needsLayers: true, run: firstFit },
  { name: "tree-snapshots", workloads: ["tree-snapshot-of"], needsLayers: true, run: treeSnapshots },
  { name: "btrfs-snapshots", workloads: ["btrfs-snapshot-of"], needsLayers: true, run: btrfsSnapshots },
  { name: "zfs-snapshots", workloads: ["zfs-snapshot-of", "zfs-clone-of"], needsLayers: true, run: zfsSnapshots },
  { name: "memory-thin", workloads: ["memory-thin-block"], needsLayers: true, run: memoryOfPool },
];
