/** The words of aufs's mount options one by one (spec/union.md B.10; aufs(5); fs/aufs/fsctx.c, aufs_fsctx_paramspec, and opts.c, aufs 6.1). */
import { describe, expect, test } from "vitest";
import type { BranchPermission } from "../../sim/union/aufs/branch-words.ts";
import { type AufsOptions, parseOptions } from "../../sim/union/aufs/options.ts";
import { AufsLab, put } from "./aufs-lab.ts";

const OPTIONS: readonly (readonly [words: string, options: Partial<AufsOptions>])[] = [
  ["", {}],
  [",,plink,", { plink: true }],
  ["dirperm1", { dirperm1: true }],
  ["dirperm1,nodirperm1", { dirperm1: false }],
  ["noplink", { plink: false }],
  ["diropq=always", { alwaysOpaque: true }],
  ["diropq=a", { alwaysOpaque: true }],
  ["diropq=a,diropq=w", { alwaysOpaque: false }],
  ["diropq=whiteouted", { alwaysOpaque: false }],
  ["dio", { directIo: true }],
  ["nodio", {}],
  ["dio,nodio", { directIo: true }],
  ["shwh", { showWhiteouts: true }],
  ["noshwh", { showWhiteouts: false }],
  ["sum", { sum: true }],
  ["nosum", { sum: false }],
  ["dirren", { dirren: true }],
  ["nodirren", { dirren: false }],
  ["acl", { acl: true }],
  ["noacl", { acl: false }],
  ["udba=none", { udba: "none" }],
  ["udba=reval", { udba: "reval" }],
  ["udba=notify", { udba: "notify" }],
  ["udba=fsnotify", { udba: "notify" }],
  ["rdcache=5", { listingSeconds: 5 }],
  ["rdcache=0x10", { listingSeconds: 16 }],
  ["rdcache=-1", { listingSeconds: Number.POSITIVE_INFINITY }],
  ["sum,wsum", { sum: false }],
  ["rdcache=3600", { listingSeconds: 3600 }],
  ["create=tdp", { create: { kind: "tdp", seconds: 30, limit: 0 } }],
  ["create_policy=top-down-parent", { create: { kind: "tdp", seconds: 30, limit: 0 } }],
  ["create=rr", { create: { kind: "rr", seconds: 30, limit: 0 } }],
  ["create=round-robin", { create: { kind: "rr", seconds: 30, limit: 0 } }],
  ["create=mfs", { create: { kind: "mfs", seconds: 30, limit: 0 } }],
  ["create=most-free-space:7", { create: { kind: "mfs", seconds: 7, limit: 0 } }],
  ["create=mfsrr:100", { create: { kind: "mfsrr", seconds: 30, limit: 100 } }],
  ["create=mfsrr:100:3600", { create: { kind: "mfsrr", seconds: 3600, limit: 100 } }],
  ["create=tdmfs:5:6", { create: { kind: "tdmfs", seconds: 6, limit: 5 } }],
  ["create=pmfs:8", { create: { kind: "pmfs", seconds: 8, limit: 0 } }],
  ["create=pmfsrr:9:1", { create: { kind: "pmfsrr", seconds: 1, limit: 9 } }],
  ["cpup=tdp", { copyUp: "tdp" }],
  ["copyup=top-down-parent", { copyUp: "tdp" }],
  ["copyup_policy=bup", { copyUp: "bup" }],
  ["cpup=bottom-up-parent", { copyUp: "bup" }],
  ["cpup=bu", { copyUp: "bu" }],
  ["cpup=bottom-up", { copyUp: "bu" }],
  ["create=mfs:0x10", { create: { kind: "mfs", seconds: 16, limit: 0 } }],
  ["create=mfsrr:010:010", { create: { kind: "mfsrr", seconds: 8, limit: 8 } }],
  ["noxino,trunc_xino,notrunc_xino,trunc_xib,notrunc_xib,warn_perm,nowarn_perm,verbose,noverbose,v,quiet,q,silent", {}],
  ["context=c,dirwh=1,dirwh=-1,fhsm_sec=30", {}],
  ["rdblk=def,rdblk=0,rdblk=255,rdblk=4194304,rdhash=def,rdhash=0,rdhash=524288", {}],
  ["relatime,nodlgt,clean_plink,si=1,debug=0,delete=all,imap=x,=x", {}],
];

const POLICIES =
  "none tdp:1 mfs: rr:1 mfs:x mfs:-1 mfs:3601 mfsrr mfsrr:-1 tdmfs pmfsrr pmfs:1:2 toString mfs:99999999999 mfs:0x mfs:09";
