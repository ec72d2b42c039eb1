/** Deletions that can be undone for some seconds. */

export const UNDO_MILLISECONDS = 7_000;

export class Removal {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ids: readonly string[] = [];

  constructor(
    private readonly remove: (id: string) => Promise<void>,
    private readonly failed: (id: string, error: unknown) => void,
    private readonly changed: (waiting: number) => void,
  ) {}

  /** Deletes the photos after the time for an undo; those of an earlier call at once. */
  start(ids: readonly string[]): void {
    this.finish();
    this.#ids = ids;
    this.#timer = setTimeout(() => this.finish(), UNDO_MILLISECONDS);
    this.changed(ids.length);
  }

  /** Keeps the photos. Returns their ids. */
  undo(): readonly string[] {
    const ids = this.#ids;
    this.#stop();
    return ids;
  }

  /** Deletes now what waits for its deletion. */
  finish(): void {
    const ids = this.#ids;
    this.#stop();
    for (const id of ids) this.remove(id).catch((error: unknown) => this.failed(id, error));
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#ids = [];
    this.changed(0);
  }
}
