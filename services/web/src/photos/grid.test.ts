import { expect, test } from "vitest";
import type { ImageSummary } from "../api/client";
import { approach, between, layout } from "./layout";
import { arrange } from "./order";

function image(id: string, uploaded: string, taken?: string): ImageSummary {
  return {
    id,
    status: "developed",
    uploaded_at: uploaded,
    filenames: [`${id}.JPG`],
    ...(taken && { taken_at: taken }),
  } as ImageSummary;
}

const images = [
  image("c", "2026-03-03T10:00:00Z"),
  image("b", "2026-03-02T10:00:00Z", "2020-01-01T10:00:00"),
  image("a", "2026-03-01T10:00:00Z", "2024-01-01T10:00:00"),
];
const ids = (order: Parameters<typeof arrange>[2], search = "") =>
  arrange(images, search, order).flatMap((group) => group.images.map(({ id }) => id));

test("photos are sorted by upload or capture, those without a time last", () => {
  expect(ids("uploadedNewest")).toEqual(["c", "b", "a"]);
  expect(ids("uploadedOldest")).toEqual(["a", "b", "c"]);
  expect(ids("takenNewest")).toEqual(["a", "b", "c"]);
  expect(ids("takenOldest")).toEqual(["b", "a", "c"]);
});

test("a search finds names in any case", () => {
  expect(ids("uploadedNewest", " B.jpg ")).toEqual(["b"]);
  expect(ids("uploadedNewest", "nothing")).toEqual([]);
});

test("only rows near the window are shown, whatever their number", () => {
  const many = Array.from({ length: 5000 }, (_, n) => image(String(n), "2026-03-01T10:00:00Z"));
  const found = layout(arrange(many, "", "uploadedNewest"), 1168);
  expect(found.rows.length).toBe(1 + Math.ceil(5000 / 7));
  const [first, last] = between(found.rows, 10_000, 11_000);
  expect(last - first).toBeLessThan(10);
  expect(found.rows[first]?.top).toBeLessThanOrEqual(10_000);
  expect(found.height).toBeCloseTo(56 + Math.ceil(5000 / 7) * (found.tile + 8));
  expect(between(found.rows, -500, 0)).toEqual([0, 0]);
});

test("rows near the window are rendered step by step, visible ones at once", () => {
  let range: readonly [number, number] = approach([0, 0], [0, 6], [0, 12], 2);
  expect(range).toEqual([0, 6]);
  range = approach(range, [0, 6], [0, 12], 2);
  expect(range).toEqual([0, 8]);
  range = approach(range, [10, 16], [4, 22], 2);
  expect(range).toEqual([10, 16]);
  range = approach(range, [11, 17], [5, 23], 2);
  expect(range).toEqual([8, 18]);
  for (let frame = 0; frame < 3; frame += 1) range = approach(range, [11, 17], [5, 23], 2);
  expect(range).toEqual([5, 23]);
  expect(approach(range, [11, 17], [5, 23], 2)).toEqual([5, 23]);
  expect(approach(range, [2, 8], [0, 14], 2)).toEqual([2, 14]);
});
