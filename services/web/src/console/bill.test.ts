import { expect, it } from "vitest";
import { bill } from "./bill";
import costs from "./costs.json";

it("multiplies durations with memory and prices, and counts photos and orders", () => {
  const found = bill({
    since: "",
    functions: [
      { name: "get-image", invocations: 10, duration_ms: 70 },
      { name: "process-image", invocations: 1000, duration_ms: 400_000 },
    ],
  });
  const gibSeconds = (costs.memory_mib["process-image"] / 1024) * 400;
  const dollars = gibSeconds * costs.gib_second + 1000 * costs.request;
  expect(found.functions[0]).toEqual({ name: "process-image", invocations: 1000, gibSeconds, dollars });
  expect([found.photos, found.orders]).toEqual([1000, 0]);
  const services = new Map(found.services);
  expect(services.get("S3")).toBeCloseTo(1000 * costs.photo.S3, 10);
  expect(services.get("Lambda")).toBeGreaterThan(dollars);
  expect(found.total).toBeCloseTo([...services.values()].reduce((a, b) => a + b, 0), 10);
});

it("is nothing without work", () => {
  expect(bill({ since: "", functions: [] }).total).toBe(0);
});
