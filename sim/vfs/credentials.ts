/**
 * Who a task is for the checks of a filesystem: the kernel's struct cred, cut down to what fs/ asks (include/linux/cred.h).
 *
 * Interface: ids are the filesystem ids (fsuid, fsgid); capabilities are the effective ones. A task that is not uid 0 has none unless
 * given, as after seteuid(2). Credentials never change: a task gets others.
 */

/** Capability bits, each 1 << its number in include/uapi/linux/capability.h. */
export const CAP_CHOWN: number = 1 << 0;
export const CAP_DAC_OVERRIDE: number = 1 << 1;
export const CAP_DAC_READ_SEARCH: number = 1 << 2;
export const CAP_FOWNER: number = 1 << 3;
export const CAP_FSETID: number = 1 << 4;
export const CAP_LINUX_IMMUTABLE: number = 1 << 9;
export const CAP_SYS_ADMIN: number = 1 << 21;
const CAP_SYS_RESOURCE: number = 1 << 24;
export const CAP_MKNOD: number = 1 << 27;
export const CAP_SETFCAP: number = 1 << 31;
/** Every capability that a filesystem asks for, by its name. */
export const CAPABILITIES: ReadonlyMap<string, number> = new Map(
  Object.entries({
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    CAP_FSETID,
    CAP_LINUX_IMMUTABLE,
    CAP_SYS_ADMIN,
    CAP_SYS_RESOURCE,
    CAP_MKNOD,
    CAP_SETFCAP,
  }),
);
const CAP_ALL: number = [...CAPABILITIES.values()].reduce((all, one) => all | one, 0);

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** CAP_* bits. */
  readonly capabilities: number;
}

/** The superuser: uid and gid 0 with every capability. */
export const ROOT: Credentials = { uid: 0, gid: 0, groups: [], capabilities: CAP_ALL };

/** Somebody: every capability for uid 0, but for those that are taken away; none for others. @param without - CAP_* bits */
export function credentialsOf(uid: number, gid: number, groups: readonly number[] = [], without = 0): Credentials {
  return { uid, gid, groups, capabilities: uid === 0 ? CAP_ALL & ~without : 0 };
}

/** Whether they have the capability (kernel: capable). */
export function capable(who: Credentials, capability: number): boolean {
  return (who.capabilities & capability) !== 0;
}

/** Whether a group is theirs, the primary or a supplementary one (kernel: in_group_p). */
export function inGroup(who: Credentials, gid: number): boolean {
  if (who.gid === gid) return true;
  for (const group of who.groups) if (group === gid) return true;
  return false;
}
