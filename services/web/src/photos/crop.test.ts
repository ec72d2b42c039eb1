import { expect, test } from "vitest";
import { cropAround, dpiOf } from "./crop";

const paper = { width_mm: 100, height_mm: 150 };
const centre = { x: 0.5, y: 0.5 };

test("a landscape photo fills the paper with its bleed, turned as the photo is", () => {
  const crop = cropAround({ width: 3120, height: 2120 }, paper, centre);
  expect(crop.scale).toBeCloseTo(20);
  expect([crop.left, crop.top, crop.width, crop.height]).toEqual([0, 0, 3120, 2120]);
  expect(dpiOf(crop)).toBe(508);
});

test("the focus moves the crop as far as the photo's edges allow", () => {
  const photo = { width: 4000, height: 2120 };
  expect(cropAround(photo, paper, { x: 0, y: 0 }).left).toBe(0);
  expect(cropAround(photo, paper, { x: 1, y: 1 }).left).toBeCloseTo(4000 - 3120);
  expect(cropAround(photo, paper, centre).left).toBeCloseTo(440);
});

test("resolution is not rounded up", () => {
  // 600 pixels on 4 inches, bleed included.
  const crop = cropAround({ width: 600, height: 10_000 }, { width_mm: 95.6, height_mm: 200 }, centre);
  expect(dpiOf(crop)).toBe(150);
  expect(dpiOf(cropAround({ width: 599, height: 10_000 }, { width_mm: 95.6, height_mm: 200 }, centre))).toBe(149);
});
