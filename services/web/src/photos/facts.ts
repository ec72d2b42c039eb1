/** What a photo's file states about itself, with labels and formats of the page's language. */
import type { Image } from "../api/client";
import { bytes, moment, number, plain, text } from "../text";

type Facts = NonNullable<Image["facts"]>;
type Label = Parameters<typeof text>[0];
export type Fact = readonly [label: string, value: string];

/** The label and the value of each fact; null for one that has no line of its own. */
const LINES: { [Name in keyof Required<Facts>]: ((facts: Facts) => readonly [Label, string] | null) | null } = {
  taken_at: ({ taken_at, taken_at_source }) =>
    taken_at ? [taken_at_source === "modified" ? "factModified" : "factTaken", moment(taken_at)] : null,
  taken_at_source: null,
  camera: ({ camera }) => (camera ? ["factCamera", plain(camera)] : null),
  lens: ({ lens }) => (lens ? ["factLens", plain(lens)] : null),
  exposure_seconds: ({ exposure_seconds }) =>
    exposure_seconds ? ["factExposure", exposure(exposure_seconds)] : null,
  aperture: ({ aperture }) => (aperture ? ["factAperture", `f/${number(aperture)}`] : null),
  iso: ({ iso }) => (iso ? ["factIso", String(iso)] : null),
  focal_length_mm: ({ focal_length_mm }) =>
    focal_length_mm
      ? ["factFocalLength", number(focal_length_mm, { style: "unit", unit: "millimeter" })]
      : null,
  format: ({ format }) => (format ? ["factFormat", format.toUpperCase()] : null),
  frames: ({ frames }) => (frames && frames > 1 ? ["factFrames", number(frames)] : null),
  bytes: ({ bytes: size }) => (size ? ["factBytes", bytes(size)] : null),
  colour_profile: ({ colour_profile }) =>
    colour_profile ? ["factColourProfile", plain(colour_profile)] : null,
  // For programs.
  sha256: null,
  // Shown with a map.
  location: null,
};

/** The facts of `image` that are known, in the order in which they are shown. */
export function factsOf(image: Image): Fact[] {
  const facts = image.facts ?? {};
  const lines: Fact[] = [[text("factUploaded"), moment(image.uploaded_at)]];
  if (image.width && image.height) {
    lines.push([text("factPixels"), `${number(image.width)} × ${number(image.height)}`]);
  }
  for (const line of Object.values(LINES)) {
    const found = line?.(facts);
    if (found) lines.push([text(found[0]), found[1]]);
  }
  return lines;
}

/** An exposure time: a fraction of a second as cameras show it, or seconds. */
function exposure(seconds: number): string {
  if (seconds > 0.3) return number(seconds, { style: "unit", unit: "second" });
  return `1/${number(Math.round(1 / seconds))} s`;
}
