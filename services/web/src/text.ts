/** All texts of the page, in English and German. */
const en = {
  signIn: "Sign in",
  signUp: "Create an account",
  signOut: "Sign out",
  code: "Code",
  codeSent: "We sent an e-mail to {email}. Enter the code that it has, and choose a password. If there is no e-mail, look into the spam folder.",
  confirm: "Confirm",
  forgotten: "Forgotten your password?",
  resetPassword: "Set a new password",
  sendCode: "Send a code",
  resetSent: "If {email} has an account, an e-mail is on its way. Enter the code that it has, and choose a new password.",
  passwordReset: "Your password is changed, and all sessions are closed. Sign in.",
  email: "E-mail address",
  name: "Name",
  password: "Password",
  newPassword: "New password",
  currentPassword: "Current password",
  changePassword: "Change password",
  passwordChanged: "Your password is changed. Your other sessions are closed.",
  noAccount: "No account yet?",
  haveAccount: "You have an account?",
  show: "Show",
  hide: "Hide",
  appCode: "Code of your authenticator app",
  secondFactor: "Second factor",
  secondFactorHint: "Have sign-in ask for a code of an authenticator app too.",
  secondFactorOn: "Sign-in asks for a code of your authenticator app.",
  secondFactorEnrol: "Set up",
  secondFactorRemove: "Switch off",
  appSecret: "Scan the code with your authenticator app, or enter this key:",
  qrCode: "QR code for your authenticator app",
  openApp: "Open the app on this device",
  recoveryCodes: "Keep these codes. Each lets you sign in once without the app; they are not shown again.",
  dataExport: "Export your data",
  dataExportHint: "A JSON document with your account, your orders, and your photos with links to the originals. It expires after an hour.",
  dataExportAsk: "Ask for an export",
  dataExportPreparing: "Your export is being prepared ...",
  dataExportReady: "Download the export",
  photos: "Photos",
  orders: "Orders",
  account: "Account",
  console: "Console",
  tagline: "Upload photos, watch them develop, order prints.",
  search: "Search by name",
  sortBy: "Sort by",
  uploadedNewest: "Uploaded, newest first",
  uploadedOldest: "Uploaded, oldest first",
  takenNewest: "Taken, newest first",
  takenOldest: "Taken, oldest first",
  noDate: "Without a date",
  noneFound: "No photo has this name.",
  select: "Select",
  selection: "Selection",
  selected: "Selected: {count}",
  clearSelection: "Clear the selection",
  deleted: "Photos deleted: {count}",
  undo: "Undo",
  downloadOriginal: "Download the original",
  crop: "Part of the photo that is printed; move it with the arrow keys",
  cropAutomatic: "The lab chooses the part with most to see, unless you move the frame.",
  cropChosen: "The print shows the part in the frame.",
  bleed: "{mm} mm outside the dashed line are cut off",
  sessions: "Sessions",
  thisSession: "this one",
  endSession: "End",
  endOthers: "End all others",
  opened: "opened {time}",
  emailSettings: "E-mails",
  photoEmails: "E-mails about developed photos",
  emailStopped: "No e-mail is sent to your address, because it bounced or reported one as spam.",
  deleteAccount: "Delete the account",
  deleteHint: "All photos are deleted. Orders are kept without personal data.",
  drop: "Drop photos here, paste them, or",
  choose: "choose files",
  folder: "a folder",
  camera: "the camera",
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
  rejected: "Could not be developed",
  remove: "Delete",
  close: "Close",
  sizes: "Sizes",
  facts: "About this photo",
  factUploaded: "Uploaded",
  factTaken: "Taken",
  factModified: "File changed",
  factPixels: "Pixels",
  factCamera: "Camera",
  factLens: "Lens",
  factExposure: "Exposure",
  factAperture: "Aperture",
  factIso: "ISO",
  factFocalLength: "Focal length",
  factFormat: "Format",
  factFrames: "Frames",
  factBytes: "File size",
  factColourProfile: "Colour profile",
  place: "Taken here",
  worldMap: "Map of the world",
  openMap: "Open in OpenStreetMap",
  north: "N",
  south: "S",
  east: "E",
  west: "W",
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
  toPayment: "Continue to payment",
  pay: "Pay {total} and order",
  backToCart: "Back to the cart",
  paymentUnavailable: "The payment form cannot be loaded. Check whether your browser blocks js.stripe.com.",
  total: "Total",
  noOrders: "No orders yet.",
  cancel: "Cancel the order",
  resolution: "{dpi} dpi on paper",
  resolutionLow: "{dpi} dpi on paper: looks blurred",
  soldOut: "sold out",
  error: "That did not work.",
  busy: "The lab cannot take this now. Try again in a moment.",
  passwordRule: "Password: at least 12 characters, not the e-mail address, and none that is in lists of common passwords",
  fileName: "File name",
  offline: "The lab cannot be reached. Try again in a moment.",
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
  whyRejected: "A photo cannot be printed in this size: it has too few pixels, or was deleted. Choose a smaller size or another photo, and order again.",
  whyOutOfStock: "There is not enough paper. Nothing was charged. Choose another product, or order again later.",
  whyDeclined: "The payment was declined. Order again with another payment method.",
  whyCancelled: "You cancelled the order.",
  whyFailed: "A mistake of the lab stopped this order. You are not charged for it. Order again.",
} as const;

