import { expect, it } from "vitest";
import type { Changes, Listener } from "../api/changes";
import type { ImageSummary } from "../api/client";
import type { Upload } from "./queue";
import { Settler } from "./settle";

function upload(id: string): Upload {
  return { key: 1, name: id, bytes: 1, state: "developing", progress: 1, id, message: "" };
}

function image(status: ImageSummary["status"]): ImageSummary {
  return { id: "1", status, uploaded_at: "", filenames: [] };
}

it("looks up few uploads at a time, less often while nothing happens, until all are settled", async () => {
  const pauses: number[] = [];
  const settled: string[] = [];
  let round: string[] = [];
  let most = 0;
  let silent = 4;
  await new Promise<void>((resolve) => {
    const settler = new Settler(
      (id) => {
        round.push(id);
        return Promise.resolve(silent > 0 ? [image("developing")] : [image("developed")]);
      },
      (one) => {
        settled.push(one.id);
        if (settled.length === 12) resolve();
      },
      (milliseconds) => {
        pauses.push(milliseconds);
        most = Math.max(most, round.length);
        round = [];
        silent -= 1;
        return Promise.resolve();
      },
    );
    for (let n = 0; n < 12; n += 1) settler.watch(upload(`u${n}`));
  });
  expect(new Set(settled).size).toBe(12);
  expect(most).toBe(5);
  expect(pauses.slice(0, 4)).toEqual([500, 750, 1125, 1687.5]);
  expect(pauses.at(-1)).toBe(500);
});

it("looks up again after an error", async () => {
  let calls = 0;
  const found = await new Promise<ImageSummary>((resolve) => {
    const settler = new Settler(
      () => {
        calls += 1;
        return calls < 3 ? Promise.reject(new Error("away")) : Promise.resolve([image("rejected")]);
      },
      (_, one) => resolve(one),
      () => Promise.resolve(),
    );
    settler.watch(upload("u"));
  });
  expect([calls, found.status]).toEqual([3, "rejected"]);
});

it("looks up only uploads whose photo has changed where changes are reported", async () => {
  let report: Listener = () => undefined;
  let left = false;
  const live: Changes = {
    live: true,
    subscribe: (listener) => {
      report = listener;
      return () => (left = true);
    },
  };
  const pauses: number[] = [];
  const asked: string[] = [];
  const settled: string[] = [];
  const settler = new Settler(
    (id) => {
      asked.push(id);
      return Promise.resolve([image("developed")]);
    },
    (one) => void settled.push(one.id),
    (milliseconds) => {
      pauses.push(milliseconds);
      return new Promise(() => undefined);
    },
    live,
  );
  for (const id of ["a", "b", "c"]) settler.watch(upload(id));
  const happened = async (correlation_id: string) => {
    report({ type: "image.developed", id: "1", correlation_id });
    await new Promise((resolve) => setTimeout(resolve));
  };
  await happened("elsewhere");
  expect(asked).toEqual([]);
  await happened("b");
  expect(asked).toEqual(["b"]);
  await happened("b");
  expect(asked).toEqual(["b"]);
  // Connected again: changes may have been missed.
  report();
  await new Promise((resolve) => setTimeout(resolve));
  expect(settled).toEqual(["b", "a", "c"]);
  expect([left, new Set(pauses)]).toEqual([true, new Set([10_000])]);
});
