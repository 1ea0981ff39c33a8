/**
 * What is wrong with an archive, a layer or an image that came from outside.
 */

/** The stable codes; each names one class of fault. */
export type FaultCode =
  /** Not a tar archive, or none of the image formats. */
  | "E_FORMAT"
  /** The bytes end within a header or a file. */
  | "E_TAR_TRUNCATED"
  /** A header's checksum is wrong. */
  | "E_TAR_CHECKSUM"
  /** A header's field cannot be read, or says what cannot be. */
  | "E_TAR_HEADER"
  /** A PAX record is malformed, or there are two of one size. */
  | "E_TAR_PAX"
  /** A sparse file, which strict layers do not hold, or the map of one that does not fit it. */
  | "E_TAR_SPARSE"
  /** Bytes behind the end of the archive that are not zeros. */
  | "E_TAR_TRAILING"
  /** A name twice. */
  | "E_TAR_DUPLICATE"
  /** A type of entry that nobody knows. */
  | "E_TAR_TYPE"
  /** A name or a link leads out of the layer. */
  | "E_LAYER_ESCAPE"
  /** A name that no file can have. */
  | "E_LAYER_NAME"
  /** A whiteout that names nothing, or a reserved name. */
  | "E_LAYER_WHITEOUT"
  /** A hard link to what is not there. */
  | "E_LAYER_LINK"
  /** An extended attribute that belongs to the union filesystem itself. */
  | "E_LAYER_XATTR"
  /** Owner, mode or device number out of range. */
  | "E_LAYER_OWNER"
  /** A device node that a union mount takes for a whiteout. */
  | "E_LAYER_DEVICE"
  /** More bytes, entries or levels than allowed. */
  | "E_LIMIT"
  /** The compressed data are damaged, or of a kind that cannot be read here. */
  | "E_COMPRESSION"
  /** Bytes whose digest is not the one that names them. */
  | "E_DIGEST_MISMATCH"
  /** Something that should be a digest and is none. */
  | "E_DIGEST_FORMAT"
  /** The configuration or the manifest is no JSON of the right shape. */
  | "E_IMAGE_JSON"
  /** The parts of an image do not fit together. */
  | "E_IMAGE_LAYERS"
  /** A reference that is none. */
  | "E_IMAGE_NAME"
  /** A file that the archive names is not in it. */
  | "E_IMAGE_MISSING"
  /** The storage driver could not take it. */
  | "E_DRIVER";

/** A fault of input, told to the user in one line with its code. */
export class ArchiveFault extends Error {
  override readonly name = "ArchiveFault";
  readonly code: FaultCode;

  constructor(code: FaultCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** How input from outside is judged: refuse what is not right, or answer as Docker's daemon does. */
export type ReadMode = "strict" | "docker";
