import { generate } from "lean-qr";
import { toSvgPath } from "lean-qr/extras/svg";
import { text } from "../text";

/** Modules of the quiet zone that readers need on each side (ISO/IEC 18004). */
const MARGIN = 4;

/** A QR code of `content`: dark on white in dark mode too, as readers expect. */
export function QrCode({ content }: { content: string }) {
  const code = generate(content);
  const size = code.size + 2 * MARGIN;
  return (
    <svg class="qr" role="img" aria-label={text("qrCode")} viewBox={`0 0 ${size} ${size}`}>
      <path transform={`translate(${MARGIN} ${MARGIN})`} d={toSvgPath(code)} />
    </svg>
  );
}
