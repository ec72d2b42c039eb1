import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ImageSummary, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import type { CartState } from "../orders/cart";
import { day, text } from "../text";
import { type Upload, UploadQueue } from "../uploads/queue";
import { Settler } from "../uploads/settle";
import { transport } from "../uploads/transport";
import { Photo } from "./photo";
import { Tile } from "./tile";
import { UploadPanel } from "./upload-panel";

const PAGE_PHOTOS = 60;

function shownId(): string {
  return location.hash.match(/^#\/photos\/([0-9a-f]{32})$/)?.[1] ?? "";
}

/** The customer's photos, newest first, by day; and the uploads. */
export function Photos({ cart }: { cart: CartState }) {
  const [images, setImages] = useState<readonly ImageSummary[]>([]);
  const [cursor, setCursor] = useState<string | null | undefined>();
  const [problem, setProblem] = useState("");
  const [opened, setOpened] = useState(shownId);
  const [, redraw] = useState(0);
  const end = useRef<HTMLDivElement>(null);

  const queue = useMemo(() => {
    const settler = new Settler(
      async (upload) =>
        (await unwrap(api.GET("/images", { params: { query: { upload } } }))).images,
      (upload, image) => {
        upload.state = image.status === "developed" ? "done" : "failed";
        upload.message = image.message ?? "";
        setImages((known) => [image, ...known.filter(({ id }) => id !== image.id)]);
        redraw((n) => n + 1);
      },
    );
    const made: UploadQueue = new UploadQueue(transport, () => {
      for (const upload of made.uploads) if (upload.state === "developing") settler.watch(upload);
      redraw((n) => n + 1);
    });
    return made;
  }, []);

  async function load(from: string | null | undefined) {
    if (from === null) return;
    try {
      const query = from === undefined ? { limit: PAGE_PHOTOS } : { limit: PAGE_PHOTOS, cursor: from };
      const page = await unwrap(api.GET("/images", { params: { query } }));
      setImages((known) => {
        const fresh = page.images.filter(({ id }) => !known.some((other) => other.id === id));
        return [...known, ...fresh];
      });
      setCursor(page.next_cursor);
    } catch (error) {
      setProblem(messageOf(error));
      setCursor(null);
    }
  }

  useEffect(() => {
    void load(undefined);
    const follow = () => setOpened(shownId());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);

  useEffect(() => {
    if (end.current === null || cursor === undefined || cursor === null) return;
    const watcher = new IntersectionObserver(
      (entries) => {
        if (entries.some(({ isIntersecting }) => isIntersecting)) void load(cursor);
      },
      { rootMargin: "800px" },
    );
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [cursor]);

  const days = useMemo(() => {
    const found = new Map<string, ImageSummary[]>();
    for (const image of images) {
      const name = day(image.uploaded_at);
      found.set(name, [...(found.get(name) ?? []), image]);
    }
    return [...found];
  }, [images]);

  function removed(id: string) {
    setImages((known) => known.filter((image) => image.id !== id));
    location.hash = "#/photos";
  }

  return (
    <>
      <h1 class="hidden">{text("photos")}</h1>
      <UploadPanel queue={queue} uploads={queue.uploads as readonly Upload[]} />
      {problem && <p role="alert" class="problem">{problem}</p>}
      {cursor === undefined && <p class="status">{text("loading")}</p>}
      {cursor === null && images.length === 0 && !problem && <p class="status">{text("noPhotos")}</p>}
      {days.map(([name, found]) => (
        <section key={name} class="day" aria-label={name}>
          <h2>{name}</h2>
          <ul class="grid">
            {found.map((image) => (
              <Tile key={image.id} image={image} />
            ))}
          </ul>
        </section>
      ))}
      <div ref={end} />
      {opened && (
        <Photo key={opened} id={opened} cart={cart} removed={removed} />
      )}
    </>
  );
}
