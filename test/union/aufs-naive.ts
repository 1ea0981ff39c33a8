/**
 * A naive model of aufs: every call looks at the branches anew and does to them, one step after the other, what fs/aufs does (dentry.c, i_op_add.c,
 * i_op_del.c, i_op_ren.c, wbr_policy.c, vdir.c and dir.c; aufs 6.1), knowing nothing from before. A folder hides what lies below its topmost mark
 * (spec/union.md B.12). Left out: attributes, hard links, exchanges, and folders that are copied down.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { S_IFDIR, S_IFIFO, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { must, put } from "./aufs-lab.ts";

/** What a call fails with. */
export class Refused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** What the source leaves to luck, or this model does not know. */
export class Unknown extends Error {}

/** What a lookup makes of a name. */
interface Dentry {
  readonly path: string;
  /** What each branch has: a type, or 0 where the topmost branch of its folder has nothing. */
  readonly found: Map<number, number>;
  top: number;
  bottom: number;
  whiteout: number;
  opaque: number;
  /** 0 where the name is absent. */
  type: number;
}

export interface ModelBranch {
  readonly path: string;
  readonly permission: "rw" | "ro+wh" | "ro";
}

const isWhiteout = (name: string): boolean => name.length > 4 && name.startsWith(".wh.");

export class NaiveAufs {
  readonly #task: Task;
  readonly #branches: readonly ModelBranch[];
  #aside = 0;

  constructor(task: Task, branches: readonly ModelBranch[]) {
    this.#task = task;
    this.#branches = branches;
  }

  make(path: string, type: number): void {
    const [parent, name] = this.#parentOf(path);
    const dentry = this.#lookup(parent, name);
    if (dentry.type !== 0) throw new Refused("EEXIST");
    const branch = this.#topDownParent(parent, parent.top);
    this.#bring(parent, branch);
    const at = this.#at(branch, path);
    if (this.#typeAt(at) !== 0) throw new Refused("EIO");
    this.#makeRaw(at, type);
    if (dentry.whiteout !== branch) return;
    if (type === S_IFDIR) put(this.#task, `${at}/.wh..wh..opq`, "");
    must(this.#task.unlink(this.#whiteoutAt(branch, parent, name)));
  }

  unlink(path: string): void {
    this.#remove(path, (dentry) => {
      if (dentry.type === S_IFDIR) throw new Refused("EISDIR");
    });
  }

  rmdir(path: string): void {
    this.#remove(path, (dentry) => {
      if (dentry.type !== S_IFDIR) throw new Refused("ENOTDIR");
      if (!this.#isEmpty(dentry, 0)) throw new Refused("ENOTEMPTY");
    });
  }

