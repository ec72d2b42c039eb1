import { useState } from "preact/hooks";
import type { ImageSummary } from "../api/client";
import { plain, text } from "../text";
import { placeholderUrl } from "./placeholder";

/** A photo in the grid: its ThumbHash at once, then its smallest rendition. */
export function Tile({ image }: { image: ImageSummary }) {
  const [loaded, setLoaded] = useState(false);
  const name = plain(image.filenames[0] ?? image.id);
  if (image.status === "rejected") {
    return (
      <li class="tile rejected">
        <a href={`#/photos/${image.id}`}>
          <b>{name}</b>
          <span>{image.message ?? text("rejected")}</span>
        </a>
      </li>
    );
  }
  return (
    <li class="tile">
      <a href={`#/photos/${image.id}`} aria-label={name}>
        {image.placeholder && <img class="blur" src={placeholderUrl(image.placeholder)} alt="" />}
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
