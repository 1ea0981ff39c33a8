/** What reads and writes through O_DIRECT must keep to. */
export interface DirectIo {
  /** What offset and length must be multiples of, in bytes: the device's logical block. EINVAL otherwise. */
  readonly unit: number;
  /** Whether a write that is refused for it has set the file's times before. */
  readonly stampsRefused: boolean;
}
