/** Where each row of the grid is, so that only rows near the window are in the document. */
import type { ImageSummary } from "../api/client";
import type { Group } from "./order";

export const GAP = 8;
const HEADING = 56;
const TILE_MIN = 150;
const PHONE = 520;
const PHONE_COLUMNS = 3;

export interface Row {
  key: string;
  top: number;
  height: number;
  heading: string;
  images: readonly ImageSummary[];
}

export interface Layout {
  rows: readonly Row[];
  height: number;
  tile: number;
}

/** The rows in a grid of `width`; none while that is not known. */
export function layout(groups: readonly Group[], width: number): Layout {
  if (width <= 0) return { rows: [], height: 0, tile: 0 };
  const columns =
    width < PHONE ? PHONE_COLUMNS : Math.max(1, Math.floor((width + GAP) / (TILE_MIN + GAP)));
  const tile = Math.max(1, (width - GAP * (columns - 1)) / columns);
  const rows: Row[] = [];
  let top = 0;
  for (const { name, images } of groups) {
    rows.push({ key: `day ${name}`, top, height: HEADING, heading: name, images: [] });
    top += HEADING;
    for (let first = 0; first < images.length; first += columns) {
      const shown = images.slice(first, first + columns);
      rows.push({ key: shown[0]?.id ?? "", top, height: tile + GAP, heading: "", images: shown });
      top += tile + GAP;
    }
  }
  return { rows, height: top, tile };
}

/** The rows between `from` and `to`, by their first and the one after their last. */
export function between(rows: readonly Row[], from: number, to: number): [number, number] {
  const first = firstWhere(rows, (row) => row.top + row.height > from);
  return [first, Math.max(first, firstWhere(rows, (row) => row.top >= to))];
}

type Range = readonly [number, number];

/** The rows to render next on the way from `known` to `wanted`: all that are visible, and at most
 * `most` others at each end. */
export function approach(known: Range, visible: Range, wanted: Range, most: number): Range {
  const first = Math.max(known[0], wanted[0]);
  const last = Math.min(known[1], wanted[1]);
  // Nothing of what is rendered is near the window any more.
  if (first >= last || first > visible[1] || last < visible[0]) return visible;
  return [
    Math.max(wanted[0], Math.min(first - most, visible[0])),
    Math.min(wanted[1], Math.max(last + most, visible[1])),
  ];
}

function firstWhere(rows: readonly Row[], holds: (row: Row) => boolean): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const row = rows[middle];
    if (row !== undefined && holds(row)) high = middle;
    else low = middle + 1;
  }
  return low;
}
