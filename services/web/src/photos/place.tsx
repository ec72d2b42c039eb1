import { number, text } from "../text";

/** Outlines of the continents, as longitude and latitude in degrees, coarse enough for a thumbnail. A
 * finer map would come from another host, which the page never asks. */
const LAND = [
  "-168,66 -140,70 -95,72 -80,63 -64,58 -55,50 -66,44 -75,38 -81,26 -90,30 -97,26 -95,18 -87,16 -83,9 -78,8 -92,14 -105,20 -115,30 -124,40 -125,49 -135,58 -152,59 -165,62",
  "-78,8 -62,10 -50,0 -35,-7 -39,-18 -48,-27 -58,-38 -66,-45 -69,-54 -74,-50 -72,-30 -70,-18 -81,-5",
  "-17,15 -10,30 -5,36 10,37 20,32 33,31 43,12 51,11 40,-5 40,-16 33,-27 26,-34 18,-34 12,-17 9,0 5,5 -8,5",
  "-10,36 -9,43 -1,44 -4,48 8,54 10,58 5,61 15,69 28,71 45,68 70,73 105,77 140,73 180,69 178,63 160,60 155,52 142,54 130,43 121,38 122,30 108,20 105,9 103,2 98,10 90,22 80,8 72,20 58,25 57,17 44,13 35,29 36,36 27,37 20,40 12,45 15,38 3,42 -5,36",
  "114,-22 122,-15 130,-12 136,-12 142,-11 146,-19 153,-27 150,-37 140,-38 131,-32 116,-34",
  "-55,82 -20,80 -22,70 -43,60 -53,68",
  "-8,50 1,51 -2,58 -6,58",
  "130,32 136,34 141,36 141,43 137,37",
];

export interface Location {
  latitude: number;
  longitude: number;
}

/** The location among a photo's facts, if it was kept. */
export function locationOf(facts: Record<string, unknown> | null | undefined): Location | null {
  const found = facts?.["location"] as Partial<Location> | null | undefined;
  const { latitude, longitude } = found ?? {};
  return typeof latitude === "number" && typeof longitude === "number"
    ? { latitude, longitude }
    : null;
}

/** Degrees with four decimals, some ten metres, and the points of the compass. */
export function coordinates({ latitude, longitude }: Location): string {
  const degrees = (value: number) =>
    number(Math.abs(value), { minimumFractionDigits: 4, maximumFractionDigits: 4 });
  const north = `${degrees(latitude)}° ${text(latitude < 0 ? "south" : "north")}`;
  const east = `${degrees(longitude)}° ${text(longitude < 0 ? "west" : "east")}`;
  return `${north}, ${east}`;
}

/** Where a photo was taken: coordinates and a map of the world. */
export function Place({ location }: { location: Location }) {
  const { latitude, longitude } = location;
  const shown = coordinates(location);
  const map = `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=14/${latitude}/${longitude}`;
  return (
    <section class="place">
      <h3>{text("place")}</h3>
      <svg viewBox="-180 -90 360 180" role="img" aria-label={`${text("worldMap")}: ${shown}`}>
        <g transform="scale(1 -1)">
          {LAND.map((points) => <polygon key={points} points={points} />)}
          <circle cx={longitude} cy={latitude} r="5" />
        </g>
      </svg>
      <p>
        {shown}{" "}
        <a href={map} target="_blank" rel="noreferrer">
          {text("openMap")}
        </a>
      </p>
    </section>
  );
}