type Key = keyof typeof en;

const de: Record<Key, string> = {
  signIn: "Anmelden",
  signUp: "Konto anlegen",
  signOut: "Abmelden",
  code: "Code",
  codeSent: "Wir haben eine E-Mail an {email} geschickt. Geben Sie den Code daraus ein und wählen Sie ein Passwort. Wenn keine E-Mail ankommt, sehen Sie im Spam-Ordner nach.",
  confirm: "Bestätigen",
  forgotten: "Passwort vergessen?",
  resetPassword: "Neues Passwort setzen",
  sendCode: "Code anfordern",
  resetSent: "Wenn {email} ein Konto hat, ist eine E-Mail unterwegs. Geben Sie den Code daraus ein und wählen Sie ein neues Passwort.",
  passwordReset: "Das Passwort ist geändert, alle Sitzungen sind beendet. Melden Sie sich an.",
  email: "E-Mail-Adresse",
  name: "Name",
  password: "Passwort",
  newPassword: "Neues Passwort",
  currentPassword: "Bisheriges Passwort",
  changePassword: "Passwort ändern",
  passwordChanged: "Das Passwort ist geändert. Ihre anderen Sitzungen sind beendet.",
  noAccount: "Noch kein Konto?",
  haveAccount: "Sie haben ein Konto?",
  show: "Anzeigen",
  hide: "Verbergen",
  appCode: "Code Ihrer Authenticator-App",
  secondFactor: "Zweiter Faktor",
  secondFactorHint: "Beim Anmelden auch nach einem Code einer Authenticator-App fragen.",
  secondFactorOn: "Beim Anmelden wird nach einem Code Ihrer Authenticator-App gefragt.",
  secondFactorEnrol: "Einrichten",
  secondFactorRemove: "Ausschalten",
  appSecret: "Scannen Sie den Code mit Ihrer Authenticator-App, oder geben Sie diesen Schlüssel ein:",
  qrCode: "QR-Code für Ihre Authenticator-App",
  openApp: "App auf diesem Gerät öffnen",
  recoveryCodes: "Bewahren Sie diese Codes auf. Mit jedem können Sie sich einmal ohne die App anmelden; sie werden nicht noch einmal gezeigt.",
  dataExport: "Ihre Daten exportieren",
  dataExportHint: "Ein JSON-Dokument mit Ihrem Konto, Ihren Bestellungen und Ihren Fotos mit Links zu den Originalen. Es läuft nach einer Stunde ab.",
  dataExportAsk: "Export anfordern",
  dataExportPreparing: "Ihr Export wird vorbereitet ...",
  dataExportReady: "Export herunterladen",
  photos: "Fotos",
  orders: "Bestellungen",
  account: "Konto",
  console: "Leitstand",
  tagline: "Fotos hochladen, beim Entwickeln zusehen, Abzüge bestellen.",
  search: "Nach Namen suchen",
  sortBy: "Sortieren nach",
  uploadedNewest: "Hochgeladen, neueste zuerst",
  uploadedOldest: "Hochgeladen, älteste zuerst",
  takenNewest: "Aufgenommen, neueste zuerst",
  takenOldest: "Aufgenommen, älteste zuerst",
  noDate: "Ohne Datum",
  noneFound: "Kein Foto hat diesen Namen.",
  select: "Auswählen",
  selection: "Auswahl",
  selected: "Ausgewählt: {count}",
  clearSelection: "Auswahl aufheben",
  deleted: "Gelöschte Fotos: {count}",
  undo: "Rückgängig",
  downloadOriginal: "Original herunterladen",
  crop: "Ausschnitt, der gedruckt wird; mit den Pfeiltasten verschieben",
  cropAutomatic: "Das Labor wählt den Ausschnitt, solange Sie den Rahmen nicht verschieben.",
  cropChosen: "Der Abzug zeigt den Ausschnitt im Rahmen.",
  bleed: "{mm} mm außerhalb der gestrichelten Linie werden abgeschnitten",
  sessions: "Sitzungen",
  thisSession: "diese",
  endSession: "Beenden",
  endOthers: "Alle anderen beenden",
  opened: "begonnen {time}",
  emailSettings: "E-Mails",
  photoEmails: "E-Mails über entwickelte Fotos",
  emailStopped: "An Ihre Adresse geht keine E-Mail, weil sie nicht zustellbar war oder eine als Spam gemeldet hat.",
  deleteAccount: "Konto löschen",
  deleteHint: "Alle Fotos werden gelöscht. Bestellungen bleiben ohne persönliche Daten.",
  drop: "Fotos hierher ziehen, einfügen oder",
  choose: "Dateien wählen",
  folder: "einen Ordner",
  camera: "die Kamera",
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
  rejected: "Konnte nicht entwickelt werden",
  remove: "Löschen",
  close: "Schließen",
  sizes: "Größen",
  facts: "Über dieses Foto",
  factUploaded: "Hochgeladen",
  factTaken: "Aufgenommen",
  factModified: "Datei geändert",
  factPixels: "Pixel",
  factCamera: "Kamera",
  factLens: "Objektiv",
  factExposure: "Belichtung",
  factAperture: "Blende",
  factIso: "ISO",
  factFocalLength: "Brennweite",
  factFormat: "Format",
  factFrames: "Einzelbilder",
  factBytes: "Dateigröße",
  factColourProfile: "Farbprofil",
  place: "Hier aufgenommen",
  worldMap: "Weltkarte",
  openMap: "In OpenStreetMap öffnen",
  north: "N",
  south: "S",
  east: "O",
  west: "W",
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
  toPayment: "Weiter zur Zahlung",
  pay: "{total} zahlen und bestellen",
  backToCart: "Zurück zum Warenkorb",
  paymentUnavailable: "Das Zahlungsformular kann nicht geladen werden. Prüfen Sie, ob der Browser js.stripe.com sperrt.",
  total: "Summe",
  noOrders: "Noch keine Bestellungen.",
  cancel: "Bestellung stornieren",
  resolution: "{dpi} dpi auf Papier",
  resolutionLow: "{dpi} dpi auf Papier: wirkt unscharf",
  soldOut: "ausverkauft",
  error: "Das hat nicht geklappt.",
  busy: "Das Labor kann das gerade nicht annehmen. Versuchen Sie es gleich noch einmal.",
  passwordRule: "Passwort: mindestens 12 Zeichen, nicht die E-Mail-Adresse und keines, das in Listen häufiger Passwörter steht",
  fileName: "Dateiname",
  offline: "Das Labor ist nicht erreichbar. Versuchen Sie es gleich noch einmal.",
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
  whyRejected: "Ein Foto kann in dieser Größe nicht gedruckt werden: Es hat zu wenige Pixel oder wurde gelöscht. Wählen Sie eine kleinere Größe oder ein anderes Foto und bestellen Sie noch einmal.",
  whyOutOfStock: "Es ist nicht genug Papier da. Es wurde nichts abgebucht. Wählen Sie ein anderes Produkt oder bestellen Sie später noch einmal.",
  whyDeclined: "Die Zahlung wurde abgelehnt. Bestellen Sie mit einer anderen Zahlungsart noch einmal.",
  whyCancelled: "Sie haben die Bestellung storniert.",
  whyFailed: "Ein Fehler im Labor hat diese Bestellung beendet. Sie wird nicht berechnet. Bestellen Sie noch einmal.",
};

