/**
 * cowlab/memfs: memfs volumes as layers, containers as memfs volumes. The public names, one by one.
 */
export { fromMemfs, type ReadableVolume, toMemfs, type WritableVolume } from "../fs/memfs.ts";
