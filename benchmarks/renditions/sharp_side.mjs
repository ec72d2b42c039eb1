// One form of the job with sharp: reads a job per line, answers with the CPU time it took.
// node sharp_side.mjs <each|once|cascade> <formats, comma separated> <baseline|progressive>
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import sharp from "sharp";

sharp.concurrency(1);
sharp.cache(false);

const [form, formatList, flavour] = process.argv.slice(2);
const formats = formatList.split(",");
const SIZES = { large: 2048, medium: 1024, thumb: 256 };
const LARGEST = SIZES.large;
const EXTENSIONS = { jpeg: "jpg", webp: "webp" };
const ENCODERS = {
  // Huffman tables are made for the picture: sharp's default.
  jpeg: (image, quality) => image.jpeg({ quality, progressive: flavour === "progressive" }),
  webp: (image, quality) => image.webp({ quality, effort: 2 }),
};
const inside = (image, edge) =>
  image.resize(edge, edge, { fit: "inside", withoutEnlargement: true });
const pixels = (image) => image.raw().toBuffer({ resolveWithObject: true });
const from = ({ data, info }) =>
  sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels } });

const FORMS = {
  // As most image functions are written: every rendition starts from the file.
  async each(source, encode) {
    for (const [name, edge] of Object.entries(SIZES))
      for (const format of formats) await encode(name, format, inside(sharp(source).rotate(), edge));
  },
  // Decoded once, every size from the largest.
  async once(source, encode) {
    const large = await pixels(inside(sharp(source).rotate(), LARGEST));
    for (const [name, edge] of Object.entries(SIZES))
      for (const format of formats) await encode(name, format, inside(from(large), edge));
  },
  // Decoded once, every size from the next larger.
  async cascade(source, encode) {
    let next = await pixels(inside(sharp(source).rotate(), LARGEST));
    for (const [name, edge] of Object.entries(SIZES)) {
      if (edge !== LARGEST) next = await pixels(inside(from(next), edge));
      for (const format of formats) await encode(name, format, from(next));
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { photo, quality, folder } = JSON.parse(line);
  const source = readFileSync(photo);
  const files = {};
  const encode = async (name, format, image) => {
    files[`${name}.${EXTENSIONS[format]}`] = await ENCODERS[format](image, quality).toBuffer();
  };
  const before = process.cpuUsage();
  await FORMS[form](source, encode);
  const { user, system } = process.cpuUsage(before);
  if (folder)
    for (const [name, data] of Object.entries(files)) writeFileSync(join(folder, name), data);
  const bytes = Object.values(files).reduce((sum, data) => sum + data.length, 0);
  const status = readFileSync("/proc/self/status", "utf8");
  const peak = Number(/VmHWM:\s+(\d+)/.exec(status)[1]);
  process.stdout.write(
    JSON.stringify({ cpu_ms: (user + system) / 1000, bytes, peak_mib: peak / 1024 }) + "\n",
  );
}
