/**
 * Every property of filesystems and snapshots that zfs(8) shows, in the order in which it does (module/zcommon/zfs_prop.c, zfs_prop_init; OpenZFS 2.1.11): what is
 * above its column, who sets it, what may stand, and what stands where nobody has set it.
 */

/** A property's kind of value: one of a list, a number, or any text. */
type ValueKind = "choice" | "number" | "text";
/**
 * Who has a value from where (zprop_attr_t): children "inherit" it; it is a dataset's "own"; the pool tells it and nobody sets it ("readonly"); or it is given "once",
 * when the filesystem is made.
 */
type Attribute = "inherit" | "own" | "readonly" | "once";

export interface Property {
  readonly name: string;
  readonly heading: string;
  readonly attribute: Attribute;
  /** What has it: filesystems (f), snapshots (s), volumes (v), of which there are none here. */
  readonly of: string;
  readonly kind: ValueKind;
  /** What stands where nobody has set it; undefined: nothing. */
  readonly initial: string | undefined;
  /** What may stand, in the tool's words. */
  readonly values: string;
  /** Each word that may stand, and what it is shown as: another word for the same may come first in the tool's list. */
  readonly choices: ReadonlyMap<string, string>;
}

type Traits = readonly [heading: string, attribute: Attribute, of: string, initial?: string];

const NO_CHOICES: ReadonlyMap<string, string> = new Map();

function number(name: string, [heading, attribute, of, initial]: Traits, values = "<size>"): Property {
  return { name, heading, attribute, of, kind: "number", initial, values, choices: NO_CHOICES };
}
function text(name: string, [heading, attribute, of, initial]: Traits, values: string): Property {
  return { name, heading, attribute, of, kind: "text", initial, values, choices: NO_CHOICES };
}
/** @param values - in the tool's words; also the words themselves, where `words` are not given. "old=new" is a word for another one. */
function choice(
  name: string,
  [heading, attribute, of, initial]: Traits,
  values: string,
  words: readonly string[] = values.split(" | "),
): Property {
  const choices = new Map(words.map((word) => word.split("=") as [string, string?]).map(([word, same = word]) => [word, same]));
  return { name, heading, attribute, of, kind: "choice", initial, values, choices };
}
/** One that is on or off. */
function toggle(name: string, heading: string, initial: "on" | "off", of = "f"): Property {
  return choice(name, [heading, "inherit", of, initial], "on | off");
}

const numbers = (from: number, to: number, stem: string): string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => `${stem}${from + at}`);

const GZIP = ["gzip", "gzip-6=gzip", ...numbers(1, 5, "gzip-"), ...numbers(7, 9, "gzip-")];
const FAST = [
  ...numbers(2, 10, "zstd-fast-"),
  ...[20, 30, 40, 50, 60, 70, 80, 90, 100, 500, 1000].map((level) => `zstd-fast-${level}`),
];
const COMPRESSIONS = [
  ...["on", "off", "lzjb", ...GZIP, "zle", "lz4", "zstd", "zstd-fast", "zstd-fast-1=zstd-fast"],
  ...[...numbers(1, 19, "zstd-"), ...FAST],
];
const COMPRESSION_WORDS =
  "on | off | lzjb | gzip | gzip-[1-9] | zle | lz4 | zstd | zstd-[1-19] | zstd-fast | zstd-fast-[1-10,20,30,40,50,60,70,80,90,100,500,1000]";
const DEDUP_WORDS = "on | off | verify | sha256[,verify] | sha512[,verify] | skein[,verify] | edonr,verify";
const DEDUPS = [
  ...["on", "off", "verify"],
  ...["sha256", "sha256,verify", "sha512", "sha512,verify", "skein", "skein,verify", "edonr,verify"],
];
const CHECKSUMS = "on | off | fletcher2 | fletcher4 | sha256 | sha512 | skein | edonr";
const ACL_TYPES = ["off", "nfsv4", "posix", "disabled=off", "noacl=off", "posixacl=posix"];
const ACL_INHERITANCES = "discard | noallow | restricted | passthrough | passthrough-x";
const VERSIONS = "1 | 2 | 3 | 4 | 5 | current";
const RATIO = "<1.00x or higher if compressed>";
/** What a count says that nobody keeps, and a limit that nobody has set. */
export const NO_COUNT = "18446744073709551615";

