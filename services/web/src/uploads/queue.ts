/** Uploads files to storage by signed forms: a bounded number at a time, each one tried again. */
import { ApiError, type UploadForm, type UploadRequest } from "../api/client";
import { messageOf } from "../errors";
import { Backoff, wait } from "./backoff";

/** More at once would not be faster: browsers open six connections to a host. */
export const MAX_IN_FLIGHT = 6;
export const ATTEMPTS = 5;

export const CONTENT_TYPES: Readonly<Record<string, UploadRequest["content_type"]>> = {
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  gif: "image/gif",
  tif: "image/tiff",
  tiff: "image/tiff",
  heic: "image/heic",
  heif: "image/heif",
  avif: "image/avif",
};

export type UploadState = "waiting" | "uploading" | "developing" | "done" | "failed";

export interface Upload {
  readonly key: number;
  readonly name: string;
  readonly bytes: number;
  state: UploadState;
  /** The share of bytes that are sent, 0 to 1. */
  progress: number;
  /** The upload's id, once its form is there. */
  id: string;
  message: string;
}

/** Keeps files that are not uploaded yet, beyond the end of the page. */
export interface Keeper {
  add(file: File, keepLocation: boolean): Promise<string>;
  remove(id: string): Promise<void>;
}

export interface Transport {
  form(request: UploadRequest): Promise<UploadForm>;
  send(form: UploadForm, file: File, progress: (share: number) => void): Promise<void>;
}

/** The media type of a file by its name, where the browser does not know it; else undefined. */
export function contentType(file: {
  name: string;
  type: string;
}): UploadRequest["content_type"] | undefined {
  const known = Object.values(CONTENT_TYPES).find((type) => type === file.type);
  return known ?? CONTENT_TYPES[file.name.split(".").at(-1)?.toLowerCase() ?? ""];
}

export class UploadQueue {
  readonly uploads: Upload[] = [];
  #files = new Map<number, File>();
  #kept = new Map<number, Promise<string>>();
  #inFlight = 0;
  #nextKey = 1;

  constructor(
    private readonly transport: Transport,
    private readonly changed: () => void,
    private readonly pause: (milliseconds: number) => Promise<void> = wait,
    private readonly keeper?: Keeper,
  ) {}

  /** Adds files. Those of a type that is not taken fail at once, with `unsupported`. `keptId`: the
   * file is kept already. */
  add(files: Iterable<File>, keepLocation: boolean, unsupported: string, keptId?: string): void {
    for (const file of files) {
      const type = contentType(file);
      const upload: Upload = {
        key: this.#nextKey++,
        name: file.name,
        bytes: file.size,
        state: type === undefined ? "failed" : "waiting",
        progress: 0,
        id: "",
        message: type === undefined ? unsupported : "",
      };
      this.uploads.push(upload);
      if (type !== undefined) {
        this.#files.set(upload.key, file);
        if (keptId !== undefined) this.#kept.set(upload.key, Promise.resolve(keptId));
        else if (this.keeper) this.#kept.set(upload.key, this.keeper.add(file, keepLocation));
        void this.#run(upload, file, type, keepLocation);
      }
    }
    this.changed();
  }

  /** The file is uploaded, or the customer has given it up. */
  #forget(upload: Upload): void {
    this.#files.delete(upload.key);
    void this.#kept.get(upload.key)?.then((id) => this.keeper?.remove(id));
    this.#kept.delete(upload.key);
  }

  /** Whether a failed upload can be tried again: not a file of a type that is not taken. */
  retryable(upload: Upload): boolean {
    return upload.state === "failed" && this.#files.has(upload.key);
  }

  /** Tries a failed upload again. */
  retry(upload: Upload, keepLocation: boolean): void {
    const file = this.#files.get(upload.key);
    const type = file && contentType(file);
    if (file === undefined || type === undefined || upload.state !== "failed") return;
    upload.state = "waiting";
    upload.message = "";
    void this.#run(upload, file, type, keepLocation);
    this.changed();
  }

  /** Removes uploads that need no more attention. */
  clear(): void {
    const open = this.uploads.filter(({ state }) => state !== "done" && state !== "failed");
    for (const upload of this.uploads) if (upload.state === "failed") this.#forget(upload);
    this.uploads.splice(0, this.uploads.length, ...open);
    this.changed();
  }

  #waiting: (() => void)[] = [];

  async #run(
    upload: Upload,
    file: File,
    type: UploadRequest["content_type"],
    keepLocation: boolean,
  ): Promise<void> {
    if (this.#inFlight >= MAX_IN_FLIGHT) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#inFlight += 1;
    try {
      await this.#attempt(upload, file, type, keepLocation);
      upload.state = "developing";
      this.#forget(upload);
    } catch (error) {
      upload.state = "failed";
      upload.message = messageOf(error);
    } finally {
      this.#inFlight -= 1;
      this.#waiting.shift()?.();
      this.changed();
    }
  }

  async #attempt(
    upload: Upload,
    file: File,
    type: UploadRequest["content_type"],
    keepLocation: boolean,
  ): Promise<void> {
    const backoff = new Backoff(500, 8_000, 2);
    for (let attempt = 1; ; attempt += 1) {
      upload.state = "uploading";
      upload.progress = 0;
      this.changed();
      try {
        const form = await this.transport.form({
          filename: file.name,
          content_type: type,
          bytes: file.size,
          keep_location: keepLocation,
        });
        upload.id = form.id;
        await this.transport.send(form, file, (share) => {
          upload.progress = share;
          this.changed();
        });
        upload.progress = 1;
        return;
      } catch (error) {
        const again = error instanceof ApiError && error.transient;
        if (!again || attempt === ATTEMPTS) throw error;
        await this.pause(Math.max(backoff.next(), error.retryAfterSeconds * 1000));
      }
    }
  }
}
