/**
 * What a pool understands when it is sent a message (drivers/md/dm-thin.c, pool_message; spec/block-cow.md §1.3).
 */
import { EINVAL, ENOTSUP, type Errno } from "../core/errno.ts";
import type { ThinPool } from "./pool.ts";
import { isDeviceId } from "./volume.ts";

const DIGIT_0 = 48;
const DIGIT_9 = 57;

/** A whole number in decimal as kstrtoull reads it; undefined for anything else. */
function wholeOf(word: string): number | undefined {
  const first = word.startsWith("+") ? 1 : 0;
  for (let at = first; at < word.length; at++) {
    const code = word.charCodeAt(at);
    if (code < DIGIT_0 || code > DIGIT_9) return undefined;
  }
  return word.length > first ? Number(word) : undefined;
}

/** The device ids of a message. @returns EINVAL where there are not as many, or one is none. */
function idsOf(pool: ThinPool, words: readonly string[], wanted: number): readonly number[] | Errno {
  const wrong = countsWrong(pool, words, wanted + 1);
  if (wrong !== undefined) return wrong;
  const ids: number[] = [];
  for (const word of words.slice(1)) {
    const id = wholeOf(word);
    if (id === undefined || !isDeviceId(id)) {
      pool.log(`Message received with invalid device id: ${word}`);
      return EINVAL;
    }
    ids.push(id);
  }
  return ids;
}

function countsWrong(pool: ThinPool, words: readonly string[], wanted: number): Errno | undefined {
  if (words.length === wanted) return undefined;
  pool.log(`Message received with ${words.length} arguments instead of ${wanted}.`);
  return EINVAL;
}

type Handler = (pool: ThinPool, words: readonly string[]) => Errno | undefined;

function told(pool: ThinPool, failed: Errno | undefined, line: string): Errno | undefined {
  if (failed !== undefined) pool.log(line);
  return failed;
}

function setTransaction(pool: ThinPool, words: readonly string[]): Errno | undefined {
  const wrong = countsWrong(pool, words, 3);
  if (wrong !== undefined) return wrong;
  const [, oldWord = "", nextWord = ""] = words;
  const old = wholeOf(oldWord);
  if (old === undefined) return told(pool, EINVAL, `set_transaction_id message: Unrecognised id ${oldWord}.`);
  const next = wholeOf(nextWord);
  if (next === undefined) return told(pool, EINVAL, `set_transaction_id message: Unrecognised new id ${nextWord}.`);
  const failed = pool.metadata.setTransaction(old, next);
  if (failed !== undefined) pool.log("mismatched transaction id");
  return told(pool, failed, `Failed to change transaction id from ${oldWord} to ${nextWord}.`);
}

const HANDLERS: Readonly<Record<string, Handler>> = {
  create_thin: (pool, words) => {
    const ids = idsOf(pool, words, 1);
    if (!Array.isArray(ids)) return EINVAL;
    const failed = pool.metadata.createThin(ids[0]);
    return told(pool, failed, `Creation of new thinly-provisioned device with id ${words[1]} failed.`);
  },
  create_snap: (pool, words) => {
    const ids = idsOf(pool, words, 2);
    if (!Array.isArray(ids)) return EINVAL;
    const failed = pool.metadata.createSnap(ids[0], ids[1]);
    if (failed === undefined && pool.options.events?.listening)
      pool.options.events.emit({ op: "snapshot", filesystem: pool.name, source: `${ids[1]}`, target: `${ids[0]}` });
    return told(pool, failed, `Creation of new snapshot ${words[1]} of device ${words[2]} failed.`);
  },
  delete: (pool, words) => {
    const ids = idsOf(pool, words, 1);
    if (!Array.isArray(ids)) return EINVAL;
    return told(pool, pool.metadata.deleteDevice(ids[0]), `Deletion of thin device ${words[1]} failed.`);
  },
  set_transaction_id: setTransaction,
  reserve_metadata_snap: (pool, words) => {
    const wrong = countsWrong(pool, words, 1);
    if (wrong !== undefined) return wrong;
    pool.commit();
    return told(pool, pool.metadata.reserveSnap(), "reserve_metadata_snap message failed.");
  },
  release_metadata_snap: (pool, words) => {
    const wrong = countsWrong(pool, words, 1);
    if (wrong !== undefined) return wrong;
    return told(pool, pool.metadata.releaseSnap(), "release_metadata_snap message failed.");
  },
};

/**
 * Sends a message to a pool; one that succeeds is committed.
 * @returns EOPNOTSUPP (ENOTSUP) in a mode that changes nothing, EINVAL for what it does not understand, EEXIST, ENODATA, EBUSY.
 */
export function sendMessage(pool: ThinPool, message: string): Errno | undefined {
  const words = message.split(/\s+/).filter((word) => word !== "");
  const [name] = words;
  if (name === undefined) {
    // No target sees it (drivers/md/dm-ioctl.c, target_message).
    pool.log("Empty message received.");
    return EINVAL;
  }
  if (pool.mode !== "write" && pool.mode !== "outOfDataSpace") {
    pool.log(`${pool.name}: unable to service pool target messages in READ_ONLY or FAIL mode`);
    return ENOTSUP;
  }
  const handler = HANDLERS[name.toLowerCase()];
  if (handler === undefined) {
    pool.log(`Unrecognised thin pool target message received: ${name}`);
    return EINVAL;
  }
  const failed = handler(pool, words);
  if (failed === undefined) pool.commit();
  return failed;
}
