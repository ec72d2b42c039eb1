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
