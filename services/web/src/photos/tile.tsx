import { useMemo, useState } from "preact/hooks";
import type { ImageSummary } from "../api/client";
import { plain, text } from "../text";
import { placeholderUrl } from "./placeholder";
import { rejectionText } from "./rejection";

interface TileProps {
  image: ImageSummary;
  chosen: boolean;
  toggle: (id: string) => void;
}

/** A photo in the grid: its ThumbHash at once, then its smallest rendition. */
export function Tile({ image, chosen, toggle }: TileProps) {
  const [loaded, setLoaded] = useState(false);
  const name = plain(image.filenames[0] ?? image.id);
  const blur = useMemo(() => image.placeholder && placeholderUrl(image.placeholder), [image.placeholder]);
  const choice = (
    <input
      type="checkbox"
      checked={chosen}
      onChange={() => toggle(image.id)}
      aria-label={`${text("select")} ${name}`}
    />
  );
  if (image.status === "rejected") {
    return (
      <li class="tile rejected">
        {choice}
        <a href={`#/photos/${image.id}`}>
          <b>{name}</b>
          <span>{rejectionText(image)}</span>
        </a>
      </li>
    );
  }
  return (
    <li class="tile">
      {choice}
      <a href={`#/photos/${image.id}`} aria-label={name}>
        {blur && <img class="blur" src={blur} alt="" />}
        {image.thumbnail ? (
          <img
            class={loaded ? "shown" : "coming"}
            src={image.thumbnail}
            alt={name}
            width={image.width ?? undefined}
            height={image.height ?? undefined}
            loading="lazy"
            decoding="async"
            onLoad={() => setLoaded(true)}
          />
        ) : (
          <span class="status">{text("developing")}</span>
        )}
      </a>
    </li>
  );
}
