/**
 * A whole mounted tree beside the plain one: every name, attribute and byte.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { sameJson } from "../calls/json.ts";
import { compareTexts, typeName } from "../calls/show.ts";
import { FUZZ_CALLS, sameBytes, sameStat, toldAnswer, toldExpected } from "./calls.ts";
import type { ModelNode } from "./model/node.ts";
import type { ModelTree } from "./model/tree.ts";

const scratch = newAttributes();
const LATIN1 = new TextDecoder("latin1");

/** Why a whole tree is not what the model holds; undefined where it is. Every file is read, every attribute looked at. */
export function treeDifference(task: Task, tree: ModelTree): string | undefined {
  tree.actor = { uid: 0, gid: 0, groups: [] };
  const numbers = new Map<string, ModelNode>();
  return folderDifference(task, tree.root, "", numbers);
}

function folderDifference(task: Task, node: ModelNode, path: string, seen: Map<string, ModelNode>): string | undefined {
  const rows = task.readdir(path === "" ? "/" : path);
  if (isErrno(rows)) return `${path}/ cannot be listed: ${rows.code}`;
  if (!FUZZ_CALLS["readdir"]?.same(node, rows)) {
    const here = rows.map(({ name, type }) => `${name} ${typeName(type)}`).sort();
    const wanted = [...(node.entries ?? [])].map(([name, child]) => `${name} ${child.type}`).sort();
    return `${path}/ holds ${JSON.stringify(here)}, not ${JSON.stringify(wanted)}`;
  }
  for (const [name, child] of node.entries ?? []) {
    const at = `${path}/${name}`;
    const wrong = nodeDifference(task, child, at, seen);
    if (wrong !== undefined) return `${at}: ${wrong}`;
    const below = child.entries === undefined ? undefined : folderDifference(task, child, at, seen);
    if (below !== undefined) return below;
  }
  return undefined;
}

function nodeDifference(task: Task, node: ModelNode, path: string, seen: Map<string, ModelNode>): string | undefined {
  const of = task.lstat(path, scratch);
  if (isErrno(of) || !sameStat(node, of)) return `${toldAnswer(of)}, not ${toldExpected(node)}`;
  const key = `${of.device}:${of.inodeNumber}`;
  const other = seen.get(key);
  if (other !== undefined && other !== node && node.identity !== undefined && other.identity !== undefined)
    return `has the inode number ${of.inodeNumber} of another file`;
  seen.set(key, node);
  const wrong = contentDifference(task, node, path);
  if (wrong !== undefined) return wrong;
  const names = task.llistxattr(path);
  if (node.xattrs === undefined && !isErrno(names) && names.length === 0) return undefined;
  const wanted = [...(node.xattrs?.keys() ?? [])].sort(compareTexts);
  if (isErrno(names) || !sameJson([...names].sort(compareTexts), wanted))
    return `has attributes ${toldAnswer(names)}, not ${wanted}`;
  for (const [name, value] of node.xattrs ?? []) {
    const found = task.lgetxattr(path, name);
    const text = isErrno(found) ? found.code : LATIN1.decode(found);
    if (text !== value) return `${name} is ${text}, not ${value}`;
  }
  return undefined;
}

function contentDifference(task: Task, node: ModelNode, path: string): string | undefined {
  if (node.type === "symlink") {
    const target = task.readlink(path);
    return target === node.target ? undefined : `leads to ${toldAnswer(target)}, not ${node.target}`;
  }
  if (node.type !== "file" || node.size === 0) return undefined;
  const fd = task.open(path, 0);
  if (isErrno(fd)) return `cannot be opened: ${fd.code}`;
  const content = task.pread(fd, node.size + 1, 0);
  task.close(fd);
  const wanted = node.data.subarray(0, node.size);
  return sameBytes(wanted, content) ? undefined : `holds ${toldAnswer(content)}, not ${toldExpected(wanted)}`;
}
