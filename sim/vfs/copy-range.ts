/** Bytes that are to be copied from one file to another: from where in the one, to where in the other, and how many. */
export interface CopyRange {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}
