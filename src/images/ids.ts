/**
 * The identifiers of images and layers (spec/drivers.md §7.1, §8.2; moby layer/layer.go, image/v1/imagev1.go).
 */
import { digestOfText, type NewHasher } from "../archive/digest.ts";
import { fieldOf, goText, type JsonRecord } from "./go-json.ts";
import { encodeV1Image, type V1Parts, zeroTime } from "./v1-image.ts";

/** What a layer that changes nothing has for a diffID: the digest of 1024 zero bytes. */
export const EMPTY_DIFF_ID = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/** The chainID of each layer, the base first: a base layer's is its diffID, every other hashes the chain below and its own diffID. */
export function chainIds(diffIds: readonly string[], newHasher: NewHasher): string[] {
  const chains: string[] = [];
  for (const diffId of diffIds) {
    const below = chains.at(-1);
    chains.push(below === undefined ? diffId : digestOfText(`${below} ${diffId}`, newHasher));
  }
  return chains;
}

/** One layer's folder in an archive of `docker save`, up to version 24. */
export interface V1Layer {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** What its file `json` holds. */
  readonly json: string;
}

/**
 * The v1 IDs that `docker save` gives an image's layers, the base first. All but the top's depend on the time zone of the daemon: they
 * hash the beginning of 1970 as its clock on the wall shows it.
 * @param zone - the daemon's offset: "Z" or "-05:00"
 */
export function v1Layers(config: JsonRecord, chains: readonly string[], zone: string, newHasher: NewHasher): V1Layer[] {
  const layers: V1Layer[] = [];
  for (const [index, chain] of chains.entries()) {
    const isTop = index === chains.length - 1;
    const parts: V1Parts = isTop ? { image: config } : { image: { created: zeroTime(zone) } };
    const parent = layers.at(-1)?.id;
    const hashed = encodeV1Image(parts);
    const rows = [
      ...hashed,
      ["layer_id", goText(chain)] as const,
      ...(parent === undefined ? [] : [["parent", goText(`sha256:${parent}`)] as const]),
    ];
    rows.sort(([one], [other]) => (one < other ? -1 : 1));
    const id = digestOfText(objectOf(rows), newHasher).slice(7);
    const os = fieldOf(config, "os");
    const written = encodeV1Image({
      ...parts,
      id,
      ...(parent === undefined ? {} : { parent }),
      os: typeof os === "string" ? os : "",
    });
    layers.push({ id, json: objectOf(written) });
  }
  return layers;
}

function objectOf(rows: readonly (readonly [string, string])[]): string {
  return `{${rows.map(([key, text]) => `${goText(key)}:${text}`).join(",")}}`;
}
