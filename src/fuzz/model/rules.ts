/**
 * The rules by which a driver's tree differs from one plain filesystem's.
 */
export interface ModelRules {
  /**
   * When rename(2) of a directory of a lower layer is EXDEV: never, always, or while it shows a name that the lower layers have (a target
   * that is not empty is told first then).
   */
  readonly lowerDirectoryRename: "ok" | "EXDEV" | "EXDEV where lower names show";
  /** Copying up a file with several names leaves the other names as they were. */
  readonly breaksLinks: boolean;
  /** A lower file's count of links says nothing: other layers' names are counted too. */
  readonly countsOtherLayers: boolean;
  /** Once a file with several names is a lower one, its count of links says nothing: lower names that are covered stay counted. */
  readonly keepsCoveredLinks: boolean;
  /** A lower file that has lost its name cannot be copied up, so an open descriptor cannot change it: EEXIST. */
  readonly copiesUnlinked: boolean;
  /** Whether fstat(2) answers for a descriptor of a file that a rename has replaced hangs on whether it was copied up. */
  readonly forgetsReplaced: boolean;
  /** Removing or moving a name asks the lower layers' directory too who may search it, where the name is on the writable branch. */
  readonly asksLowerDirectories: boolean;
  /** What an exchange leaves hangs on what has been copied up, unless both are files and the source's directory has surely been. */
  readonly exchangesByBranch: boolean;
  /** Times that are set are cut to seconds. */
  readonly timesInSeconds: boolean;
  /** removexattr leaves the attribute with an empty value. */
  readonly emptiesXattrs: boolean;
  /** Copying up what is in a directory leaves its mtime. */
  readonly keepsDirectoryTimes: boolean;
  /** Whoever gives a directory an owner without privileges takes its set-id bits away. */
  readonly dropsSetIdOfDirectories: boolean;
  /** renameat2(2) takes flags. */
  readonly renameFlags: boolean;
  /** listxattr shows trusted.* to everybody. */
  readonly listsTrusted: boolean;
}
