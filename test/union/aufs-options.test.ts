/** The words of aufs's mount options one by one (aufs(5); fs/aufs/opts.c; spec/union.md part B, section 10). */
import { describe, expect, test } from "vitest";
import { type AufsOptions, type BranchPermission, parseOptions } from "../../sim/union/aufs/options.ts";
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
  ["nodio", { directIo: false }],
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
  ["rdcache=def", { listingSeconds: 10 }],
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
  ["noxino,trunc_xino,notrunc_xino,trunc_xib,trunc_xino_v,xib,noxib,warn_perm,nowarn_perm,verbose,noverbose", {}],
  ["v,quiet,q,silent,wsum", {}],
  ["itrunc_xino=1,trunc_xino_path=/x,context=c", {}],
  ["dirwh=1,rdblk=512,rdhash=def,plink_warn=3,fhsm_sec=30", {}],
];

const BAD = [
  ..."create= create=mfs: create=rr:1 create=mfs:x create=mfs:3601 create=mfsrr create=tdmfs create=pmfsrr create=pmfs:1:2".split(
    " ",
  ),
  ..."create=none xcreate=rr cpup=up xcpup=bu cpup=bux rdcache= rdcache=3601 rdcache=1x xrdcache=1 rdblk=x rdblk=1x xrdblk=1".split(
    " ",
  ),
  ..."xnoxino noxinox nonoxino xv vx itrunc_xino= xitrunc_xino=1 context= xcontext=c dirwh xdirwh=1 udba=all diropq= plin".split(
    " ",
  ),
  ..."xbr:/a brx:/a xadd:0:/a add:x:/a add:/a xappend:/a xdel:/a mod toString create=toString cpup=toString".split(" "),
];

describe("10: options", () => {
  test.each(OPTIONS)("%s", (words, options) => expect(parseOptions(words)).toMatchObject({ options, branches: [], changes: [] }));

  test.each(OPTIONS)("%s changes nothing else", (words, options) =>
    expect((parseOptions(words) as { options: Partial<AufsOptions> }).options).toEqual(options),
  );

  test.each(BAD)("%s is unknown", (word) =>
    expect(parseOptions(word)).toMatchObject({ errno: { code: "EINVAL" }, message: `aufs: unknown option ${word}` }),
  );

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
    ["rw+nolwh", { ...WRITABLE, unlinkedWhiteouts: true }],
    ["rw+moo", { ...WRITABLE, moveOnOpen: true }],
    ["rw+coo_reg", { ...WRITABLE, copyOnOpen: "coo_reg" }],
    ["ro+coo_all", { ...READ_ONLY, copyOnOpen: "coo_all" }],
    ["rw+icex", { ...WRITABLE, ignoredXattrs: new Set(CLASSES) }],
    ["rw+icexsec+icextr", { ...WRITABLE, ignoredXattrs: new Set(["security", "trusted"] as const) }],
    ["rw+icexsys+icexusr+icexoth", { ...WRITABLE, ignoredXattrs: new Set(["system", "user", "other"] as const) }],
  ])("%s", (words, permission) => {
    expect(parseOptions(`br:/a=${words}`)).toMatchObject({ branches: [{ path: "/a", permission }] });
  });

  test("are writable, the first, and read-only, where nothing is said; their list begins with br or dirs", () => {
    const branches = [
      { path: "/a", permission: WRITABLE },
      { path: "/b", permission: READ_ONLY },
      { path: "/c=d", permission: WRITABLE },
    ];
    for (const word of ["br:", "br=", "dirs:", "dirs="]) expect(parseOptions(`${word}/a:/b:/c=d=rw`)).toMatchObject({ branches });
  });

  test.each([
    ["add:1:/a=rw", { kind: "add", index: 1, branch: { path: "/a", permission: WRITABLE } }],
    ["ins=0:/a", { kind: "add", index: 0, branch: { path: "/a", permission: READ_ONLY } }],
    ["add:-1:/a", { kind: "add", index: -1, branch: { path: "/a", permission: READ_ONLY } }],
    ["append:/a", { kind: "add", index: undefined, branch: { path: "/a", permission: READ_ONLY } }],
    ["prepend=/a=rw", { kind: "add", index: 0, branch: { path: "/a", permission: WRITABLE } }],
    ["del:/a", { kind: "del", branch: { path: "/a", permission: READ_ONLY } }],
    ["mod=/a=rw", { kind: "mod", branch: { path: "/a", permission: WRITABLE } }],
  ])("%s changes them", (word, change) => {
    expect(parseOptions(`br:/x,${word}`)).toMatchObject({ changes: [change] });
    expect(parseOptions(word)).toMatchObject({ changes: [change], branches: [], options: {} });
  });

  test.each(["br:", "br:/a:", "br:/a::/b", "br:=rw", "append:", "del:", "add:0:"])("%s names none", (word) => {
    const message = `aufs: bad branches ${word.startsWith("br:") ? word.slice(3) : word}`;
    expect(parseOptions(word)).toMatchObject({ errno: { code: "EINVAL" }, message });
  });

  test.each([
    ["br:/b/a=rw:/b/file=ro", "/b/file is no directory"],
    ["br:/b/a=rw:/b/a=ro", "/b/a duplicated"],
    ["br:/b/a=rw:/b/a/in=ro", "/b/a/in is overlapped"],
    ["br:/b/a=rw:/m0=ro", "unsupported filesystem, /m0 (aufs)"],
    ["br:/b/ro=rw", "write permission for readonly mount or inode, /b/ro"],
    ["br:/b/a=rw,add:2:/b/c", "bad index 2"],
    ["br:/b/a=rw,add:-1:/b/c", "bad index -1"],
    ["br:/b/a=rw,del:/b/a", "no more branches left"],
    [`br:${Array(128).fill("/b/a").join(":")}`, "number of branches exceeded"],
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