export const language: "en" | "de" = (globalThis.navigator?.language ?? "en").startsWith("de") ? "de" : "en";
// For screen readers and hyphenation; the unit tests have no document.
if (globalThis.document) document.documentElement.lang = language;
export const TEXTS = { en, de } as const;
const texts: Record<Key, string> = TEXTS[language];

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

const REASONS = {
  rejected: "whyRejected",
  out_of_stock: "whyOutOfStock",
  payment_declined: "whyDeclined",
  cancelled: "whyCancelled",
  failed: "whyFailed",
} as const;

/** Why an order ended, in words, by its status; empty for a status that needs no reason. */
export function reasonText(status: string): string {
  const known: Partial<Record<string, Key>> = REASONS;
  const key = known[status];
  return key === undefined ? "" : text(key);
}

// The region decides on formats, such as 28 Nov 2026 or Nov 28, 2026, if its language is the page's.
const preferred = globalThis.navigator?.language ?? language;
export const locale = preferred.startsWith(language) ? preferred : language;

export function money(minor: number, currency: string): string {
  return new Intl.NumberFormat(locale, { style: "currency", currency }).format(minor / 100);
}

export function number(value: number, options: Intl.NumberFormatOptions = {}): string {
  return new Intl.NumberFormat(locale, options).format(value);
}

/** A number of bytes, in kB or MB from a thousand on. */
export function bytes(count: number): string {
  const [unit, size] = (
    [["megabyte", 1_000_000], ["kilobyte", 1_000], ["byte", 1]] as const
  ).find(([, least]) => count >= least) ?? ["byte", 1];
  return number(count / size, { style: "unit", unit, maximumSignificantDigits: 3 });
}

/** When something can be tried again: "in 20 minutes". */
export function later(seconds: number): string {
  const format = new Intl.RelativeTimeFormat(locale);
  if (seconds < 120) return format.format(Math.ceil(seconds), "second");
  if (seconds < 7_200) return format.format(Math.ceil(seconds / 60), "minute");
  return format.format(Math.ceil(seconds / 3_600), "hour");
}

// Made once: a formatter takes half a millisecond, and a grid has thousands of dates.
const days = new Intl.DateTimeFormat(locale, { dateStyle: "full" });
const moments = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

export function day(time: string): string {
  return days.format(new Date(time));
}

export function moment(time: string): string {
  return moments.format(new Date(time));
}

/** A customer's text with what could reorder or hide the text around it left out. */
export function plain(value: string): string {
  return value.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g, "");
}
