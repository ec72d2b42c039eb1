import { expect, test } from "vitest";
import { polyline, withStatus } from "./history";

function status(at: string, waiting: number, history: { at: string; waiting: number }[] = []) {
  const queue = { function: "a", waiting, in_flight: 0, dead_letters: 0, oldest_seconds: null };
  const samples = history.map((sample) => ({ ...sample, oldest_seconds: null }));
  return {
    at,
    window_seconds: 3600,
    refresh_seconds: 3,
    functions: [],
    usage: null,
    queues: [{ ...queue, history: samples }],
  };
}

test("the page's own samples are added where the API has none", () => {
  let known = withStatus(new Map(), status("2026-11-27T12:00:00Z", 3));
  known = withStatus(known, status("2026-11-27T12:00:03Z", 5));
  expect(known.get("a")?.map(({ waiting }) => waiting)).toEqual([3, 5]);
});

test("the API's samples replace older ones of the page, and an hour is kept", () => {
  const known = withStatus(new Map(), status("2026-11-27T12:00:00Z", 3));
  const later = withStatus(
    known,
    status("2026-11-27T12:30:00Z", 1, [
      { at: "2026-11-27T11:00:00Z", waiting: 9 },
      { at: "2026-11-27T12:01:00Z", waiting: 4 },
    ]),
  );
  expect(later.get("a")?.map(({ waiting }) => waiting)).toEqual([4, 1]);
});

test("a polyline spans its box", () => {
  const points = polyline([{ at: 0, waiting: 0 }, { at: 10, waiting: 4 }], 100, 20);
  expect(points).toBe("0.0,19.0 100.0,1.0");
});
