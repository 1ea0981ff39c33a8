/** The tests that take longest: a sample's mutants meet them last, after all others. */
export const SLOW: readonly string[] = [
  "test/cow/btrfs-free-space.test.ts",
  "test/cow/btrfs-model.test.ts",
  "test/cow/btrfs-random.test.ts",
  "test/cow/btrfs-references.test.ts",
  "test/cow/btrfs-send-recorded.test.ts",
  "test/cow/btrfs-send.test.ts",
  "test/cow/zfs-faults.test.ts",
  "test/fuzz/campaign.test.ts",
  "test/thin/crash.test.ts",
  "test/thin/large-image.test.ts",
  "test/thin/metadata-faults.test.ts",
  "test/thin/model.test.ts",
];
