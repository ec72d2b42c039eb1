/** Which photos are shown, in which order, and in which groups. */
import type { ImageSummary } from "../api/client";
import { day, text } from "../text";

export const ORDERS = ["uploadedNewest", "uploadedOldest", "takenNewest", "takenOldest"] as const;
export type Order = (typeof ORDERS)[number];

export interface Group {
  name: string;
  images: ImageSummary[];
}

/** The photos whose name has `search`, grouped by day, in `order`. Those without a capture time come
 * last where it decides. */
export function arrange(images: readonly ImageSummary[], search: string, order: Order): Group[] {
  const wanted = search.trim().toLocaleLowerCase();
  const byTaken = order === "takenNewest" || order === "takenOldest";
  const time = (image: ImageSummary) => (byTaken ? (image.taken_at ?? "") : image.uploaded_at);
  const direction = order === "uploadedOldest" || order === "takenOldest" ? 1 : -1;
  const found = images.filter(({ filenames }) =>
    filenames.some((name) => name.toLocaleLowerCase().includes(wanted)),
  );
  found.sort((a, b) => {
    const [left, right] = [time(a), time(b)];
    if (!left || !right) return left ? -1 : right ? 1 : 0;
    return left < right ? -direction : left > right ? direction : 0;
  });
  const groups: Group[] = [];
  const names = new Map<string, string>();
  let current: Group | undefined;
  for (const image of found) {
    const at = time(image);
    // Days begin at any quarter of an hour in UTC, so all of one quarter have one name.
    const quarter = at && `${at.slice(0, 14)}${Math.floor(Number(at.slice(14, 16)) / 15)}${zoneOf(at)}`;
    const name = names.get(quarter) ?? (at ? day(at) : text("noDate"));
    names.set(quarter, name);
    if (current?.name !== name) {
      current = { name, images: [] };
      groups.push(current);
    }
    current.images.push(image);
  }
  return groups;
}

/** The zone of an ISO 8601 time; empty without one. */
function zoneOf(at: string): string {
  return at.slice(19).replace(/^\.\d+/, "");
}
