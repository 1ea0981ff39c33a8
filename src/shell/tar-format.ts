/**
 * The format that GNU tar 1.34 writes (its "gnu": oldgnu headers, long names in members of their own), and reads of the others what a member is:
 * ustar's prefix and pax's path, linkpath, size and mtime.
 *
 * Interface: names of users and groups are left empty, as tar leaves them where no /etc/passwd tells any.
 */
import type { Time } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { deviceNumber, majorOf, minorOf } from "../../sim/core/units.ts";
import { BLOCK, checksumOf, FIELDS, type Field } from "../archive/tar-header.ts";
import { paddingOf } from "../archive/tar-write.ts";

const GNU_MAGIC = "ustar  \0";
const LONG_NAME = "././@LongLink";

/** "0" a file, "1" a hard link, "2" a symbolic one, "3" and "4" devices, "5" a directory, "6" a pipe. */
export type MemberType = "0" | "1" | "2" | "3" | "4" | "5" | "6";

export interface Member {
  readonly type: MemberType;
  readonly name: string;
  readonly link: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: Time;
  readonly rdev: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function put(header: Uint8Array, { at, length }: Field, text: string): void {
  header.set(encoder.encode(text).subarray(0, length), at);
}

/** Octal digits and a NUL; what has more digits is a big-endian number behind 0x80. */
function putNumber(header: Uint8Array, field: Field, value: number): void {
  const { at, length } = field;
  const digits = value.toString(8).padStart(length - 1, "0");
  if (value >= 0 && digits.length < length) {
    put(header, field, digits);
    return;
  }
  let rest = BigInt(value);
  for (let place = length - 1; place > 0; place--) {
    header[at + place] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  header[at] = value < 0 ? 0xff : 0x80;
}

function headerBlock(member: Member, type: string): Uint8Array {
  const header = new Uint8Array(BLOCK);
  put(header, FIELDS.name, member.name);
  putNumber(header, FIELDS.mode, member.mode & 0o7777);
  putNumber(header, FIELDS.uid, member.uid);
  putNumber(header, FIELDS.gid, member.gid);
  putNumber(header, FIELDS.size, member.size);
  putNumber(header, FIELDS.mtime, member.mtime.seconds);
  put(header, FIELDS.typeflag, type);
  put(header, FIELDS.linkname, member.link);
  put(header, FIELDS.magic, GNU_MAGIC);
  if (type === "3" || type === "4") {
    putNumber(header, FIELDS.major, majorOf(member.rdev));
    putNumber(header, FIELDS.minor, minorOf(member.rdev));
  }
  put(header, FIELDS.checksum, `${checksumOf(header).unsigned.toString(8).padStart(6, "0")}\0 `);
  return header;
}

/** A member's last piece, up to the end of its block. @param size - bytes of the whole member */
export function padded(content: Content, size: number): Content {
  const padding = paddingOf(size);
  return padding === 0 ? content : Content.concat([content, Content.zeros(padding)]);
}

/** What stands before a member's data: its header, and where a name is too long, a member with that before it. */
export function headerOf(member: Member): Content {
  const parts: Content[] = [];
  const long = (text: string, type: string): void => {
    const bytes = encoder.encode(text);
    if (bytes.length <= FIELDS.name.length) return;
    const data = Content.concat([Content.literal(bytes), Content.zeros(1)]);
    const about = { ...member, name: LONG_NAME, link: "", mode: 0o644, uid: 0, gid: 0, size: data.length };
    const header = headerBlock({ ...about, mtime: secondsTime(0) }, type);
    parts.push(Content.literal(header), padded(data, data.length));
  };
  long(member.link, "K");
  long(member.name, "L");
  parts.push(Content.literal(headerBlock(member, member.type)));
  return Content.concat(parts);
}

/** A header as it is read: a member's, or one that tells of the next. */
export interface ReadHeader {
  readonly type: string;
  readonly member: Member;
}

function textIn(header: Uint8Array, { at, length }: Field): string {
  const bytes = header.subarray(at, at + length);
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function numberIn(header: Uint8Array, field: Field): number {
  const { at, length } = field;
  const first = header[at] ?? 0;
  if (first < 0x80) return Number.parseInt(textIn(header, field).trim() || "0", 8);
  let value = BigInt(first === 0xff ? -1 : first & 0x7f);
  for (let place = 1; place < length; place++) value = (value << 8n) | BigInt(header[at + place] ?? 0);
  return Number(value);
}

/** Reads a block. @returns "end" for one of zeros, undefined for what is no header */
export function readHeader(header: Uint8Array): ReadHeader | "end" | undefined {
  if (header.every((byte) => byte === 0)) return "end";
  if (numberIn(header, FIELDS.checksum) !== checksumOf(header).unsigned) return undefined;
  const isUstar = textIn(header, FIELDS.magic) === "ustar";
  const prefix = isUstar ? textIn(header, FIELDS.prefix) : "";
  const name = textIn(header, FIELDS.name);
  const type = textIn(header, FIELDS.typeflag) || "0";
  const isOld = type === "0" && name.endsWith("/");
  const member: Member = {
    type: (isOld ? "5" : type) as MemberType,
    name: prefix === "" ? name : `${prefix}/${name}`,
    link: textIn(header, FIELDS.linkname),
    mode: numberIn(header, FIELDS.mode) & 0o7777,
    uid: numberIn(header, FIELDS.uid),
    gid: numberIn(header, FIELDS.gid),
    size: numberIn(header, FIELDS.size),
    mtime: secondsTime(numberIn(header, FIELDS.mtime)),
    rdev: type === "3" || type === "4" ? deviceNumber(numberIn(header, FIELDS.major), numberIn(header, FIELDS.minor)) : 0,
  };
  return { type: member.type, member };
}

function secondsTime(seconds: number): Time {
  return { seconds, nanoseconds: 0 };
}

/** What a member before another says of it: "K" and "L" of GNU, "x" of pax. */
export function toldOfNext(type: string, data: string): Partial<Member> {
  if (type === "L") return { name: data.replace(/\0.*$/s, "") };
  if (type === "K") return { link: data.replace(/\0.*$/s, "") };
  const told: { name?: string; link?: string; size?: number; mtime?: Time } = {};
  for (const [, key, value = ""] of data.matchAll(/\d+ ([^=]+)=([^\n]*)\n/g)) {
    if (key === "path") told.name = value;
    else if (key === "linkpath") told.link = value;
    else if (key === "size") told.size = Number(value);
    else if (key === "mtime") told.mtime = secondsTime(Math.floor(Number(value)));
  }
  return told;
}
