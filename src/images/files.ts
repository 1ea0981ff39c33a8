/**
 * The files of an image archive by their names, whether they lie in a tar archive or in a folder.
 */
import type { Content } from "../../sim/core/content.ts";
import { ArchiveFault, type ReadMode } from "../archive/fault.ts";
import { DIRECTORY, LINK, SYMLINK } from "../archive/tar-header.ts";
import { readTar } from "../archive/tar-read.ts";
import { isRegular } from "../archive/tar-write.ts";

/** Files by their names, without a slash at the beginning. */
export interface ImageFiles {
  /** Names of files (not folders), sorted. */
  readonly names: readonly string[];
  /** A file's content, symbolic links followed; undefined where there is none. */
  get(name: string): Content | undefined;
}

/** How many symbolic links one name may lead over. */
const LINKS_MAX = 8;

/** A file, opened when it is wanted, or a link to another name of the archive. */
export type Member = { readonly kind: "file"; readonly open: () => Content } | { readonly kind: "link"; readonly target: string };

/**
 * A name with "." and ".." worked out.
 * @returns undefined where it leads out
 */
function cleanPath(name: string): string | undefined {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.pop() === undefined) return undefined;
    if (part !== "..") parts.push(part);
  }
  return parts.join("/");
}

/** The members of a tar archive. Folders are left out; what is neither file, folder nor link is refused. */
export function tarFiles(content: Content, mode: ReadMode): ImageFiles {
  const members = new Map<string, Member>();
  for (const { header, content: body } of readTar(content, { mode })) {
    const name = cleanPath(header.name);
    if (name === undefined || header.name.startsWith("/"))
      throw new ArchiveFault("E_LAYER_ESCAPE", `${JSON.stringify(header.name)} is outside of the archive`);
    if (header.typeflag === DIRECTORY) continue;
    if (members.has(name) && mode === "strict") throw new ArchiveFault("E_TAR_DUPLICATE", `${JSON.stringify(name)} comes twice`);
    if (isRegular(header.typeflag)) members.set(name, { kind: "file", open: () => body });
    // The daemon follows an absolute link from the top of the archive.
    else if (header.typeflag === SYMLINK && mode === "docker" && header.linkname.startsWith("/"))
      members.set(name, { kind: "link", target: header.linkname });
    else if (header.typeflag === SYMLINK) members.set(name, symbolicLink(name, header.linkname));
    else if (header.typeflag === LINK) members.set(name, { kind: "link", target: header.linkname });
    else throw new ArchiveFault("E_TAR_TYPE", `${JSON.stringify(name)} is neither file nor folder`);
  }
  return linkedFiles(members);
}

/** A symbolic link by its own name and its text. */
export function symbolicLink(name: string, text: string): Member {
  return { kind: "link", target: text.startsWith("/") ? `../${text}` : `${name.slice(0, name.lastIndexOf("/") + 1)}${text}` };
}

/** Files and links by their names; a link leads to a name among them, or nowhere. */
export function linkedFiles(members: ReadonlyMap<string, Member>): ImageFiles {
  return {
    names: [...members.keys()].sort(),
    get: (name) => {
      let at = cleanPath(name);
      for (let links = 0; at !== undefined && links <= LINKS_MAX; links++) {
        const member = members.get(at);
        if (member === undefined) return undefined;
        if (member.kind === "file") return member.open();
        at = cleanPath(member.target);
      }
      throw new ArchiveFault("E_LAYER_ESCAPE", `${JSON.stringify(name)} is a link that leads nowhere`);
    },
  };
}

/** The bytes of a file that must be there. @param max - more are refused unread */
export function requireBytes(files: ImageFiles, name: string, max: number): Uint8Array {
  const content = files.get(name);
  if (content === undefined) throw new ArchiveFault("E_IMAGE_MISSING", `${JSON.stringify(name)} is not in the archive`);
  if (content.length > max) throw new ArchiveFault("E_LIMIT", `${JSON.stringify(name)} is longer than ${max} bytes`);
  return content.toBytes();
}

/** A file that must be there. */
export function requireFile(files: ImageFiles, name: string): Content {
  const content = files.get(name);
  if (content === undefined) throw new ArchiveFault("E_IMAGE_MISSING", `${JSON.stringify(name)} is not in the archive`);
  return content;
}
