import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Row, approach, between, layout } from "./layout";
import type { Group } from "./order";
import { Tile } from "./tile";

/** Rows this far outside the window are in the document too. */
const OVERSCAN = 1000;
/** Rows outside the window that a frame adds at each end: all at once would take too long. */
const ROWS_A_FRAME = 3;

interface GridProps {
  groups: readonly Group[];
  chosen: ReadonlySet<string>;
  toggle: (id: string) => void;
  /** Called when the end is near. */
  atEnd: () => void;
}

/** The photos by day. Only rows near the window are in the document, so that thousands scroll. */
export function Grid({ groups, chosen, toggle, atEnd }: GridProps) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [range, setRange] = useState<readonly [number, number]>([0, 0]);
  const rendered = useRef(range);
  const placed = useMemo(() => layout(groups, width), [groups, width]);

  useLayoutEffect(() => {
    if (box.current === null) return;
    setWidth(box.current.clientWidth);
    const watcher = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width ?? 0));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);

  useEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const top = -(box.current?.getBoundingClientRect().top ?? 0);
      const wanted = between(placed.rows, top - OVERSCAN, top + innerHeight + OVERSCAN);
      const visible = between(placed.rows, top, top + innerHeight);
      const next = approach(rendered.current, visible, wanted, ROWS_A_FRAME);
      rendered.current = next;
      setRange((known) => (known[0] === next[0] && known[1] === next[1] ? known : next));
      if (next[0] !== wanted[0] || next[1] !== wanted[1]) soon();
      const isMeasured = placed.tile > 0;
      if (isMeasured && top + innerHeight + OVERSCAN > placed.height) atEnd();
    };
    const soon = () => {
      frame ||= requestAnimationFrame(look);
    };
    look();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [placed, atEnd]);

  const shown = placed.rows.slice(...range);
  return (
    <div ref={box} class="rows" style={{ height: `${placed.height}px` }}>
      <div style={{ transform: `translateY(${shown[0]?.top ?? 0}px)` }}>
        {shown.map((row) => (
          <RowOfTiles key={row.key} row={row} tile={placed.tile} chosen={chosen} toggle={toggle} />
        ))}
      </div>
    </div>
  );
}

interface RowProps extends Pick<GridProps, "chosen" | "toggle"> {
  row: Row;
  /** A tile's width in pixels. */
  tile: number;
}

/** A row, or the name of a day. It is rendered again only if it changes, not with every scroll. */
function RowOfTiles({ row, tile, chosen, toggle }: RowProps) {
  return useMemo(
    () =>
      row.heading ? (
        <h2 class="day">{row.heading}</h2>
      ) : (
        <ul
          class="grid"
          style={{ gridTemplateColumns: `repeat(auto-fill, ${tile}px)`, height: `${row.height}px` }}
        >
          {row.images.map((image) => (
            <Tile key={image.id} image={image} chosen={chosen.has(image.id)} toggle={toggle} />
          ))}
        </ul>
      ),
    [row, tile, chosen, toggle],
  );
}
