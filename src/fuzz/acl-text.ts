/**
 * An access control list as a script's xattr value has it.
 */
import { type AclEntry, aclBytes } from "../../sim/vfs/posix-acl.ts";

/** The letters of an entry, and its tag without an id and with one. */
const TAGS: Readonly<Record<string, readonly [tag: number, named: number]>> = { u: [1, 2], g: [4, 8], m: [16, 16], o: [32, 32] };

/**
 * The value's bytes as a text of as many letters.
 * @param list - as setfacl(1) takes it: entries such as `u::rw-` or `g:100:r-x`, with commas between; ids below 128.
 */
export function aclText(list: string): string {
  const entries = list.split(",").map((text): AclEntry => {
    const [letter = "", id = "", letters = ""] = text.split(":");
    const [tag, named] = TAGS[letter] ?? [0, 0];
    const permissions = (letters[0] === "r" ? 4 : 0) | (letters[1] === "w" ? 2 : 0) | (letters[2] === "x" ? 1 : 0);
    return id === "" ? { tag, permissions, id: 0 } : { tag: named, permissions, id: Number(id) };
  });
  return String.fromCharCode(...aclBytes(entries));
}