  #remove(path: string, check: (dentry: Dentry) => void): void {
    const [parent, name] = this.#parentOf(path);
    const dentry = this.#lookup(parent, name);
    if (dentry.type === 0) throw new Refused("ENOENT");
    check(dentry);
    if (!this.#isWritable(dentry.top)) {
      const branch = this.#topDownParent(parent, dentry.top);
      this.#bring(parent, branch);
      this.#whiteOut(branch, parent, name);
      return;
    }
    if (this.#showsBelow(parent, name, dentry)) this.#whiteOut(dentry.top, parent, name);
    const at = this.#at(dentry.top, path);
    if (dentry.type === S_IFDIR) this.#clearAway(at);
    else must(this.#task.unlink(at));
  }

  /** Copies up, as any change of attributes does. */
  touch(path: string): void {
    const dentry = this.#walk(path);
    if (dentry.type === 0) throw new Refused("ENOENT");
    const [parent] = this.#parentOf(path);
    if (!this.#isWritable(dentry.top)) this.#copyUp(dentry, parent, this.#topDownParent(parent, dentry.top));
  }

  typeOf(path: string): number {
    const { type } = this.#walk(path);
    if (type === 0) throw new Refused("ENOENT");
    return type;
  }

  /** In the order of the branches and of their own folders. */
  list(path: string): string[] {
    const folder = this.#walk(path);
    if (folder.type === 0) throw new Refused("ENOENT");
    if (folder.type !== S_IFDIR) throw new Refused("ENOTDIR");
    const [hidden, listed] = [new Set<string>(), new Set<string>()];
    const among = this.#folders(folder);
    for (const branch of among) {
      const heeds = this.#heeds(branch) && branch !== among.at(-1);
      for (const name of this.#names(this.#at(branch, path))) {
        if (!isWhiteout(name)) {
          if (!hidden.has(name)) listed.add(name);
        } else if (heeds) hidden.add(name.slice(4));
      }
    }
    return [...listed];
  }

  rename(path: string, toPath: string): void {
    const [[parent, name], [toParent, toName]] = [this.#parentOf(path), this.#parentOf(toPath)];
    const source = this.#lookup(parent, name);
    if (source.type === 0) throw new Refused("ENOENT");
    const target = this.#lookup(toParent, toName);
    if (toPath.startsWith(`${path}/`)) throw new Refused("EINVAL");
    if (path.startsWith(`${toPath}/`)) throw new Refused("ENOTEMPTY");
    if (path === toPath) return;
    const isFolder = source.type === S_IFDIR;
    if (target.type !== 0 && isFolder !== (target.type === S_IFDIR)) throw new Refused(isFolder ? "ENOTDIR" : "EISDIR");
    const branch = this.#renameBranch(source, target, toParent);
    this.#bring(toParent, branch);
    if (target.type === 0 && this.#typeAt(this.#at(branch, toPath)) !== 0) throw new Refused("EIO");
    if (isFolder) this.#checkFolders(source, target, branch);
    const covered = source.top !== branch || this.#showsBelow(parent, name, source);
    this.#copyUp(source, parent, branch);
    if (covered) this.#whiteOut(branch, parent, name);
    const overWhiteout = target.type === 0 && target.whiteout === branch;
    if (target.type === S_IFDIR && target.top === branch) this.#clearAway(this.#at(branch, toPath));
    must(this.#task.rename(this.#at(branch, path), this.#at(branch, toPath)));
    const hides = overWhiteout || branch <= target.opaque || (target.type !== 0 && branch < target.bottom);
    if (isFolder && source.opaque !== branch && hides) this.#leave(`${this.#at(branch, toPath)}/.wh..wh..opq`);
    if (overWhiteout) must(this.#task.unlink(this.#whiteoutAt(branch, toParent, toName)));
  }

  /** au_ren_wbr */
  #renameBranch(source: Dentry, target: Dentry, toParent: Dentry): number {
    const wanted = target.type !== 0 ? Math.min(target.top, source.top) : source.top;
    const isHidden = [toParent.opaque, target.whiteout].some((branch) => branch >= 0 && branch < wanted);
    if (this.#isWritable(wanted) && !isHidden) return wanted;
    const top = Math.min(target.top, source.top);
    const branch = this.#isWritable(top) ? top : this.#topDownParent(toParent, target.top);
    if (branch > source.top) throw new Unknown("a rename below its source");
    return branch;
  }

  /** au_ren_may_dir */
  #checkFolders(source: Dentry, target: Dentry, branch: number): void {
    if (target.type !== 0 && !this.#isEmpty(target, 0)) throw new Refused("ENOTEMPTY");
    if (source.top !== branch ? !this.#isEmpty(source, 0) : this.#tailOf(source) !== branch && !this.#isEmpty(source, 1)) {
      throw new Refused("EXDEV");
    }
  }

  /** au_lkup_dentry. @param known - from which branch on to look for what a known name covers (au_wr_dir_need_wh) */
  #lookup(parent: Dentry, name: string, known?: { readonly dentry: Dentry; readonly from: number }): Dentry {
    const dentry =
      known === undefined ? absent(`${parent.path}/${name}`) : { ...known.dentry, found: new Map(known.dentry.found) };
    let takesNothing = known === undefined;
    let type = 0;
    let hits = 0;
    for (let branch = known?.from ?? 0; branch <= this.#tailOf(parent); branch++) {
      if (dentry.found.has(branch)) {
        hits += 1;
        break;
      }
      if (parent.found.get(branch) !== S_IFDIR) continue;
      const got = this.#lookupOn(branch, dentry, {
        parent,
        name,
        takesNothing,
        type,
        isKnownFile: known !== undefined && dentry.type !== S_IFDIR,
      });
      if (got !== undefined) takesNothing = false;
      if (dentry.whiteout === branch) break;
      if (got === undefined || got === 0) continue;
      hits += 1;
      if (type === 0) type = got;
      if (type !== S_IFDIR || (dentry.opaque >= 0 && dentry.opaque <= branch)) break;
    }
    if (dentry.top < 0) throw new Refused("EIO");
    if (known !== undefined) return { ...dentry, type: hits };
    dentry.type = type;
    if (type !== 0) {
      for (const [branch, got] of dentry.found) if (got === 0) dentry.found.delete(branch);
      dentry.top = Math.min(...dentry.found.keys());
    }
    return dentry;
  }

  /** au_do_lookup. @returns the type, 0 for nothing where that is taken, undefined for nothing that counts */
  #lookupOn(branch: number, dentry: Dentry, asked: Asked): number | undefined {
    const { parent, name, takesNothing, type } = asked;
    const at = `${this.#at(branch, parent.path)}/${name}`;
    const isHidden = this.#heeds(branch) && this.#isMarked(this.#whiteoutAt(branch, parent, name));
    if (isHidden) {
      dentry.whiteout = branch;
      if (!takesNothing) return undefined;
    }
    const got = this.#typeAt(at);
    if (got === 0 ? !takesNothing : isHidden || (type !== 0 && type !== got)) return undefined;
    dentry.bottom = Math.max(dentry.bottom, branch);
    if (dentry.top < 0 || branch < dentry.top) dentry.top = branch;
    dentry.found.set(branch, got);
    if (got === S_IFDIR && this.#heeds(branch) && !asked.isKnownFile && this.#isMarked(`${at}/.wh..wh..opq`))
      dentry.opaque = branch;
    return got;
  }

  #showsBelow(parent: Dentry, name: string, dentry: Dentry): boolean {
    return this.#lookup(parent, name, { dentry, from: dentry.top + 1 }).type > 0;
  }

  #walk(path: string): Dentry {
    let dentry = this.#root();
    for (const name of path.split("/").filter((part) => part !== "")) {
      if (dentry.type !== S_IFDIR) throw new Refused(dentry.type === 0 ? "ENOENT" : "ENOTDIR");
      dentry = this.#lookup(dentry, name);
    }
    return dentry;
  }

  #parentOf(path: string): [Dentry, string] {
    const slash = path.lastIndexOf("/");
    const parent = this.#walk(path.slice(0, slash));
    if (parent.type !== S_IFDIR) throw new Refused(parent.type === 0 ? "ENOENT" : "ENOTDIR");
    return [parent, path.slice(slash + 1)];
  }

