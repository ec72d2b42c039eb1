import type { Ref } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { plain, text } from "../text";
import { CONTENT_TYPES, type Upload, type UploadQueue } from "../uploads/queue";

const SHOWN = 200;
const ACCEPT = [...Object.keys(CONTENT_TYPES).map((end) => `.${end}`), "image/*"].join(",");

/** All files of dropped items, those of folders too. */
async function filesOf(items: DataTransferItemList): Promise<File[]> {
  // At once: after the event's handler the items are gone.
  const dropped = [...items].map((item) => ({
    entry: item.webkitGetAsEntry(),
    file: item.getAsFile(),
  }));
  const files: File[] = [];
  async function walk(entry: FileSystemEntry): Promise<void> {
    if (entry.isFile) {
      files.push(
        await new Promise<File>((resolve, reject) =>
          (entry as FileSystemFileEntry).file(resolve, reject),
        ),
      );
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      // A reader gives at most a hundred entries at a time.
      const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
        reader.readEntries(resolve, reject),
      );
      if (batch.length === 0) return;
      for (const inner of batch) await walk(inner);
    }
  }
  for (const { entry, file } of dropped) {
    if (entry) await walk(entry);
    else if (file) files.push(file);
  }
  return files;
}

interface ChooserProps {
  input: Ref<HTMLInputElement>;
  add: (files: Iterable<File>) => void;
  multiple?: boolean;
  accept?: string;
  webkitdirectory?: boolean;
  /** The camera at the back: a phone opens it at once. */
  capture?: "environment";
}

/** What a button opens: the browser's own choice of files. */
function Chooser({ input, add, ...attributes }: ChooserProps) {
  return (
    <input
      ref={input}
      class="hidden"
      tabIndex={-1}
      aria-hidden="true"
      type="file"
      {...attributes}
      onChange={(event) => {
        add(event.currentTarget.files ?? []);
        event.currentTarget.value = "";
      }}
    />
  );
}

interface UploadPanelProps {
  queue: UploadQueue;
  uploads: readonly Upload[];
}

export function UploadPanel({ queue, uploads }: UploadPanelProps) {
  const [over, setOver] = useState(false);
  const [keepLocation, setKeepLocation] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);

  function add(chosen: Iterable<File>) {
    queue.add(chosen, keepLocation, text("unsupported"));
  }

  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const pasted = event.clipboardData?.files;
      if (pasted && pasted.length > 0) add(pasted);
    };
    addEventListener("paste", paste);
    return () => removeEventListener("paste", paste);
  }, [keepLocation]);

  useEffect(() => {
    const open = uploads.some(({ state }) => state === "waiting" || state === "uploading");
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    if (open) addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  });

  return (
    <section
      class={over ? "drop over" : "drop"}
      aria-label={text("uploads")}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (event.dataTransfer) void filesOf(event.dataTransfer.items).then(add);
      }}
    >
      <p>
        {text("drop")}{" "}
        <button type="button" onClick={() => files.current?.click()}>
          {text("choose")}
        </button>{" "}
        <button type="button" class="quiet" onClick={() => folder.current?.click()}>
          {text("folder")}
        </button>{" "}
        <button type="button" class="quiet touch" onClick={() => camera.current?.click()}>
          {text("camera")}
        </button>
      </p>
      <Chooser input={files} add={add} multiple accept={ACCEPT} />
      <Chooser input={folder} add={add} webkitdirectory />
      <Chooser input={camera} add={add} accept="image/*" capture="environment" />
      <label class="check">
        <input
          type="checkbox"
          checked={keepLocation}
          onChange={(event) => setKeepLocation(event.currentTarget.checked)}
        />
        {text("keepLocation")}
      </label>
      {uploads.length > 0 && (
        <div class="uploads">
          <ul aria-live="polite">
            {uploads.slice(-SHOWN).map((upload) => (
              <li key={upload.key} class={upload.state}>
                <span class="name">{plain(upload.name)}</span>
                <progress
                  value={upload.state === "developing" ? undefined : upload.progress}
                  max={1}
                  aria-label={plain(upload.name)}
                />
                <span class="state">{upload.message || text(upload.state)}</span>
                {queue.retryable(upload) && (
                  <button type="button" class="link" onClick={() => queue.retry(upload, keepLocation)}>
                    {text("retry")}
                  </button>
                )}
              </li>
            ))}
          </ul>
          <button type="button" class="link" onClick={() => queue.clear()}>
            {text("clear")}
          </button>
        </div>
      )}
    </section>
  );
}