const ALL: readonly Property[] = [
  text("type", ["TYPE", "readonly", "fsv"], "filesystem | volume | snapshot | bookmark"),
  number("creation", ["CREATION", "readonly", "fsv"], "<date>"),
  number("used", ["USED", "readonly", "fsv"]),
  number("available", ["AVAIL", "readonly", "fv"]),
  number("referenced", ["REFER", "readonly", "fsv"]),
  number("compressratio", ["RATIO", "readonly", "fsv"], RATIO),
  choice("mounted", ["MOUNTED", "readonly", "f"], "yes | no"),
  text("origin", ["ORIGIN", "readonly", "fv"], "<snapshot>"),
  number("quota", ["QUOTA", "own", "f", "0"], "<size> | none"),
  number("reservation", ["RESERV", "own", "fv", "0"], "<size> | none"),
  number("volsize", ["VOLSIZE", "own", "v"]),
  number("volblocksize", ["VOLBLOCK", "once", "v"], "512 to 128k, power of 2"),
  number("recordsize", ["RECSIZE", "inherit", "f", "131072"], "512 to 1M, power of 2"),
  text("mountpoint", ["MOUNTPOINT", "inherit", "f", ""], "<path> | legacy | none"),
  text("sharenfs", ["SHARENFS", "inherit", "f", "off"], "on | off | NFS share options"),
  choice("checksum", ["CHECKSUM", "inherit", "fv", "on"], CHECKSUMS),
  choice("compression", ["COMPRESS", "inherit", "fv", ""], COMPRESSION_WORDS, COMPRESSIONS),
  toggle("atime", "ATIME", "on"),
  toggle("devices", "DEVICES", "on", "fs"),
  toggle("exec", "EXEC", "on", "fs"),
  toggle("setuid", "SETUID", "on", "fs"),
  toggle("readonly", "RDONLY", "off", "fv"),
  toggle("zoned", "ZONED", "off"),
  choice("snapdir", ["SNAPDIR", "inherit", "f", "hidden"], "hidden | visible"),
  choice("aclmode", ["ACLMODE", "inherit", "f", "discard"], "discard | groupmask | passthrough | restricted"),
  choice("aclinherit", ["ACLINHERIT", "inherit", "f", "restricted"], ACL_INHERITANCES, [
    ...ACL_INHERITANCES.split(" | "),
    "secure=restricted",
  ]),
  number("createtxg", ["CREATETXG", "readonly", "fsv"], "<uint64>"),
  choice("canmount", ["CANMOUNT", "own", "f", "on"], "on | off | noauto"),
  choice("xattr", ["XATTR", "inherit", "fs", "on"], "on | off | dir | sa", ["on", "off", "dir=on", "sa"]),
  choice("copies", ["COPIES", "inherit", "fv", "1"], "1 | 2 | 3"),
  choice("version", ["VERSION", "own", "fs", "5"], VERSIONS, [...VERSIONS.split(" | ").slice(0, -1), "current=5"]),
  choice("utf8only", ["UTF8ONLY", "once", "fs", "off"], "on | off"),
  choice("normalization", ["NORMALIZATION", "once", "fs", "none"], "none | formC | formD | formKC | formKD"),
  choice("casesensitivity", ["CASE", "once", "fs", "sensitive"], "sensitive | insensitive | mixed"),
  toggle("vscan", "VSCAN", "off"),
  toggle("nbmand", "NBMAND", "off", "fs"),
  text("sharesmb", ["SHARESMB", "inherit", "f", "off"], "on | off | SMB share options"),
  number("refquota", ["REFQUOTA", "own", "f", "0"], "<size> | none"),
  number("refreservation", ["REFRESERV", "own", "fv", "0"], "<size> | none"),
  number("guid", ["GUID", "readonly", "fsv"], "<uint64>"),
  choice("primarycache", ["PRIMARYCACHE", "inherit", "fsv", "all"], "all | none | metadata"),
  choice("secondarycache", ["SECONDARYCACHE", "inherit", "fsv", "all"], "all | none | metadata"),
  number("usedbysnapshots", ["USEDSNAP", "readonly", "fv"]),
  number("usedbydataset", ["USEDDS", "readonly", "fv"]),
  number("usedbychildren", ["USEDCHILD", "readonly", "fv"]),
  number("usedbyrefreservation", ["USEDREFRESERV", "readonly", "fv"]),
  choice("defer_destroy", ["DEFER_DESTROY", "readonly", "s"], "yes | no"),
  number("userrefs", ["USERREFS", "readonly", "s"], "<count>"),
  choice("logbias", ["LOGBIAS", "inherit", "fv", "latency"], "latency | throughput"),
  number("objsetid", ["OBJSETID", "readonly", "fsv"], "<uint64>"),
  choice("dedup", ["DEDUP", "inherit", "fv", "off"], DEDUP_WORDS, DEDUPS),
  text("mlslabel", ["MLSLABEL", "inherit", "fsv", "none"], "<sensitivity label>"),
  choice("sync", ["SYNC", "inherit", "fv", "standard"], "standard | always | disabled"),
  choice("dnodesize", ["DNSIZE", "inherit", "f", "legacy"], "legacy | auto | 1k | 2k | 4k | 8k | 16k"),
  number("refcompressratio", ["REFRATIO", "readonly", "fsv"], RATIO),
  number("written", ["WRITTEN", "readonly", "fsv"]),
  text("clones", ["CLONES", "readonly", "s"], "<dataset>[,...]"),
  number("logicalused", ["LUSED", "readonly", "fv"]),
  number("logicalreferenced", ["LREFER", "readonly", "fsv"]),
  choice("volmode", ["VOLMODE", "inherit", "fv", "default"], "default | full | geom | dev | none", [
    ...["default", "full", "geom=full", "dev", "none"],
  ]),
  number("filesystem_limit", ["FSLIMIT", "own", "f", NO_COUNT], "<count> | none"),
  number("snapshot_limit", ["SSLIMIT", "own", "fv", NO_COUNT], "<count> | none"),
  number("filesystem_count", ["FSCOUNT", "readonly", "f", NO_COUNT], "<count>"),
  number("snapshot_count", ["SSCOUNT", "readonly", "fv", NO_COUNT], "<count>"),
  choice("snapdev", ["SNAPDEV", "inherit", "fv", "hidden"], "hidden | visible"),
  choice("acltype", ["ACLTYPE", "inherit", "fs", "off"], "off | nfsv4 | posix", ACL_TYPES),
  text("context", ["CONTEXT", "own", "fsv", "none"], "<selinux context>"),
  text("fscontext", ["FSCONTEXT", "own", "fsv", "none"], "<selinux fscontext>"),
  text("defcontext", ["DEFCONTEXT", "own", "fsv", "none"], "<selinux defcontext>"),
  text("rootcontext", ["ROOTCONTEXT", "own", "fsv", "none"], "<selinux rootcontext>"),
  toggle("relatime", "RELATIME", "off"),
  choice("redundant_metadata", ["REDUND_MD", "inherit", "fv", "all"], "all | most | some | none"),
  toggle("overlay", "OVERLAY", "on"),
  text("receive_resume_token", ["RESUMETOK", "readonly", "fv"], "<string token>"),
  choice("encryption", ["ENCRYPTION", "once", "fsv", "off"], "on | off"),
  text("keylocation", ["KEYLOCATION", "own", "fv", "none"], "prompt | <file URI> | <https URL> | <http URL>"),
  choice("keyformat", ["KEYFORMAT", "once", "fv", "none"], "none | raw | hex | passphrase"),
  number("pbkdf2iters", ["PBKDF2ITERS", "once", "fv", "0"], "<iters>"),
  text("encryptionroot", ["ENCROOT", "readonly", "fsv"], "<filesystem | volume>"),
  choice("keystatus", ["KEYSTATUS", "readonly", "fsv"], "none | unavailable | available"),
  number("special_small_blocks", ["SPECIAL_SMALL_BLOCKS", "inherit", "f", "0"], "zero or 512 to 1M, power of 2"),
  text("redact_snaps", ["RSNAPS", "readonly", "fsv"], "<snapshot>[,...]"),
];

/** Properties by name, in their order. */
export const PROPERTIES: ReadonlyMap<string, Property> = new Map(ALL.map((property) => [property.name, property]));

/** The short names of properties are what is above their columns. */
const BY_HEADING: ReadonlyMap<string, Property> = new Map(ALL.map((property) => [property.heading.toLowerCase(), property]));

/** A property by its name, or by what is above its column (zprop_name_to_prop). "name" is none. */
export function findProperty(word: string): Property | undefined {
  return PROPERTIES.get(word) ?? BY_HEADING.get(word);
}
