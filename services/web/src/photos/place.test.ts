import { expect, test } from "vitest";
import { coordinates, locationOf } from "./place";

test("only a photo whose location was kept has a place", () => {
  expect(locationOf({ camera: "a" })).toBeNull();
  expect(locationOf({ location: null })).toBeNull();
  expect(locationOf(null)).toBeNull();
  const location = { latitude: 53.5461, longitude: 9.9937, altitude: 6 };
  expect(locationOf({ location })).toEqual({ latitude: 53.5461, longitude: 9.9937 });
});

test("coordinates name the points of the compass", () => {
  expect(coordinates({ latitude: -33.85678, longitude: 151.2153 })).toBe("33.8568° S, 151.2153° E");
  expect(coordinates({ latitude: 53.5, longitude: -9 })).toBe("53.5000° N, 9.0000° W");
});
