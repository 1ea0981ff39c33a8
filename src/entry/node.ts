/**
 * cowlab/node: what touches this machine's own files. The public names, one by one.
 */
export { readArchive } from "../node/archive.ts";
export { nodeHasher } from "../node/digest.ts";
export { InputError, type Loaded, readScenarios, scenarioFiles } from "../node/files.ts";
export { fromDir } from "../node/lower.ts";
export { copyRealFolder } from "../node/real-folder.ts";
export { requireWith } from "../node/require-with.ts";
