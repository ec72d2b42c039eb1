import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { changes } from "../api/changes";
import { type ImageSummary, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import type { CartState } from "../orders/cart";
import { text } from "../text";
import { PendingFiles } from "../uploads/pending";
import { type Upload, UploadQueue } from "../uploads/queue";
import { Settler } from "../uploads/settle";
import { transport } from "../uploads/transport";
import { Grid } from "./grid";
import { ORDERS, type Order, arrange } from "./order";
import { Photo } from "./photo";
import { rejectionText } from "./rejection";
import { Removal } from "./removal";
import { UploadPanel } from "./upload-panel";

const PAGE_PHOTOS = 60;
/** The API's maximum, where all pages are needed. */
const PAGE_MAX = 100;

function shownId(): string {
  return location.hash.match(/^#\/photos\/([0-9a-f]{32})$/)?.[1] ?? "";
}

/** The customer's photos by day, and the uploads. */
export function Photos({ cart, userId }: { cart: CartState; userId: string }) {
  const [images, setImages] = useState<readonly ImageSummary[]>([]);
  const [cursor, setCursor] = useState<string | null | undefined>();
  const [problem, setProblem] = useState("");
  const [opened, setOpened] = useState(shownId);
  const [search, setSearch] = useState("");
  const [order, setOrder] = useState<Order>("uploadedNewest");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [undoable, setUndoable] = useState(0);
  const [, redraw] = useState(0);
  const loading = useRef(false);

  const queue = useMemo(() => {
    const settler = new Settler(
      async (upload) =>
        (await unwrap(api.GET("/images", { params: { query: { upload } } }))).images,
      (upload, image) => {
        upload.state = image.status === "developed" ? "done" : "failed";
        upload.message = image.status === "rejected" ? rejectionText(image) : "";
        setImages((known) => [image, ...known.filter(({ id }) => id !== image.id)]);
        redraw((n) => n + 1);
      },
      undefined,
      changes(),
    );
    const pending = new PendingFiles(userId);
    const made: UploadQueue = new UploadQueue(
      transport,
      () => {
        for (const upload of made.uploads) if (upload.state === "developing") settler.watch(upload);
        redraw((n) => n + 1);
      },
      undefined,
      pending,
    );
    void pending.all().then((found) => {
      for (const { id, file, keepLocation } of found) {
        made.add([file], keepLocation, text("unsupported"), id);
      }
    });
    return made;
  }, []);

  const removal = useMemo(
    () =>
      new Removal(
        async (id) => {
          // Also while the page ends.
          await unwrap(api.DELETE("/images/{id}", { params: { path: { id } }, keepalive: true }));
          setImages((known) => known.filter((image) => image.id !== id));
        },
        (id, error) => {
          setHidden((known) => new Set([...known].filter((other) => other !== id)));
          setProblem(messageOf(error));
        },
        setUndoable,
      ),
    [],
  );

  async function load(from: string | null | undefined, limit: number) {
    if (from === null || loading.current) return;
    loading.current = true;
    try {
      const query = from === undefined ? { limit } : { limit, cursor: from };
      const page = await unwrap(api.GET("/images", { params: { query } }));
      setImages((known) => {
        const ids = new Set(known.map(({ id }) => id));
        return [...known, ...page.images.filter(({ id }) => !ids.has(id))];
      });
      setCursor(page.next_cursor);
    } catch (error) {
      setProblem(messageOf(error));
      setCursor(null);
    } finally {
      loading.current = false;
    }
  }

  useEffect(() => {
    void load(undefined, PAGE_PHOTOS);
    const follow = () => setOpened(shownId());
    const finish = () => removal.finish();
    addEventListener("hashchange", follow);
    addEventListener("pagehide", finish);
    return () => {
      removeEventListener("hashchange", follow);
      removeEventListener("pagehide", finish);
      finish();
    };
  }, []);

  // A search, and any order but the API's, need all photos.
  const needsAll = search !== "" || order !== "uploadedNewest";
  useEffect(() => {
    if (needsAll && cursor) void load(cursor, PAGE_MAX);
  }, [needsAll, cursor]);

  const groups = useMemo(
    () => arrange(images.filter(({ id }) => !hidden.has(id)), search, order),
    [images, hidden, search, order],
  );
  const atEnd = useCallback(() => {
    if (cursor) void load(cursor, PAGE_PHOTOS);
  }, [cursor]);

  function remove(ids: readonly string[]) {
    removal.start(ids);
    setHidden((known) => new Set([...known, ...ids]));
    setChosen(new Set());
  }

  function undo() {
    const kept = new Set(removal.undo());
    setHidden((known) => new Set([...known].filter((id) => !kept.has(id))));
  }

  const toggle = useCallback((id: string) => {
    setChosen((known) => {
      const next = new Set(known);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  }, []);

  // Photos that arrive would be inserted before those that are shown.
  const incomplete = order !== "uploadedNewest" && cursor !== null;
  const none = cursor === null && groups.length === 0 && !problem;
  return (
    <>
      <h1 class="hidden">{text("photos")}</h1>
      <UploadPanel queue={queue} uploads={queue.uploads as readonly Upload[]} />
      {problem && <p role="alert" class="problem">{problem}</p>}
      <div class="tools">
        <input
          type="search"
          aria-label={text("search")}
          placeholder={text("search")}
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <select
          aria-label={text("sortBy")}
          value={order}
          onChange={(event) => setOrder(event.currentTarget.value as Order)}
        >
          {ORDERS.map((name) => (
            <option key={name} value={name}>
              {text(name)}
            </option>
          ))}
        </select>
      </div>
      {(cursor === undefined || incomplete) && <p class="status">{text("loading")}</p>}
      {none && <p class="status">{text(search ? "noneFound" : "noPhotos")}</p>}
      {!incomplete && <Grid groups={groups} chosen={chosen} toggle={toggle} atEnd={atEnd} />}
      {(chosen.size > 0 || undoable > 0) && (
        <div class="actions" role="region" aria-label={text("selection")}>
          {chosen.size > 0 ? (
            <>
              <span role="status">{text("selected", { count: chosen.size })}</span>
              <button type="button" class="danger" onClick={() => remove([...chosen])}>
                {text("remove")}
              </button>
              <button type="button" class="quiet" onClick={() => setChosen(new Set())}>
                {text("clearSelection")}
              </button>
            </>
          ) : (
            <>
              <span role="status">{text("deleted", { count: undoable })}</span>
              <button type="button" onClick={undo}>
                {text("undo")}
              </button>
            </>
          )}
        </div>
      )}
      {opened && (
        <Photo
          key={opened}
          id={opened}
          cart={cart}
          remove={(id) => {
            remove([id]);
            location.hash = "#/photos";
          }}
        />
      )}
    </>
  );
}