const BAD: readonly (readonly [words: string, log: string])[] = [
  ..."xcreate=rr xcpup=bu xrdcache=1 xrdblk=1 xnoxino noxinox nonoxino xv vx xdirwh=1 xcontext=c plin toString".split(" "),
  ..."xbr:/a brx:/a xadd:0:/a xappend:/a dirs:/a dirs:/a=rw xib noxib trunc_xino_v plink_warn=3 trunc_xino_path=/x".split(" "),
  ..."nonoplink noudba list_plink norelatime".split(" "),
]
  .map((word): [string, string] => [word, `Unknown parameter '${word.split("=")[0]}'`])
  .concat(
    `create= cpup= create ${POLICIES.split(" ")
      .map((policy) => `create=${policy}`)
      .join(" ")} cpup=up cpup=bux cpup=toString`
      .split(" ")
      .concat("rdcache= rdcache rdcache=def rdcache=3601 rdcache=1x rdcache=2147483648 rdcache=-2147483649".split(" "))
      .concat("rdblk=x rdblk=1x rdblk=-1 rdblk=254 rdblk=4194305 rdhash=-1 rdhash=524289 rdhash".split(" "))
      .concat("dirwh dirwh=def dirwh=1.5 fhsm_sec=-1 debug=x itrunc_xino=x itrunc_xino= context= udba=all udba".split(" "))
      .concat("diropq= diropq=x br= br: br append= del: mod xino= si".split(" "))
      .map((word): [string, string] => [word, `Bad value for '${word.split(/[=:]/)[0]}'`]),
  )
  .concat(["plink=1", "v=1"].map((word): [string, string] => [word, `Unexpected value for '${word.split("=")[0]}'`]));

describe("10: options", () => {
  test.each(OPTIONS)("%s", (words, options) => expect(parseOptions(words)).toMatchObject({ options, changes: [] }));

  test.each(OPTIONS)("%s changes nothing else", (words, options) =>
    expect((parseOptions(words) as { options: Partial<AufsOptions> }).options).toEqual(options),
  );

  test.each(BAD)("%s is EINVAL: %s", (word, log) =>
    expect(parseOptions(word)).toMatchObject({ errno: { code: "EINVAL" }, message: `aufs: ${log}` }),
  );

  test("of maps to be cut tell which: by index or by path", () => {
    expect(parseOptions("itrunc_xino=1,trunc_xino=/x,trunc_xino")).toMatchObject({ cutMaps: [1, "/x"], options: {} });
  });

  test("where nothing is said", () => {
    const lab = new AufsLab();
    const { fs } = lab.enter(`br:${lab.branch("a")}`);
    expect(fs.aufs.options).toEqual({
      dirperm1: false,
      plink: true,
      alwaysOpaque: false,
      directIo: false,
      showWhiteouts: false,
      sum: false,
      dirren: false,
      acl: false,
      udba: undefined,
      listingSeconds: 10,
      create: { kind: "tdp", seconds: 30, limit: 0 },
      copyUp: "tdp",
    });
  });
});

const READ_ONLY: BranchPermission = {
  writable: false,
  whiteouts: false,
  unlinkedWhiteouts: false,
  copyOnOpen: "",
  moveOnOpen: false,
  ignoredXattrs: new Set(),
};
const WRITABLE: BranchPermission = { ...READ_ONLY, writable: true, whiteouts: true };
const CLASSES = ["security", "system", "trusted", "user", "other"] as const;

