import { afterEach, expect, it, vi } from "vitest";
import { type Change, ChangeStream, type Source } from "./changes";

class FakeSource implements Source {
  readyState = 0;
  onopen: Source["onopen"] = null;
  onmessage: Source["onmessage"] = null;
  onerror: Source["onerror"] = null;
  close() {
    this.readyState = 2;
  }
  fail(readyState: number) {
    this.readyState = readyState;
    this.onerror?.(new Event("error"));
  }
}

function made(offered = true) {
  const sources: FakeSource[] = [];
  const page = { visible: true };
  const stream = new ChangeStream(
    () => Promise.resolve(offered),
    () => {
      sources.push(new FakeSource());
      return sources.at(-1)!;
    },
    () => page.visible,
  );
  return { stream, sources, page };
}

const settle = () => Promise.resolve().then(() => undefined).then(() => undefined);

afterEach(() => void vi.useRealTimers());

it("reports changes to all listeners by one stream, which ends with the last of them", async () => {
  const { stream, sources } = made();
  const seen: (Change | undefined)[] = [];
  const leave = [stream.subscribe((change) => seen.push(change)), stream.subscribe(() => undefined)];
  await settle();
  expect([sources.length, stream.live]).toEqual([1, false]);
  sources[0]!.onopen?.(new Event("open"));
  expect([stream.live, seen]).toEqual([true, [undefined]]);
  const change = { type: "order.shipped", id: "1" };
  sources[0]!.onmessage?.(new MessageEvent("message", { data: JSON.stringify(change) }));
  expect(seen.at(-1)).toEqual(change);
  leave[0]!();
  expect(stream.live).toBe(true);
  leave[1]!();
  expect([stream.live, sources[0]!.readyState]).toEqual([false, 2]);
});

it("is not live while the connection is lost", async () => {
  const { stream, sources } = made();
  stream.subscribe(() => undefined);
  await settle();
  sources[0]!.onopen?.(new Event("open"));
  sources[0]!.fail(0);
  expect(stream.live).toBe(false);
  sources[0]!.onopen?.(new Event("open"));
  expect([stream.live, sources.length]).toEqual([true, 1]);
});

it("asks again a minute after a refusal", async () => {
  vi.useFakeTimers();
  const { stream, sources } = made();
  stream.subscribe(() => undefined);
  await settle();
  sources[0]!.fail(2);
  stream.update();
  await settle();
  expect(sources.length).toBe(1);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sources.length).toBe(2);
});

it("has no stream while the page is hidden, or where the API offers none", async () => {
  const { stream, sources, page } = made();
  page.visible = false;
  stream.subscribe(() => undefined);
  await settle();
  expect(sources.length).toBe(0);
  page.visible = true;
  stream.update();
  await settle();
  expect(sources.length).toBe(1);
  const other = made(false);
  other.stream.subscribe(() => undefined);
  await settle();
  expect(other.sources.length).toBe(0);
});
