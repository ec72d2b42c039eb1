/** Looks up what became of uploads: a few at a time; those whose photo has changed where the API
 * reports changes, else less often while nothing happens. */
import type { Change, Changes } from "../api/changes";
import type { ImageSummary } from "../api/client";
import { Backoff, Pause, wait } from "./backoff";
import type { Upload } from "./queue";

/** Uploads that one round looks up. */
const UPLOADS_A_ROUND = 5;
/** Between rounds while changes are reported: one may have come before its upload was watched. */
const LIVE_PAUSE_MILLISECONDS = 10_000;

export interface Lookup {
  (uploadId: string): Promise<readonly ImageSummary[]>;
}

export class Settler {
  #pending: Upload[] = [];
  #running = false;
  readonly #changed = new Set<Upload>();
  readonly #pause: Pause;

  constructor(
    private readonly lookup: Lookup,
    private readonly settled: (upload: Upload, image: ImageSummary) => void,
    pause: (milliseconds: number) => Promise<void> = wait,
    private readonly changes?: Changes,
  ) {
    this.#pause = new Pause(pause);
  }

  watch(upload: Upload): void {
    if (this.#pending.includes(upload)) return;
    this.#pending.push(upload);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    const backoff = new Backoff(500, 8_000);
    const leave = this.changes?.subscribe((change) => this.#note(change));
    while (this.#pending.length > 0) {
      if (this.#changed.size === 0) {
        await this.#pause.wait(this.changes?.live ? LIVE_PAUSE_MILLISECONDS : backoff.next());
      }
      const next = this.#changed.size > 0 ? [...this.#changed] : this.#pending;
      const round = next.slice(0, UPLOADS_A_ROUND);
      for (const upload of round) this.#changed.delete(upload);
      const progress = await Promise.all(round.map((upload) => this.#look(upload)));
      if (progress.some(Boolean)) backoff.reset();
      // Those that were not ready wait behind the others.
      const open = round.filter((upload) => this.#pending.includes(upload));
      this.#pending = [...this.#pending.filter((upload) => !open.includes(upload)), ...open];
    }
    leave?.();
    this.#running = false;
  }

  #note(change?: Change): void {
    const uploads = this.#pending.filter(({ id }) => !change || id === change.correlation_id);
    for (const upload of uploads) this.#changed.add(upload);
    if (uploads.length > 0) this.#pause.end();
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
    this.#changed.delete(upload);
    this.settled(upload, image);
    return true;
  }
}