  #root(): Dentry {
    const last = this.#branches.length - 1;
    const found = new Map(this.#branches.map((_, branch) => [branch, S_IFDIR]));
    return { path: "", found, top: 0, bottom: last, whiteout: -1, opaque: -1, type: S_IFDIR };
  }

  /** au_dbtaildir */
  #tailOf({ bottom, opaque }: Dentry): number {
    return opaque >= 0 && opaque < bottom ? opaque : bottom;
  }

  #folders(folder: Dentry): number[] {
    return [...folder.found]
      .filter(([branch, type]) => type === S_IFDIR && branch <= this.#tailOf(folder))
      .map(([branch]) => branch);
  }

  /** au_test_empty, and au_test_empty_lower with 1 for the first branch whose names count. */
  #isEmpty(folder: Dentry, first: number): boolean {
    const hidden = new Set<string>();
    for (const [at, branch] of this.#folders(folder).entries()) {
      let filled = false;
      for (const name of this.#names(this.#at(branch, folder.path))) {
        if (isWhiteout(name)) hidden.add(name.slice(4));
        else if (at >= first && !hidden.has(name)) filled = true;
      }
      if (filled) return false;
    }
    return true;
  }

  /** au_wbr_create_tdp, au_wbr_copyup_tdp */
  #topDownParent(parent: Dentry, top: number): number {
    if (this.#isWritable(top)) return top;
    for (let branch = parent.top; branch < top; branch++) {
      if (this.#isWritable(branch) && parent.found.get(branch) === S_IFDIR) return branch;
    }
    let nearest = top;
    while (nearest >= 0 && !this.#isWritable(nearest)) nearest -= 1;
    if (nearest < 0) throw new Refused("EROFS");
    // au_wbr_nonopq
    const above = parent.path.split("/").slice(1, -1);
    const opaque = above
      .map((_, depth) => this.#walk(`/${above.slice(0, depth + 1).join("/")}`).opaque)
      .filter((branch) => branch >= 0);
    return Math.min(nearest, ...opaque);
  }

  #bring(folder: Dentry, branch: number): void {
    if (branch > folder.top && folder.found.get(branch) !== S_IFDIR) throw new Unknown("a folder that is copied down");
    let path = "";
    for (const name of folder.path.split("/").slice(1)) {
      path += `/${name}`;
      const type = this.#typeAt(this.#at(branch, path));
      if (type !== 0 && type !== S_IFDIR) throw new Refused("EIO");
      if (type === 0) must(this.#task.mkdir(this.#at(branch, path), 0o755));
    }
  }

  #copyUp(dentry: Dentry, parent: Dentry, branch: number): void {
    if (dentry.top === branch) return;
    this.#bring(parent, branch);
    this.#makeRaw(this.#at(branch, dentry.path), dentry.type);
  }

  #makeRaw(at: string, type: number): void {
    if (type === S_IFDIR) must(this.#task.mkdir(at, 0o755));
    else if (type === S_IFREG) put(this.#task, at, "");
    else must(this.#task.mknod(at, S_IFIFO | 0o644));
  }

  #whiteOut(branch: number, parent: Dentry, name: string): void {
    this.#leave(this.#whiteoutAt(branch, parent, name));
  }

  #leave(at: string): void {
    if (this.#typeAt(at) === 0) put(this.#task, at, "");
  }

  /** au_whtmp_ren and au_whtmp_rmdir */
  #clearAway(at: string): void {
    const passing = `${at.slice(0, at.lastIndexOf("/"))}/.wh..wh.aside${this.#aside++}`;
    must(this.#task.rename(at, passing));
    for (const name of this.#names(passing)) {
      if (isWhiteout(name) && this.#typeAt(`${passing}/${name}`) === S_IFREG) must(this.#task.unlink(`${passing}/${name}`));
    }
    this.#task.rmdir(passing);
  }

  /** au_wh_test */
  #isMarked(at: string): boolean {
    const type = this.#typeAt(at);
    if (type !== 0 && type !== S_IFREG) throw new Refused("EIO");
    return type !== 0;
  }

  #typeAt(at: string): number {
    const of = this.#task.lstat(at);
    return isErrno(of) ? 0 : of.mode & S_IFMT;
  }

  #names(at: string): string[] {
    return must(this.#task.readdir(at)).map(({ name }) => name);
  }

  #at(branch: number, path: string): string {
    return `${this.#branches[branch]?.path}${path}`;
  }

  #whiteoutAt(branch: number, parent: Dentry, name: string): string {
    return `${this.#at(branch, parent.path)}/.wh.${name}`;
  }

  #isWritable(branch: number): boolean {
    return this.#branches[branch]?.permission === "rw";
  }

  #heeds(branch: number): boolean {
    return this.#branches[branch]?.permission !== "ro";
  }
}

/** What one branch is asked. */
interface Asked {
  readonly parent: Dentry;
  readonly name: string;
  /** Nothing was met before, so that nothing here is where the name would be. */
  readonly takesNothing: boolean;
  /** What a branch above has; 0 for nothing. */
  readonly type: number;
  readonly isKnownFile: boolean;
}

function absent(path: string): Dentry {
  return { path, found: new Map(), top: -1, bottom: -1, whiteout: -1, opaque: -1, type: 0 };
}
