interface Picture {
  width?: number | null;
  height?: number | null;
}

interface Paper {
  width_mm: number;
  height_mm: number;
}

/** Dots an inch when the photo, turned to fit, fills the paper; undefined without its size. */
export function effectiveDpi(photo: Picture, paper: Paper): number | undefined {
  if (!photo.width || !photo.height) return undefined;
  const long = Math.max(photo.width, photo.height);
  const short = Math.min(photo.width, photo.height);
  const longMm = Math.max(paper.width_mm, paper.height_mm);
  const shortMm = Math.min(paper.width_mm, paper.height_mm);
  // A tenth of a dot: the division of a whole result may end just below it.
  return Math.floor(Math.min(long / longMm, short / shortMm) * 25.4 + 0.1);
}
