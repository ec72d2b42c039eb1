/** Looks up what became of uploads: a few at a time, less often while nothing happens. */
import type { ImageSummary } from "../api/client";
import { Backoff, wait } from "./backoff";
import type { Upload } from "./queue";

/** Uploads that one round looks up. */
const UPLOADS_A_ROUND = 5;

export interface Lookup {
  (uploadId: string): Promise<readonly ImageSummary[]>;
}

export class Settler {
  #pending: Upload[] = [];
  #running = false;

  constructor(
    private readonly lookup: Lookup,
    private readonly settled: (upload: Upload, image: ImageSummary) => void,
    private readonly pause: (milliseconds: number) => Promise<void> = wait,
  ) {}

  watch(upload: Upload): void {
    if (this.#pending.includes(upload)) return;
    this.#pending.push(upload);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    const backoff = new Backoff(500, 8_000);
    while (this.#pending.length > 0) {
      await this.pause(backoff.next());
      const round = this.#pending.slice(0, UPLOADS_A_ROUND);
      const progress = await Promise.all(round.map((upload) => this.#look(upload)));
      if (progress.some(Boolean)) backoff.reset();
      // Those that were not ready wait behind the others.
      const open = round.filter((upload) => this.#pending.includes(upload));
      this.#pending = [...this.#pending.filter((upload) => !open.includes(upload)), ...open];
    }
    this.#running = false;
  }

  async #look(upload: Upload): Promise<boolean> {
    let images: readonly ImageSummary[];
    try {
      images = await this.lookup(upload.id);
    } catch {
      return false; // looked up again
    }
    const image = images.find(({ status }) => status !== "developing");
    if (image === undefined) return false;
    this.#pending = this.#pending.filter((other) => other !== upload);
    this.settled(upload, image);
    return true;
  }
}
