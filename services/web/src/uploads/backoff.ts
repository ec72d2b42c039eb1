/** Waiting times that grow while nothing happens. */
export class Backoff {
  #milliseconds: number;

  constructor(
    private readonly first: number,
    private readonly longest: number,
    private readonly factor = 1.5,
  ) {
    this.#milliseconds = first;
  }

  /** The next waiting time in milliseconds. */
  next(): number {
    const current = this.#milliseconds;
    this.#milliseconds = Math.min(this.longest, current * this.factor);
    return current;
  }

  reset(): void {
    this.#milliseconds = this.first;
  }
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** A waiting time that can be cut short, also before it begins. */
export class Pause {
  #ended = false;
  #end: (() => void) | undefined;

  constructor(private readonly timer: (milliseconds: number) => Promise<void> = wait) {}

  async wait(milliseconds: number): Promise<void> {
    if (!this.#ended) {
      const early = new Promise<void>((resolve) => (this.#end = resolve));
      await Promise.race([early, this.timer(milliseconds)]);
    }
    this.#ended = false;
  }

  end(): void {
    this.#ended = true;
    this.#end?.();
  }
}
