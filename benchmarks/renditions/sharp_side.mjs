// One form of the job with sharp: reads a line per photo, answers with the CPU time it took.
// node sharp_side.mjs <each|once|cascade> <formats, comma separated>
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import sharp from "sharp";

sharp.concurrency(1);
sharp.cache(false);

const [form, formatList] = process.argv.slice(2);
const formats = formatList.split(",");
const SIZES = [2048, 1024, 256];
const ENCODERS = {
  jpeg: (image) => image.jpeg({ quality: 80, progressive: true }),
  webp: (image) => image.webp({ quality: 80, effort: 2 }),
};
const inside = (image, edge) =>
  image.resize(edge, edge, { fit: "inside", withoutEnlargement: true });
const pixels = (image) => image.raw().toBuffer({ resolveWithObject: true });
const from = ({ data, info }) =>
  sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels } });

const FORMS = {
  // As most image functions are written: every rendition starts from the file.
  async each(source) {
    let bytes = 0;
    for (const edge of SIZES)
      for (const format of formats)
        bytes += (await ENCODERS[format](inside(sharp(source).rotate(), edge)).toBuffer()).length;
    return bytes;
  },
  // Decoded once, every size from the largest.
  async once(source) {
    let bytes = 0;
    const large = await pixels(inside(sharp(source).rotate(), SIZES[0]));
    for (const edge of SIZES)
      for (const format of formats)
        bytes += (await ENCODERS[format](inside(from(large), edge)).toBuffer()).length;
    return bytes;
  },
  // Decoded once, every size from the next larger.
  async cascade(source) {
    let bytes = 0;
    let next = await pixels(inside(sharp(source).rotate(), SIZES[0]));
    for (const edge of SIZES) {
      if (edge !== SIZES[0]) next = await pixels(inside(from(next), edge));
      for (const format of formats) bytes += (await ENCODERS[format](from(next)).toBuffer()).length;
    }
    return bytes;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const source = readFileSync(line);
  const before = process.cpuUsage();
  const bytes = await FORMS[form](source);
  const { user, system } = process.cpuUsage(before);
  const status = readFileSync("/proc/self/status", "utf8");
  const peak = Number(/VmHWM:\s+(\d+)/.exec(status)[1]);
  process.stdout.write(
    JSON.stringify({ cpu_ms: (user + system) / 1000, bytes, peak_mib: peak / 1024 }) + "\n",
  );
}