describe("10: branches", () => {
  test.each<readonly [string, BranchPermission]>([
    ["rw", WRITABLE],
    ["ro", READ_ONLY],
    ["rr", READ_ONLY],
    ["nonsense", READ_ONLY],
    ["nonsense+wh", READ_ONLY],
    ["ro+wh", { ...READ_ONLY, whiteouts: true }],
    ["rr+wh", { ...READ_ONLY, whiteouts: true }],
    ["ro+nolwh+moo", READ_ONLY],
    ["", READ_ONLY],
    ["rw+", WRITABLE],
    ["rw+wh", WRITABLE],
    ["rw+fhsm+unpin+nolwh", { ...WRITABLE, unlinkedWhiteouts: true }],
    // From an attribute that is not known on, none counts (br_attr_val).
    ["ro+wh+nonsense+coo_reg", { ...READ_ONLY, whiteouts: true }],
    ["ro+nonsense+wh", READ_ONLY],
    // Of those that exclude each other the last counts (AuBrAttr_CMOO_Mask).
    ["rw+coo_all+coo_reg", { ...WRITABLE, copyOnOpen: "coo_reg" }],
    ["rw+coo_all+moo", { ...WRITABLE, moveOnOpen: true }],
    ["ro+coo_all+moo", READ_ONLY],
    ["rw+moo+coo_all", { ...WRITABLE, copyOnOpen: "coo_all" }],
    ["rw+nolwh", { ...WRITABLE, unlinkedWhiteouts: true }],
    ["rw+moo", { ...WRITABLE, moveOnOpen: true }],
    ["rw+coo_reg", { ...WRITABLE, copyOnOpen: "coo_reg" }],
    ["ro+coo_all", { ...READ_ONLY, copyOnOpen: "coo_all" }],
    ["rw+icex", { ...WRITABLE, ignoredXattrs: new Set(CLASSES) }],
    ["rw+icexsec+icextr", { ...WRITABLE, ignoredXattrs: new Set(["security", "trusted"] as const) }],
    ["rw+icexsys+icexusr+icexoth", { ...WRITABLE, ignoredXattrs: new Set(["system", "user", "other"] as const) }],
  ])("%s", (words, permission) => {
    expect(parseOptions(`br:/a=${words}`)).toMatchObject({ changes: [{ branch: { path: "/a", permission } }] });
  });

  /** The paths that options add, by place, and which of them are writable. */
  const added = (words: string, readOnly = false): unknown => {
    const parsed = parseOptions(words, readOnly);
    if ("errno" in parsed) return parsed;
    return parsed.changes.map((change) => [
      change.kind === "add" ? change.index : change.kind,
      change.branch.path,
      change.branch.permission.writable ? "rw" : "ro",
    ]);
  };

  test("are writable at place 0, and read-only, where nothing is said; what stands behind the first = is the permission", () => {
    const branches = [
      [0, "/a", "rw"],
      [1, "/b", "ro"],
      [2, "/c", "ro"],
      [3, "/d", "rw"],
    ];
    for (const word of ["br:", "br=", "dirs="]) expect(added(`${word}/a:/b:/c=d=rw:/d=rw`)).toEqual(branches);
    expect(added("br:/a:/b=rw", true)).toEqual([
      [0, "/a", "ro"],
      [1, "/b", "rw"],
    ]);
  });

  test("of a second list go on behind those of the first; a list ends with a place that is empty (au_fsctx_parse_br)", () => {
    expect(added("br:/a:/b,br:/c")).toEqual([
      [0, "/a", "rw"],
      [1, "/b", "ro"],
      [2, "/c", "ro"],
    ]);
    expect([added("br:/a::/b"), added("br:/a:")]).toEqual([[[0, "/a", "rw"]], [[0, "/a", "rw"]]]);
    expect(added("br::/a")).toMatchObject({ errno: { code: "EINVAL" }, message: "aufs: bad branches :/a" });
  });

  test.each([
    ["add:1:/a=rw", [1, "/a", "rw"]],
    ["add:0x1:/a=rw", [1, "/a", "rw"]],
    ["ins=0:/a", [0, "/a", "rw"]],
    ["add:-1:/a", [-1, "/a", "ro"]],
    ["append:/a", [undefined, "/a", "ro"]],
    ["prepend=/a", [0, "/a", "rw"]],
    ["prepend=/a=ro", [0, "/a", "ro"]],
    ["del:/a=b", ["del", "/a=b", "ro"]],
    ["mod=/a=rw", ["mod", "/a", "rw"]],
  ])("%s changes them", (word, change) => {
    expect(added(`br:/x,${word}`)).toEqual([[0, "/x", "rw"], change]);
    expect(added(word)).toEqual([change]);
  });

  test.each([
    ["add:/a", "bad arg in /a"],
    ["add:x:/a", "bad integer in x"],
    ["ins::/a", "bad integer in "],
    ["mod:/a", "no permission /a"],
  ])("%s is EINVAL: %s", (word, log) => {
    expect(parseOptions(word)).toMatchObject({ errno: { code: "EINVAL" }, message: `aufs: ${log}` });
  });

  test.each([
    ["br:/b/a=rw:/b/file=ro", "lookup failed /b/file (-20)"],
    ["br:/b/a=rw:/none=ro", "lookup failed /none (-2)"],
    ["br:=rw", "lookup failed  (-2)"],
    ["br:/b/a=rw:/b/a=ro", "/b/a duplicated"],
    ["br:/b/a=rw:/b/a/in=ro", "/b/a/in is overlapped"],
    ["br:/b/a=rw:/m0=ro", "unsupported filesystem, /m0 (aufs)"],
    ["br:/b/ro=rw", "write permission for readonly mount or inode, /b/ro"],
    ["br:/b/a=rw,add:2:/b/c", "bad index 2"],
    ["br:/b/a=rw,add:-1:/b/c", "bad index -1"],
    ["br:/b/a=rw,del:/b/a", "no more branches left"],
    ["br:/b/a=rw,del:/b/c", "/b/c no such branch"],
    ["br:/b/a=rw,mod:/b/c=rw", "/b/c no such branch"],
    ["br:/b/a=rw,add:127:/b/c", "number of branches exceeded"],
    ["br:/b/a=rw,itrunc_xino=0", "out of bounds, 0"],
    ["br:/b/a=rw,trunc_xino=/b/a", "no such branch /b/a"],
    [`br:${Array(128).fill("/b/a").join(":")}`, "/b/a duplicated"],
    ["dirperm1", "no branches"],
  ])("%s is refused in the kernel's words", (options, text) => {
    const lab = new AufsLab();
    lab.enter(`br:${lab.branch("b")}=rw`);
    lab.branch("a", { "in/": "" });
    lab.branch("c");
    lab.branch("ro");
    put(lab.task, "/b/file", "");
    expect(lab.host.mount({ type: "tmpfs", source: "t", target: "/b/ro", options: "ro" })).toBeUndefined();
    expect(lab.tryMount(options)).toMatchObject({ message: `aufs: ${text}` });
  });

  test("the map of inode numbers has a path of its own", () => {
    expect(parseOptions("br:/a,xino=/x/y")).toMatchObject({ xino: "/x/y", options: {} });
    expect(parseOptions("br:/a")).toMatchObject({ xino: undefined });
  });
});
