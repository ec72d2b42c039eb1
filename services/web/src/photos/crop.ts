/** The part of a photo that is printed, as services/imaging/printing/geometry.py computes it. */

export const BLEED_MM = 3;
const MM_PER_INCH = 25.4;

export interface Size {
  width: number;
  height: number;
}

export interface Paper {
  width_mm: number;
  height_mm: number;
}

export interface Crop extends Size {
  left: number;
  top: number;
  /** Pixels of the photo for each millimetre of paper. */
  scale: number;
}

/** The crop around `focus` (fractions of the photo), bleed included. */
export function cropAround(photo: Size, paper: Paper, focus: { x: number; y: number }): Crop {
  const [short, long] = [paper.width_mm, paper.height_mm].sort((a, b) => a - b) as [number, number];
  const [across, down] =
    photo.width === photo.height
      ? [paper.width_mm, paper.height_mm]
      : photo.width < photo.height
        ? [short, long]
        : [long, short];
  const outer = { width: across + 2 * BLEED_MM, height: down + 2 * BLEED_MM };
  const scale = Math.min(photo.width / outer.width, photo.height / outer.height);
  const width = Math.min(photo.width, outer.width * scale);
  const height = Math.min(photo.height, outer.height * scale);
  const within = (value: number, room: number) => Math.min(Math.max(0, value), room);
  return {
    left: within(focus.x * photo.width - width / 2, photo.width - width),
    top: within(focus.y * photo.height - height / 2, photo.height - height),
    width,
    height,
    scale,
  };
}

/** Dots an inch on paper, as the lab counts them: never rounded up. */
export function dpiOf(crop: Crop): number {
  return Math.floor(Math.round(crop.scale * MM_PER_INCH * 1e9) / 1e9);
}
