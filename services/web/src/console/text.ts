/** The console's texts, in English and German. */
import { language, locale, number } from "../text";

const en = {
  console: "Console",
  health: "Health",
  letters: "Dead letters",
  trace: "Trace",
  orders: "Orders",
  stock: "Stock",
  cost: "Cost",
  releases: "Releases",
  codeVersion: "This lab runs the code of its checkout: Darkroom {version}.",
  noReleases: "An embedded lab has no releases. On AWS this page shows the live version of each function, its image and time, the version before, and the command that goes back to it.",
  wayBack: "The way back",
  wayBackHint: "This page changes nothing. In a checkout, with an administrator's AWS credentials, this command moves every function to the version before the last release and holds it there:",
  noWayBack: "There is nothing to go back to: no version was live before the last release, or it was rolled back.",
  lastRelease: "Last release or rollback: {time}",
  live: "Live version",
  image: "Image",
  published: "Published",
  goesBackTo: "Goes back to",
  held: "held until its next image",
  notOnLambda: "not on Lambda",
  costToday: "Today: {total} on AWS",
  service: "Service",
  dollars: "US dollars",
  gibSeconds: "GiB-seconds",
  together: "Together",
  costHint: "Since {time}. Lambda: measured invocations and durations. Other services: estimated as darkroom cost does, from the number of photos ({photos}) and orders ({orders}). List prices of {region}, {date}, without what an idle lab costs.",
  functions: "Functions",
  queues: "Queues",
  lastHour: "Functions: the last {minutes} minutes",
  name: "Function",
  rate: "Per minute",
  invocations: "Runs",
  errors: "Errors",
  p50: "p50",
  p99: "p99",
  coldStarts: "Cold starts",
  inFlight: "In flight",
  waiting: "Waiting",
  oldest: "Oldest",
  dead: "Dead letters",
  overTime: "Waiting over time",
  idle: "Functions without work: {count}",
  updated: "As of {time}; again every {seconds} s",
  allFunctions: "All functions",
  errorType: "Error type",
  contains: "Contains",
  olderThan: "Older than (minutes)",
  filter: "Filter",
  noLetters: "No dead letters.",
  unread: "{function}: {count} more are not readable now.",
  select: "Select",
  selectAll: "Select all",
  replay: "Replay",
  discard: "Discard",
  dryRun: "Dry run",
  wouldReplay: "Messages that a replay would send back: {count}",
  wouldDiscard: "Messages that would be deleted: {count}",
  replayed: "Replayed: {count}",
  discarded: "Discarded: {count}",
  discardConfirm: "Delete the selected messages for good? Number: {count}",
  attempts: "attempts: {count}",
  replays: "replays: {count}",
  message: "Message",
  showTrace: "Trace",
  photo: "The photo",
  traceId: "Id of a photo, an order or a request",
  show: "Show",
  took: "{duration}. Invocations and requests: {count}",
  cold: "cold start",
  events: "Events",
  status: "Status",
  all: "All",
  prints: "Prints",
  created: "Received",
  changed: "Changed",
  total: "Total",
  more: "Show more",
  product: "Product",
  paper: "Paper",
  price: "Price",
  onHand: "On hand",
  reserved: "Reserved",
  available: "Available",
  sold: "Sold",
  country: "Country",
} as const;

export type Key = keyof typeof en;

