import { thumbHashToDataURL } from "thumbhash";

const made = new Map<string, string>();

/** The picture of a ThumbHash (base64), as a data: URL; empty for a hash that cannot be read. */
export function placeholderUrl(hash: string): string {
  let url = made.get(hash);
  if (url === undefined) {
    try {
      url = thumbHashToDataURL(Uint8Array.from(atob(hash), (letter) => letter.charCodeAt(0)));
    } catch {
      url = "";
    }
    made.set(hash, url);
  }
  return url;
}
