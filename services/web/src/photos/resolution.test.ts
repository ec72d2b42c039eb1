import { expect, it } from "vitest";
import { effectiveDpi } from "./resolution";

it.each([
  [3000, 2000, 254, 169, 300],
  [2000, 3000, 254, 169, 300],
  [3000, 3000, 254, 169, 300],
  [300, 200, 254, 169, 30],
])("of %i x %i pixels on %i x %i mm is %i", (width, height, width_mm, height_mm, dpi) => {
  expect(effectiveDpi({ width, height }, { width_mm, height_mm })).toBe(dpi);
});

it("is unknown without the photo's size", () => {
  expect(effectiveDpi({ width: null }, { width_mm: 1, height_mm: 1 })).toBeUndefined();
});
