/** Files that are not uploaded yet, kept by the browser, so that a reload does not lose them. */

export interface PendingFile {
  id: string;
  user: string;
  file: File;
  keepLocation: boolean;
}

const STORE = "files";

/** The files of one user, in IndexedDB. Without it (private windows) nothing is kept. */
export class PendingFiles {
  #opened: Promise<IDBDatabase> | undefined;

  constructor(private readonly user: string) {}

  /** Keeps a file. Returns its id; empty if it cannot be kept. */
  async add(file: File, keepLocation: boolean): Promise<string> {
    const id = crypto.randomUUID();
    const pending: PendingFile = { id, user: this.user, file, keepLocation };
    const kept = await this.#run("readwrite", (store) => store.put(pending));
    return kept === undefined ? "" : id;
  }

  async remove(id: string): Promise<void> {
    if (id) await this.#run("readwrite", (store) => store.delete(id));
  }

  /** Forgets the user's files. */
  async clear(): Promise<void> {
    for (const { id } of await this.all()) await this.remove(id);
  }

  /** The user's files that were not uploaded before the page ended. */
  async all(): Promise<PendingFile[]> {
    const found = await this.#run<PendingFile[]>("readonly", (store) => store.getAll());
    return (found ?? []).filter(({ user }) => user === this.user);
  }

  /** The result of a request; undefined if it failed. */
  async #run<T>(
    mode: IDBTransactionMode,
    ask: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T | undefined> {
    try {
      const database = await (this.#opened ??= open());
      return await settled(ask(database.transaction(STORE, mode).objectStore(STORE)));
    } catch {
      return undefined;
    }
  }
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open("darkroom-uploads", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
  return settled(request);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB failed"));
  });
}
