/**
 * cowlab/node: what touches this machine's own files. The public names, one by one.
 */
export { readArchive } from "../node/archive.ts";
export { nodeDecompress } from "../node/decompress.ts";
export { nodeHasher } from "../node/digest.ts";
export { type Loaded, readScenarios, scenarioFiles } from "../node/files.ts";
export { nodeGzip } from "../node/gzip.ts";
export { OpenedFiles, openImageFiles } from "../node/image-files.ts";
export { InputError } from "../node/input-error.ts";
export { fromDir } from "../node/lower.ts";
export { copyRealFolder } from "../node/real-folder.ts";
export { requireWith } from "../node/require-with.ts";
