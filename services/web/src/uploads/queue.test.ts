import { describe, expect, it, test, vi } from "vitest";
import { text } from "../text";
import { ApiError, type UploadForm } from "../api/client";
import { ATTEMPTS, MAX_IN_FLIGHT, type Transport, type Upload, UploadQueue, contentType } from "./queue";

const FORM: UploadForm = { id: "0".repeat(32), url: "/", fields: {}, bytes_max: 10, expires_at: "" };

function files(count: number): File[] {
  return Array.from({ length: count }, (_, n) => new File(["x"], `${n}.jpg`, { type: "image/jpeg" }));
}

function ended(queue: UploadQueue): boolean {
  return queue.uploads.every(({ state }) => state !== "waiting" && state !== "uploading");
}

async function drained(queue: UploadQueue): Promise<void> {
  while (!ended(queue)) await new Promise((resolve) => setTimeout(resolve));
}

function queueWith(send: Transport["send"]): UploadQueue {
  const transport: Transport = { form: () => Promise.resolve(FORM), send };
  return new UploadQueue(transport, () => undefined, () => Promise.resolve());
}

describe("UploadQueue", () => {
  it("never has more than six requests in flight, and uploads all of 200 files", async () => {
    let inFlight = 0;
    let most = 0;
    const queue = queueWith(async () => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      await new Promise((resolve) => setTimeout(resolve));
      inFlight -= 1;
    });
    queue.add(files(200), false, "");
    await drained(queue);
    expect(most).toBe(MAX_IN_FLIGHT);
    expect(queue.uploads.map(({ state }) => state)).toEqual(Array(200).fill("developing"));
  });

  it("survives one failure in ten", async () => {
    let calls = 0;
    const queue = queueWith(() => {
      calls += 1;
      return calls % 10 === 0 ? Promise.reject(new ApiError(503, "", "", 0)) : Promise.resolve();
    });
    queue.add(files(200), false, "");
    await drained(queue);
    expect(queue.uploads.every(({ state }) => state === "developing")).toBe(true);
    expect(calls).toBeGreaterThan(200);
  });

  it("gives up after some attempts, and can be tried again", async () => {
    let calls = 0;
    let works = false;
    const queue = queueWith(() => {
      calls += 1;
      return works ? Promise.resolve() : Promise.reject(new ApiError(0, "", "offline", 0));
    });
    queue.add(files(1), false, "");
    await drained(queue);
    const upload = queue.uploads[0] as Upload;
    expect([calls, upload.state, upload.message]).toEqual([ATTEMPTS, "failed", text("offline")]);
    works = true;
    expect(queue.retryable(upload)).toBe(true);
    queue.retry(upload, false);
    await drained(queue);
    expect(upload.state).toBe("developing");
    // As if the photo was rejected: the file is sent.
    upload.state = "failed";
    expect(queue.retryable(upload)).toBe(false);
  });

  it("does not repeat what was refused for good", async () => {
    let calls = 0;
    const queue = queueWith(() => {
      calls += 1;
      return Promise.reject(new ApiError(400, "", "refused", 0));
    });
    queue.add(files(1), false, "");
    await drained(queue);
    expect(calls).toBe(1);
  });

  it("refuses files of other types without a request", async () => {
    const queue = queueWith(() => Promise.reject(new Error("no request expected")));
    queue.add([new File(["x"], "notes.txt", { type: "text/plain" })], false, "not taken");
    expect(queue.uploads[0]).toMatchObject({ state: "failed", message: "not taken" });
    expect(queue.retryable(queue.uploads[0] as Upload)).toBe(false);
  });
});

describe("contentType", () => {
  it.each([
    ["a.jpg", "image/jpeg", "image/jpeg"],
    ["a.HEIC", "", "image/heic"],
    ["a.tif", "", "image/tiff"],
    ["a.svg", "image/svg+xml", undefined],
    ["noextension", "", undefined],
  ])("of %s (%s) is %s", (name, type, expected) => {
    expect(contentType({ name, type })).toBe(expected);
  });
});

test("a file is kept until it is sent", async () => {
  const kept = new Set<string>();
  const keeper = {
    add: async (file: File) => {
      kept.add(file.name);
      return file.name;
    },
    remove: async (id: string) => void kept.delete(id),
  };
  let sent = () => {};
  const transport = {
    form: async () => ({ id: "1", url: "", fields: {}, bytes_max: 1 }) as never,
    send: () => new Promise<void>((resolve) => (sent = resolve)),
  };
  const queue = new UploadQueue(transport, () => undefined, async () => undefined, keeper);
  queue.add([new File(["x"], "a.jpg", { type: "image/jpeg" })], false, "");
  await vi.waitFor(() => expect(queue.uploads[0]?.state).toBe("uploading"));
  expect([...kept]).toEqual(["a.jpg"]);
  sent();
  await vi.waitFor(() => expect(kept.size).toBe(0));
});
