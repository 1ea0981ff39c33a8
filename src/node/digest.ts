/**
 * SHA-256 by this machine's own library.
 */
import { createHash } from "node:crypto";
import type { NewHasher } from "../archive/digest.ts";

/** The faster hasher. */
export const nodeHasher: NewHasher = () => {
  const hash = createHash("sha256");
  return { update: (piece) => void hash.update(piece), hex: () => hash.digest("hex") };
};