const de: Record<Key, string> = {
  console: "Leitstand",
  health: "Zustand",
  letters: "Tote Nachrichten",
  trace: "Verlauf",
  orders: "Bestellungen",
  stock: "Bestand",
  cost: "Kosten",
  releases: "Versionen",
  codeVersion: "Dieses Labor führt den Code seines Arbeitsverzeichnisses aus: Darkroom {version}.",
  noReleases: "Ein eingebettetes Labor kennt keine Veröffentlichungen. Auf AWS zeigt diese Seite von jeder Funktion die laufende Version, ihr Image und ihre Zeit, die Version davor und den Befehl, der zu ihr zurückkehrt.",
  wayBack: "Der Weg zurück",
  wayBackHint: "Diese Seite ändert nichts. In einem Arbeitsverzeichnis, mit AWS-Zugangsdaten eines Administrators, bringt dieser Befehl jede Funktion zur Version vor der letzten Veröffentlichung zurück und hält sie dort:",
  noWayBack: "Es gibt keinen Weg zurück: Vor der letzten Veröffentlichung lief keine Version, oder sie wurde schon zurückgenommen.",
  lastRelease: "Letzte Veröffentlichung oder Rücknahme: {time}",
  live: "Laufende Version",
  image: "Image",
  published: "Veröffentlicht",
  goesBackTo: "Zurück zu",
  held: "gehalten bis zum nächsten Image",
  notOnLambda: "nicht auf Lambda",
  costToday: "Heute: {total} auf AWS",
  service: "Dienst",
  dollars: "US-Dollar",
  gibSeconds: "GiB-Sekunden",
  together: "Zusammen",
  costHint: "Seit {time}. Lambda: gemessene Aufrufe und Laufzeiten. Andere Dienste: geschätzt wie von darkroom cost, aus der Zahl der Fotos ({photos}) und Bestellungen ({orders}). Listenpreise von {region}, {date}, ohne die Kosten eines ungenutzten Labors.",
  functions: "Funktionen",
  queues: "Warteschlangen",
  lastHour: "Funktionen: die letzten {minutes} Minuten",
  name: "Funktion",
  rate: "Je Minute",
  invocations: "Aufrufe",
  errors: "Fehler",
  p50: "p50",
  p99: "p99",
  coldStarts: "Kaltstarts",
  inFlight: "In Arbeit",
  waiting: "Wartend",
  oldest: "Älteste",
  dead: "Tote",
  overTime: "Wartend im Zeitverlauf",
  idle: "Funktionen ohne Arbeit: {count}",
  updated: "Stand {time}; erneut alle {seconds} s",
  allFunctions: "Alle Funktionen",
  errorType: "Fehlerart",
  contains: "Enthält",
  olderThan: "Älter als (Minuten)",
  filter: "Filtern",
  noLetters: "Keine toten Nachrichten.",
  unread: "{function}: {count} weitere sind gerade nicht lesbar.",
  select: "Auswählen",
  selectAll: "Alle auswählen",
  replay: "Erneut senden",
  discard: "Verwerfen",
  dryRun: "Probelauf",
  wouldReplay: "Nachrichten, die erneut gesendet würden: {count}",
  wouldDiscard: "Nachrichten, die gelöscht würden: {count}",
  replayed: "Erneut gesendet: {count}",
  discarded: "Verworfen: {count}",
  discardConfirm: "Die ausgewählten Nachrichten endgültig löschen? Anzahl: {count}",
  attempts: "Versuche: {count}",
  replays: "erneut gesendet: {count}",
  message: "Nachricht",
  showTrace: "Verlauf",
  photo: "Das Foto",
  traceId: "Kennung eines Fotos, einer Bestellung oder einer Anfrage",
  show: "Anzeigen",
  took: "{duration}. Aufrufe und Anfragen: {count}",
  cold: "Kaltstart",
  events: "Ereignisse",
  status: "Status",
  all: "Alle",
  prints: "Abzüge",
  created: "Eingegangen",
  changed: "Geändert",
  total: "Summe",
  more: "Mehr anzeigen",
  product: "Produkt",
  paper: "Papier",
  price: "Preis",
  onHand: "Vorhanden",
  reserved: "Reserviert",
  available: "Verfügbar",
  sold: "Verkauft",
  country: "Land",
};

export const TEXTS = { en, de } as const;
const texts: Record<Key, string> = TEXTS[language];

export function label(key: Key, values: Record<string, string | number> = {}): string {
  return texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

export function duration(milliseconds: number | null): string {
  if (milliseconds === null) return "–";
  return milliseconds < 10_000 ? `${Math.round(milliseconds)} ms` : seconds(milliseconds / 1000);
}

/** A number with this many decimals. */
export function decimal(value: number, digits: number): string {
  const range = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return number(value, range);
}

/** An age or a duration in seconds, in its largest unit. */
export function seconds(value: number | null): string {
  if (value === null) return "–";
  if (value < 120) return `${Math.round(value)} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${Math.round(value / 3600)} h`;
}

const amounts = new Intl.NumberFormat(locale, {
  style: "currency",
  currency: "USD",
  maximumSignificantDigits: 3,
});

/** An amount of US dollars; those of one day may be fractions of a cent. */
export function dollars(amount: number): string {
  return amounts.format(amount);
}
