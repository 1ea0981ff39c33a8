/**
 * What the builder calls a file of its context: the digest of its header without times, and of its content (moby v20.10.27 pkg/tarsum,
 * version 1; builder/remotecontext/filehash.go).
 */
import type { Content } from "../../sim/core/content.ts";
import type { NewHasher } from "../archive/digest.ts";
import { nameBytes, type TarHeader } from "../archive/tar-header.ts";

/** The digest in hexadecimal. */
export function tarSum(header: TarHeader, content: Content, newHasher: NewHasher): string {
  const hasher = newHasher();
  const fields: readonly (readonly [string, string])[] = [
    ["name", header.name],
    ["mode", String(header.mode)],
    ["uid", String(header.uid)],
    ["gid", String(header.gid)],
    ["size", String(header.size)],
    ["typeflag", header.typeflag],
    ["linkname", header.linkname],
    ["uname", header.uname],
    ["gname", header.gname],
    ["devmajor", String(header.major)],
    ["devminor", String(header.minor)],
  ];
  for (const [key, value] of fields) hasher.update(nameBytes(key + value));
  for (const [name, value] of header.xattrs) {
    hasher.update(nameBytes(name));
    hasher.update(value);
  }
  for (const piece of content.chunks()) hasher.update(piece);
  return hasher.hex();
}

/** One name for several files (hashStringSlice). */
export function joinedSum(prefix: "dir" | "multi", sums: readonly string[], newHasher: NewHasher): string {
  const hasher = newHasher();
  hasher.update(new TextEncoder().encode(sums.join(",")));
  return `${prefix}:${hasher.hex()}`;
}
