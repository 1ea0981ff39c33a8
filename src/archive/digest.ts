/**
 * SHA-256 behind one interface, so that a program with a faster one can hand it in.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Content } from "../../sim/core/content.ts";
import { ArchiveFault } from "./fault.ts";

/** One digest in the making. */
interface Hasher {
  /** Takes the bytes before it returns: the caller may write over them. */
  update(piece: Uint8Array): void;
  /** Lower-case hexadecimal; ends the use of the hasher. */
  hex(): string;
}

/** Makes a SHA-256 hasher. */
export type NewHasher = () => Hasher;

/** Byte values in hexadecimal. */
export function hexOf(raw: Uint8Array): string {
  let text = "";
  for (const byte of raw) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** The hasher that works everywhere. */
export const portableHasher: NewHasher = () => {
  const hash = sha256.create();
  return { update: (piece) => void hash.update(piece), hex: () => hexOf(hash.digest()) };
};

/** The digest of bytes as Docker writes it: "sha256:" and 64 hexadecimal digits. */
export function digestOf(raw: Uint8Array, newHasher: NewHasher): string {
  const hasher = newHasher();
  hasher.update(raw);
  return `sha256:${hasher.hex()}`;
}

/** The digest of a text's UTF-8 bytes. */
export function digestOfText(text: string, newHasher: NewHasher): string {
  return digestOf(new TextEncoder().encode(text), newHasher);
}

/** The digest of any content, however long, a piece at a time. */
export function digestOfContent(content: Content, newHasher: NewHasher): string {
  const hasher = newHasher();
  for (const piece of content.chunks()) hasher.update(piece);
  return `sha256:${hasher.hex()}`;
}

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Whether a text is a digest in Docker's spelling. */
export function isDigest(text: unknown): text is string {
  return typeof text === "string" && DIGEST.test(text);
}

/** The hexadecimal part of a digest. @throws ArchiveFault E_DIGEST_FORMAT for anything else. */
export function digestHex(text: unknown): string {
  if (!isDigest(text)) throw new ArchiveFault("E_DIGEST_FORMAT", `invalid digest ${JSON.stringify(text)}`);
  return text.slice(7);
}
