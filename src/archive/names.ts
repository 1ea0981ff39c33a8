/**
 * Names of a layer's entries: what they mean below the layer's root, and which are refused.
 */
import { ArchiveFault, type ReadMode } from "./fault.ts";
import {
  BLOCK_DEVICE,
  CHARACTER,
  DIRECTORY,
  LINK,
  nameBytes,
  REGULAR,
  REGULAR_OLD,
  SYMLINK,
  type TarHeader,
} from "./tar-header.ts";

/** A name that begins so says that the name behind it is gone (AUFS's own form, which Docker's layers keep). */
export const WHITEOUT = ".wh.";
/** Names of AUFS's own files. */
export const WHITEOUT_META = ".wh..wh.";
/** In a directory: nothing of the layers below shows. */
export const WHITEOUT_OPAQUE = ".wh..wh..opq";
/** Where AUFS keeps files with several names. */
export const WHITEOUT_LINKS = ".wh..wh.plnk";

const NAME_MAX = 255;
const PATH_MAX = 4096;
const DEPTH_MAX = 1024;
/** (uid_t)-1 means "no one", so ids end below it. */
const ID_MAX = 2 ** 32 - 2;

/** A part that is empty, "." or "..". */
const UNCLEAN = /(?:^|\/)\.{0,2}(?:\/|$)/;

/**
 * path.Clean of an absolute name below the root: what leads out is held at the root, as a chroot does.
 * @returns "/" for the root itself
 */
export function layerPath(name: string): string {
  const plain = name.endsWith("/") ? name.slice(0, -1) : name;
  if (!UNCLEAN.test(plain)) return `/${plain}`;
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** The folder of an absolute path. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** The last part of a path. */
export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function shown(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
}

/** From the root, up, or to a drive of another system. */
const LEADS_OUT = /^\/|(?:^|\/)\.\.(?:\/|$)|^[A-Za-z]:/;

function escapes(name: string): boolean {
  return LEADS_OUT.test(name) || (name.includes("\\") && LEADS_OUT.test(name.replaceAll("\\", "/")));
}

/** Refuses, in mode "strict", what no honest layer holds. @throws ArchiveFault */
export function checkEntry(header: TarHeader, mode: ReadMode): void {
  if (mode === "docker") return;
  const { name, linkname, typeflag } = header;
  if (escapes(name)) throw new ArchiveFault("E_LAYER_ESCAPE", `${shown(name)} is outside of "/"`);
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length === 0 && typeflag !== DIRECTORY)
    throw new ArchiveFault("E_LAYER_ESCAPE", `${shown(name)} would take the place of the root`);
  if (parts.length > DEPTH_MAX) throw new ArchiveFault("E_LIMIT", `a name has more than ${DEPTH_MAX} levels`);
  checkLengths(name, parts);
  checkWhiteout(header, parts);
  if (typeflag === LINK && escapes(linkname))
    throw new ArchiveFault("E_LAYER_ESCAPE", `invalid hardlink ${shown(name)} -> ${shown(linkname)}`);
  if (typeflag === SYMLINK && (linkname === "" || nameBytes(linkname).length >= PATH_MAX))
    throw new ArchiveFault("E_LAYER_NAME", `invalid symlink ${shown(name)} -> ${shown(linkname)}`);
  checkNumbers(header);
  for (const [key] of header.xattrs)
    if (/^(trusted|user)\.(overlay|aufs)\./.test(key))
      throw new ArchiveFault("E_LAYER_XATTR", `${shown(name)} has the extended attribute ${shown(key)} of the union itself`);
}

function checkLengths(name: string, parts: readonly string[]): void {
  // Three bytes a unit at most.
  if (name.length > PATH_MAX / 3 && nameBytes(name).length >= PATH_MAX)
    throw new ArchiveFault("E_LAYER_NAME", `${shown(name)} is longer than a path can be`);
  if (parts.some((part) => part.length > NAME_MAX / 4 && nameBytes(part).length > NAME_MAX))
    throw new ArchiveFault("E_LAYER_NAME", `${shown(name)} has a part longer than a name can be`);
}

function checkWhiteout(header: TarHeader, parts: readonly string[]): void {
  const base = parts.at(-1) ?? "";
  if (parts.slice(1, -1).some((part) => part.startsWith(WHITEOUT)))
    throw new ArchiveFault("E_LAYER_WHITEOUT", `${shown(header.name)} lies below a whiteout`);
  if (!base.startsWith(WHITEOUT) || parts[0]?.startsWith(WHITEOUT_META) === true) {
    if (base === WHITEOUT_OPAQUE && header.typeflag === DIRECTORY)
      throw new ArchiveFault("E_LAYER_WHITEOUT", `${shown(header.name)} is a whiteout, and no empty file`);
    return;
  }
  const target = base.slice(WHITEOUT.length);
  if (target === "" || target === "." || target === "..")
    throw new ArchiveFault("E_LAYER_WHITEOUT", `${shown(header.name)} is a whiteout that names nothing`);
  if (base.startsWith(WHITEOUT_META) && base !== WHITEOUT_OPAQUE)
    throw new ArchiveFault("E_LAYER_WHITEOUT", `${shown(header.name)} is a reserved name`);
  const isFile = header.typeflag === REGULAR || header.typeflag === REGULAR_OLD || header.typeflag === LINK;
  if (!isFile || header.size > 0)
    throw new ArchiveFault("E_LAYER_WHITEOUT", `${shown(header.name)} is a whiteout, and no empty file`);
}

function checkNumbers({ name, typeflag, mode, uid, gid, major, minor }: TarHeader): void {
  for (const id of [uid, gid])
    if (id < 0 || id > ID_MAX) throw new ArchiveFault("E_LAYER_OWNER", `${shown(name)} belongs to ${id}, which is nobody`);
  if (mode < 0 || mode > 0o177777) throw new ArchiveFault("E_LAYER_OWNER", `${shown(name)} has a mode that does not exist`);
  if (typeflag !== CHARACTER && typeflag !== BLOCK_DEVICE) return;
  if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff)
    throw new ArchiveFault("E_LAYER_DEVICE", `${shown(name)} is a device ${major}:${minor} that does not exist`);
}
