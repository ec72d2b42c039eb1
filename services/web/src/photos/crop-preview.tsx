import { useRef } from "preact/hooks";
import type { Image, Product } from "../api/client";
import { text } from "../text";
import { BLEED_MM, cropAround, dpiOf } from "./crop";

const MIN_DPI = 150;
const STEP = 0.05;

export interface Focus {
  x: number;
  y: number;
}

interface PreviewProps {
  image: Image;
  product: Product;
  focus: Focus;
  move: (focus: Focus) => void;
}

/** What the print shows: drag it, click, or use the arrow keys. The dashed line is where the paper
 * is cut; outside of it is the bleed. */
export function CropPreview({ image, product, focus, move }: PreviewProps) {
  const svg = useRef<SVGSVGElement>(null);
  const { width, height } = image;
  if (!width || !height) return null;
  const crop = cropAround({ width, height }, product, focus);
  const bleed = BLEED_MM * crop.scale;
  const dpi = dpiOf(crop);
  const source = (image.renditions ?? [])
    .filter(({ format }) => format === "jpeg" || format === "webp")
    // A size of other proportions shows a part of the photo only.
    .filter((one) => Math.abs(one.width / one.height / (width / height) - 1) < 0.02)
    .sort((a, b) => a.width - b.width)
    .find((one) => one.width >= 300 || one.height >= 300);

  function follow(event: PointerEvent) {
    if (event.buttons !== 1 || svg.current === null) return;
    const box = svg.current.getBoundingClientRect();
    const part = (value: number) => Math.min(1, Math.max(0, value));
    move({ x: part((event.clientX - box.left) / box.width), y: part((event.clientY - box.top) / box.height) });
  }

  function press(event: KeyboardEvent) {
    const steps: Record<string, readonly [number, number]> = {
      ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP],
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const part = (value: number) => Math.min(1, Math.max(0, value));
    move({ x: part(focus.x + step[0]), y: part(focus.y + step[1]) });
  }

  const outside = `M0 0H${width}V${height}H0Z M${crop.left} ${crop.top}v${crop.height}h${crop.width}v${-crop.height}Z`;
  return (
    <>
      <svg
        ref={svg}
        class="crop"
        viewBox={`0 0 ${width} ${height}`}
        role="application"
        aria-label={text("crop")}
        tabindex={0}
        onPointerDown={follow}
        onPointerMove={follow}
        onKeyDown={press}
      >
        <image href={source?.url ?? image.thumbnail ?? ""} width={width} height={height} preserveAspectRatio="none" />
        <path class="outside" d={outside} fill-rule="evenodd" />
        <rect
          class="trim"
          x={crop.left + bleed}
          y={crop.top + bleed}
          width={Math.max(0, crop.width - 2 * bleed)}
          height={Math.max(0, crop.height - 2 * bleed)}
          vector-effect="non-scaling-stroke"
        />
      </svg>
      <p class={dpi < MIN_DPI ? "problem" : "hint"} role="status">
        {text(dpi < MIN_DPI ? "resolutionLow" : "resolution", { dpi })} · {text("bleed", { mm: BLEED_MM })}
      </p>
    </>
  );
}
