import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Removal, UNDO_MILLISECONDS } from "./removal";

const removed: string[] = [];
const waiting: number[] = [];
let removal: Removal;

beforeEach(() => {
  vi.useFakeTimers();
  removed.length = waiting.length = 0;
  removal = new Removal(
    async (id) => void removed.push(id),
    () => undefined,
    (count) => waiting.push(count),
  );
});
afterEach(() => void vi.useRealTimers());

test("photos are deleted after the time for an undo", () => {
  removal.start(["a", "b"]);
  vi.advanceTimersByTime(UNDO_MILLISECONDS - 1);
  expect(removed).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(removed).toEqual(["a", "b"]);
  expect(waiting.at(-1)).toBe(0);
});

test("an undo keeps them", () => {
  removal.start(["a"]);
  expect(removal.undo()).toEqual(["a"]);
  vi.advanceTimersByTime(UNDO_MILLISECONDS);
  expect(removed).toEqual([]);
});

test("a second deletion, and the end of the page, delete the first ones at once", () => {
  removal.start(["a"]);
  removal.start(["b"]);
  expect(removed).toEqual(["a"]);
  removal.finish();
  expect(removed).toEqual(["a", "b"]);
});
