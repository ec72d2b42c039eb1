/** The API's event stream (`GET /events`), where the deployment has one. */
import { configuration } from "./configuration";

/** Something that happened to a photo or an order. */
export interface Change {
  /** The event's type, such as "image.developed". */
  type: string;
  /** The photo's or the order's id. */
  id: string;
  /** Of a photo's events: the id of its upload. */
  correlation_id?: string;
}

/** Called with each change, and without one when changes may have been missed. */
export type Listener = (change?: Change) => void;

export interface Changes {
  /** Whether each change is reported. If not, listeners have to ask the API now and then. */
  readonly live: boolean;
  /** Returns a function that ends the subscription. */
  subscribe(listener: Listener): () => void;
}

/** The part of EventSource that is used. */
export interface Source {
  readonly readyState: number;
  onopen: ((event: Event) => unknown) | null;
  onmessage: ((event: MessageEvent<string>) => unknown) | null;
  onerror: ((event: Event) => unknown) | null;
  close(): void;
}

const CLOSED = 2;
/** After a refusal; EventSource connects again by itself after a lost connection. */
const RETRY_MILLISECONDS = 60_000;

/** One stream for all listeners; open while there are some and the page is visible. */
export class ChangeStream implements Changes {
  readonly #listeners = new Set<Listener>();
  #source: Source | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #opened = false;

  constructor(
    private readonly offered: () => Promise<boolean>,
    private readonly connect: () => Source,
    private readonly visible: () => boolean,
  ) {}

  get live(): boolean {
    return this.#opened;
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.update();
    return () => {
      this.#listeners.delete(listener);
      this.update();
    };
  }

  /** Opens or closes the stream, as needed now. */
  update(): void {
    const needed = this.#listeners.size > 0 && this.visible();
    if (!needed) this.#close();
    else if (this.#source === undefined && this.#retry === undefined) void this.#open();
  }

  async #open(): Promise<void> {
    if (!(await this.offered().catch(() => false))) return;
    // Meanwhile it may be open, or no longer needed.
    if (this.#source !== undefined || this.#listeners.size === 0 || !this.visible()) return;
    const source = this.connect();
    this.#source = source;
    source.onopen = () => {
      this.#opened = true;
      this.#notify();
    };
    source.onmessage = (event) => this.#notify(JSON.parse(event.data) as Change);
    source.onerror = () => {
      this.#opened = false;
      if (source.readyState !== CLOSED) return;
      this.#close();
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        this.update();
      }, RETRY_MILLISECONDS);
    };
  }

  #close(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#source?.close();
    this.#source = undefined;
    this.#opened = false;
  }

  #notify(change?: Change): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}

let stream: ChangeStream | undefined;

/** The page's stream. */
export function changes(): Changes {
  if (stream === undefined) {
    const made = new ChangeStream(
      async () => (await configuration()).events === true,
      () => new EventSource("/events"),
      () => !document.hidden,
    );
    document.addEventListener("visibilitychange", () => made.update());
    stream = made;
  }
  return stream;
}
