/** The console's texts, in English and German. */
import { language } from "../text";

const en = {
  console: "Console",
  health: "Health",
  letters: "Dead letters",
  trace: "Trace",
  orders: "Orders",
  stock: "Stock",
  cost: "Cost",
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
  idle: "{count} functions had nothing to do.",
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
  wouldReplay: "A replay would send back {count} messages.",
  wouldDiscard: "{count} messages would be deleted.",
  replayed: "Replayed: {count}",
  discarded: "Discarded: {count}",
  discardConfirm: "Delete {count} messages for good?",
  attempts: "{count} attempts",
  replays: "replayed {count} times",
  message: "Message",
  showTrace: "Trace",
  photo: "The photo",
  traceId: "Id of a photo, an order or a request",
  show: "Show",
  took: "{duration} in {count} invocations and requests",
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

type Key = keyof typeof en;

const de: Record<Key, string> = {
  console: "Leitstand",
  health: "Zustand",
  letters: "Tote Nachrichten",
  trace: "Verlauf",
  orders: "Bestellungen",
  stock: "Bestand",
  cost: "Kosten",
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
  idle: "{count} Funktionen hatten nichts zu tun.",
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
  wouldReplay: "{count} Nachrichten würden erneut gesendet.",
  wouldDiscard: "{count} Nachrichten würden gelöscht.",
  replayed: "Erneut gesendet: {count}",
  discarded: "Verworfen: {count}",
  discardConfirm: "{count} Nachrichten endgültig löschen?",
  attempts: "{count} Versuche",
  replays: "{count}-mal erneut gesendet",
  message: "Nachricht",
  showTrace: "Verlauf",
  photo: "Das Foto",
  traceId: "Kennung eines Fotos, einer Bestellung oder einer Anfrage",
  show: "Anzeigen",
  took: "{duration} in {count} Aufrufen und Anfragen",
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

const texts: Record<Key, string> = language === "de" ? de : en;

export function label(key: Key, values: Record<string, string | number> = {}): string {
  return texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

export function duration(milliseconds: number | null): string {
  if (milliseconds === null) return "–";
  return milliseconds < 10_000 ? `${Math.round(milliseconds)} ms` : seconds(milliseconds / 1000);
}

/** An age or a duration in seconds, in its largest unit. */
export function seconds(value: number | null): string {
  if (value === null) return "–";
  if (value < 120) return `${Math.round(value)} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${Math.round(value / 3600)} h`;
}

const amounts = new Intl.NumberFormat(language, {
  style: "currency",
  currency: "USD",
  maximumSignificantDigits: 3,
});

/** An amount of US dollars; those of one day may be fractions of a cent. */
export function dollars(amount: number): string {
  return amounts.format(amount);
}
