/**
 * gzip by this machine's zlib.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import { ArchiveFault } from "../archive/fault.ts";
import type { Gzip } from "../archive/gzip.ts";

/** The real one. */
export const nodeGzip: Gzip = {
  pack: (raw) => gzipSync(raw),
  unpack(packed) {
    try {
      return gunzipSync(packed);
    } catch (error) {
      throw new ArchiveFault("E_COMPRESSION", `the gzip data are damaged: ${error instanceof Error ? error.message : ""}`);
    }
  },
};
