/** All texts of the page, in English and German. */
const en = {
  signIn: "Sign in",
  signUp: "Create an account",
  signOut: "Sign out",
  email: "E-mail address",
  name: "Name",
  password: "Password",
  newPassword: "New password",
  currentPassword: "Current password",
  changePassword: "Change password",
  passwordChanged: "Your password is changed. Your other sessions are closed.",
  noAccount: "No account yet?",
  haveAccount: "You have an account?",
  photos: "Photos",
  orders: "Orders",
  account: "Account",
  console: "Console",
  tagline: "Upload photos, watch them develop, order prints.",
  drop: "Drop photos here, paste them, or",
  choose: "choose files",
  folder: "a folder",
  keepLocation: "Keep the place where photos were taken",
  unsupported: "Not a photo format that is taken: JPEG, PNG, WebP, GIF, TIFF, HEIC or AVIF.",
  uploads: "Uploads",
  waiting: "waiting",
  uploading: "uploading",
  developing: "developing",
  done: "developed",
  failed: "failed",
  retry: "Try again",
  clear: "Clear the list",
  noPhotos: "No photos yet.",
  more: "Show more",
  rejected: "Could not be developed",
  remove: "Delete",
  removeConfirm: "Delete this photo with all its sizes?",
  removed: "Photo deleted.",
  close: "Close",
  download: "Download",
  sizes: "Sizes",
  facts: "About this photo",
  order: "Order prints",
  product: "Product",
  quantity: "Number",
  addToCart: "Add to the cart",
  cart: "Cart",
  cartEmpty: "The cart is empty. Open a photo and choose a print.",
  delivery: "Delivery address",
  line1: "Street and number",
  line2: "Addition (optional)",
  postcode: "Postcode",
  city: "City",
  country: "Country (two letters)",
  payment: "Payment",
  placeOrder: "Place the order",
  total: "Total",
  noOrders: "No orders yet.",
  cancel: "Cancel the order",
  resolution: "{dpi} dpi on paper",
  resolutionLow: "{dpi} dpi on paper: looks blurred",
  soldOut: "sold out",
  error: "That did not work.",
  offline: "The lab cannot be reached. Try again in a moment.",
  sessionOver: "Your session has ended. Sign in again.",
  loading: "Loading …",
  created: "Received",
  validated: "Checked",
  reserved: "Paper reserved",
  paid: "Paid",
  fulfilled: "Printed",
  shipped: "Shipped",
  out_of_stock: "Out of stock",
  payment_declined: "Payment declined",
  cancelled: "Cancelled",
  orderRejected: "Refused",
  orderFailed: "Failed",
} as const;

type Key = keyof typeof en;

const de: Record<Key, string> = {
  signIn: "Anmelden",
  signUp: "Konto anlegen",
  signOut: "Abmelden",
  email: "E-Mail-Adresse",
  name: "Name",
  password: "Passwort",
  newPassword: "Neues Passwort",
  currentPassword: "Bisheriges Passwort",
  changePassword: "Passwort ändern",
  passwordChanged: "Das Passwort ist geändert. Ihre anderen Sitzungen sind beendet.",
  noAccount: "Noch kein Konto?",
  haveAccount: "Sie haben ein Konto?",
  photos: "Fotos",
  orders: "Bestellungen",
  account: "Konto",
  console: "Leitstand",
  tagline: "Fotos hochladen, beim Entwickeln zusehen, Abzüge bestellen.",
  drop: "Fotos hierher ziehen, einfügen oder",
  choose: "Dateien wählen",
  folder: "einen Ordner",
  keepLocation: "Aufnahmeort der Fotos behalten",
  unsupported: "Kein Fotoformat, das angenommen wird: JPEG, PNG, WebP, GIF, TIFF, HEIC oder AVIF.",
  uploads: "Übertragungen",
  waiting: "wartet",
  uploading: "wird übertragen",
  developing: "wird entwickelt",
  done: "entwickelt",
  failed: "fehlgeschlagen",
  retry: "Noch einmal versuchen",
  clear: "Liste leeren",
  noPhotos: "Noch keine Fotos.",
  more: "Mehr anzeigen",
  rejected: "Konnte nicht entwickelt werden",
  remove: "Löschen",
  removeConfirm: "Dieses Foto mit allen Größen löschen?",
  removed: "Foto gelöscht.",
  close: "Schließen",
  download: "Herunterladen",
  sizes: "Größen",
  facts: "Über dieses Foto",
  order: "Abzüge bestellen",
  product: "Produkt",
  quantity: "Anzahl",
  addToCart: "In den Warenkorb",
  cart: "Warenkorb",
  cartEmpty: "Der Warenkorb ist leer. Öffnen Sie ein Foto und wählen Sie einen Abzug.",
  delivery: "Lieferadresse",
  line1: "Straße und Hausnummer",
  line2: "Zusatz (freiwillig)",
  postcode: "Postleitzahl",
  city: "Ort",
  country: "Land (zwei Buchstaben)",
  payment: "Zahlung",
  placeOrder: "Bestellen",
  total: "Summe",
  noOrders: "Noch keine Bestellungen.",
  cancel: "Bestellung stornieren",
  resolution: "{dpi} dpi auf Papier",
  resolutionLow: "{dpi} dpi auf Papier: wirkt unscharf",
  soldOut: "ausverkauft",
  error: "Das hat nicht geklappt.",
  offline: "Das Labor ist nicht erreichbar. Versuchen Sie es gleich noch einmal.",
  sessionOver: "Ihre Sitzung ist beendet. Melden Sie sich wieder an.",
  loading: "Lädt …",
  created: "Eingegangen",
  validated: "Geprüft",
  reserved: "Papier reserviert",
  paid: "Bezahlt",
  fulfilled: "Gedruckt",
  shipped: "Verschickt",
  out_of_stock: "Ausverkauft",
  payment_declined: "Zahlung abgelehnt",
  cancelled: "Storniert",
  orderRejected: "Abgelehnt",
  orderFailed: "Fehlgeschlagen",
};

export const language: "en" | "de" = (globalThis.navigator?.language ?? "en").startsWith("de") ? "de" : "en";
const texts: Record<Key, string> = language === "de" ? de : en;

/** The text for `key`; `{name}` is replaced by a value. */
export function text(key: Key, values: Record<string, string | number> = {}): string {
  return texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** An order's status in words. */
export function statusText(status: string): string {
  if (status === "rejected") return text("orderRejected");
  if (status === "failed") return text("orderFailed");
  return texts[status as Key] ?? status;
}

export function money(minor: number, currency: string): string {
  return new Intl.NumberFormat(language, { style: "currency", currency }).format(minor / 100);
}

export function day(time: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "full" }).format(new Date(time));
}

export function moment(time: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(
    new Date(time),
  );
}

/** A customer's text with what could reorder or hide the text around it left out. */
export function plain(value: string): string {
  return value.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g, "");
}
