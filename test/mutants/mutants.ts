/**
 * Thirty bugs that an engine might have: each a small change of one source file. The quick suite beside this file has to find each of them.
 */
export interface Mutant {
  /** What is wrong then. */
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly from: string;
  readonly to: string;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "overlayfs forgets the opaque mark of a directory made over a whiteout",
    file: "sim/union/overlayfs/create.ts",
    from: "(isDirectory ? setOpaque(overlay, inode) : undefined) ??",
    to: "",
  },
  {
    name: "overlayfs skips the whiteout of a name that is renamed away",
    file: "sim/union/overlayfs/rename.ts",
    from: "swap ? RENAME_EXCHANGE : covered ? RENAME_WHITEOUT : 0",
    to: "swap ? RENAME_EXCHANGE : 0",
  },
  {
    name: "a union lists a lower name that a whiteout hides",
    file: "sim/union/overlayfs/readdir.ts",
    from: "    if (entry.hidden) return;\n",
    to: "",
  },
  {
    name: "overlayfs lets a directory of a lower layer be renamed without a redirect",
    file: "sim/union/overlayfs/rename.ts",
    from: "if (!canMove(overlay, source.node) || !canMove(overlay, target.node)) return EXDEV;",
    to: "",
  },
  {
    name: "renameat2 with RENAME_NOREPLACE replaces what is there",
    file: "sim/vfs/rename.ts",
    from: "if (target.child !== NOTHING && (flags & RENAME_NOREPLACE) !== 0) return EEXIST;",
    to: "",
  },
  {
    name: "overlayfs copies a file up without its extended attributes",
    file: "sim/union/overlayfs/copy-up.ts",
    from: "copyXattrs(overlay, upper, source, inode) ??",
    to: "",
  },
  {
    name: "overlayfs removes a lower file without a whiteout",
    file: "sim/union/overlayfs/remove.ts",
    from: "const removed = covered ? placeWhiteout(overlay, directory, name, false) : upper.fs.unlink(nodes.upperOf(directory), name);",
    to: "const removed = upper.fs.unlink(nodes.upperOf(directory), name);",
  },
  {
    name: "aufs makes no whiteout for a lower name that is removed",
    file: "sim/union/aufs/remove.ts",
    from: "const unhidden = covered ? placeWhiteout(aufs, directory, name, branch) : undefined;",
    to: "const unhidden = undefined;",
  },
  {
    name: "aufs forgets that a directory moved over a whiteout must be opaque",
    file: "sim/union/aufs/rename.ts",
    from: "const unmarked = marksOpaque ? setOpaque(aufs, node, branch) : undefined;",
    to: "const unmarked = undefined as Errno | undefined;",
  },
  {
    name: "chown keeps the set-user-id bit",
    file: "sim/vfs/attributes.ts",
    from: "    kept &= ~S_ISUID;\n",
    to: "",
  },
  {
    name: "writing without privileges keeps the set-user-id bit",
    file: "sim/vfs/permission.ts",
    from: "const kept = mode & ~S_ISUID;",
    to: "const kept = mode;",
  },
  {
    name: "a sticky directory lets anybody remove anything",
    file: "sim/vfs/permission.ts",
    from: "if (sticky(who, fs, directory.inode, victim)) return EPERM;",
    to: "",
  },
  {
    name: "a write to a file opened for appending goes where the position is",
    file: "sim/vfs/data.ts",
    from: "const at = (file.flags & O_APPEND) === 0 ? file.position : file.mount.fs.size(file.inode);",
    to: "const at = file.position;",
  },
  {
    name: "ext4 frees an extent twice",
    file: "sim/fs/ext4/allocate.ts",
    from: "    state.groups.free(group, at - firstBlockOf(group), part);\n",
    to: "    state.groups.free(group, at - firstBlockOf(group), part);\n    if (at % 7 === 0) state.groups.free(group, at - firstBlockOf(group), part);\n",
  },
  {
    name: "ext4 loses a link when a name is added",
    file: "sim/fs/ext4/namei.ts",
    from: "  addLinks(state, source, 1);\n",
    to: "",
  },
  {
    name: "ext4 keeps what a rename replaced",
    file: "sim/fs/ext4/rename.ts",
    from: "  if (replaced !== 0) dropReplaced(state, replaced);\n",
    to: "",
  },
  {
    name: "ext4's fsync flushes the disk and leaves the journal's transaction open",
    file: "sim/fs/ext4/file.ts",
    from: "return state.chunk(ino).isChanged((ino - 1) & 63, dataOnly) ? state.commit() : state.device.flush();",
    to: "return state.device.flush();",
  },
  {
    name: "a thin volume writes into a block that it shares with a snapshot",
    file: "sim/thin/volume.ts",
    from: "if (!isErrno(found) && !found.shared) {",
    to: "if (!isErrno(found)) {",
  },
  {
    name: "a snapshot of btrfs counts no reference to what its root points to",
    file: "sim/cow/btrfs/subvolumes.ts",
    from: "state.references.changeBelow(tree.rootNode, { tree: id }, 1);",
    to: "",
  },
  {
    name: "zfs frees a block that a snapshot still has",
    file: "sim/cow/zfs/dsl.ts",
    from: "if (pointer.birth > head.previousGroup) {",
    to: "if (pointer.birth > 0) {",
  },
  {
    name: "a range that is cut in two begins its second half one unit early",
    file: "sim/core/intervals.ts",
    from: "this.#slice(value, end - first, last - first) });",
    to: "this.#slice(value, end - first - 1, last - first - 1) });",
  },
  {
    name: "link leaves the inode's ctime as it was",
    file: "sim/fs/ext4/namei.ts",
    from: "  stamp(state, source, false);\n",
    to: "",
  },
  {
    name: "ftruncate to the same size leaves the mtime as it was",
    file: "sim/vfs/space.ts",
    from: "return setSize(task, file, length, true);",
    to: "return setSize(task, file, length, false);",
  },
  {
    name: "rmdir says that a file is no directory before it says that nobody may remove it",
    file: "sim/vfs/permission.ts",
    from: "  if (refused !== undefined) return refused;\n  if ((flags & APPEND_ONLY) !== 0) return EPERM;\n  if (sticky(",
    to: "  if (refused !== undefined) return wantDirectory && typeOf(fs, victim) !== S_IFDIR ? ENOTDIR : refused;\n  if ((flags & APPEND_ONLY) !== 0) return EPERM;\n  if (sticky(",
  },
  {
    name: "a path that was walked is believed after a directory above it has moved",
    file: "sim/vfs/path-cache.ts",
    from: "if (this.#used === 0 || this.#epoch !== walked.epoch) return UNKNOWN;",
    to: "if (this.#used === 0) return UNKNOWN;",
  },
  {
    name: "cutting a file leaves the first page behind the cut in the cache",
    file: "sim/vfs/mapping.ts",
    from: "if (first < last) this.#removeRange(first, last);",
    to: "if (first < last) this.#removeRange(first + 1, last);",
  },
  {
    name: "the rest of the last page keeps its bytes when a file is cut",
    file: "sim/vfs/mapping.ts",
    from: "if (size % PAGE_SIZE !== 0) this.#zeroPart(Math.floor(size / PAGE_SIZE), size % PAGE_SIZE, PAGE_SIZE);",
    to: "",
  },
  {
    name: "the journal is replayed from its youngest transaction to its oldest",
    file: "sim/fs/ext4/recovery.ts",
    from: "  for (const [index, transaction] of found.entries()) {\n    for (const [block, record] of transaction.blocks) {",
    to: "  for (const [index, transaction] of [...found.entries()].reverse()) {\n    for (const [block, record] of transaction.blocks) {",
  },
  {
    name: "a thin volume takes a write of half a shared block for one of all of it",
    file: "sim/thin/volume.ts",
    from: "    const isWhole = piece.length === blockSize;\n    if (!isWhole) {",
    to: "    const isWhole = piece.length * 2 >= blockSize;\n    if (!isWhole) {",
  },
  {
    name: "btrfs forgets to give back what it promised to data that is written",
    file: "sim/cow/btrfs/reserve.ts",
    from: "    state.delayedBytes -= before - delayed.covered;\n",
    to: "",
  },
];
