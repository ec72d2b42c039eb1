import { useEffect, useState } from "preact/hooks";
import { AccountPage } from "./account/account";
import { SignIn } from "./account/sign-in";
import { ApiError, type SignedInUser, api, unwrap } from "./api/client";
import { messageOf } from "./errors";
import { lazy } from "./lazy";
import { Cart, useCart } from "./orders/cart";
import { Orders } from "./orders/orders";
import { Photos } from "./photos/photos";
import { text } from "./text";
import { PendingFiles } from "./uploads/pending";

type Page = "photos" | "cart" | "orders" | "account" | "console";
const PAGES: readonly Page[] = ["photos", "cart", "orders", "account", "console"];
const Console = lazy(async () => (await import("./console/console")).Console);

function currentPage(): Page {
  const name = location.hash.slice(2).split("/")[0];
  return PAGES.find((page) => page === name) ?? "photos";
}

/** The secret in an address such as `#/confirm/SECRET`, a link in an e-mail; empty elsewhere. */
function secretOf(page: string): string {
  const [name, secret] = location.hash.slice(2).split("/");
  return name === page ? (secret ?? "") : "";
}

/** The page: sign-in, or the part that the address names after `#/`. */
export function App() {
  const [user, setUser] = useState<SignedInUser | null | undefined>();
  // Read when the page is drawn, since `enter` changes it too.
  const [, setAddress] = useState(location.hash);
  const page = currentPage();
  const [problem, setProblem] = useState("");
  const cart = useCart();

  useEffect(() => {
    unwrap(api.GET("/sessions/current")).then(
      (session) => setUser(session.user),
      (error: unknown) => {
        if (!(error instanceof ApiError && error.status === 401)) setProblem(messageOf(error));
        setUser(null);
      },
    );
    const follow = () => setAddress(location.hash);
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);

  function enter(signedIn: SignedInUser) {
    // A secret does not stay in the address and the history.
    if (secretOf("confirm") || secretOf("reset")) history.replaceState(null, "", "#/photos");
    if (user && user.id !== signedIn.id) cart.clear();
    setUser(signedIn);
  }

  async function signOut() {
    await unwrap(api.DELETE("/sessions/current")).catch(() => undefined);
    await leave();
  }

  /** Shows sign-in. Nothing of the user stays in the browser's storage. */
  async function leave() {
    cart.clear();
    if (user) await new PendingFiles(user.id).clear();
    setUser(null);
  }

  if (user === undefined) return <p class="status">{text("loading")}</p>;
  const [confirmation, reset] = [secretOf("confirm"), secretOf("reset")];
  // A link in an e-mail may be for another account than the one that is signed in here.
  if (user === null || confirmation || reset) {
    return (
      <SignIn
        key={confirmation + reset}
        problem={problem}
        confirmationToken={confirmation}
        resetToken={reset}
        signedIn={enter}
      />
    );
  }
  const pages = PAGES.filter((name) => name !== "console" || user.role === "administrator");
  const names = {
    photos: text("photos"), cart: text("cart"), orders: text("orders"), account: text("account"),
    console: text("console"),
  };
  return (
    <>
      <header class="bar">
        <a class="brand" href="#/photos">
          <img src="/icon.svg" alt="" width="28" height="28" />
          Darkroom
        </a>
        <nav aria-label="Darkroom">
          {pages.map((name) => (
            <a key={name} href={`#/${name}`} aria-current={name === page ? "page" : undefined}>
              {names[name]}
              {name === "cart" && cart.lines.length > 0 && <b class="count">{cart.lines.length}</b>}
            </a>
          ))}
          <button type="button" class="quiet" onClick={() => void signOut()}>
            {text("signOut")}
          </button>
        </nav>
      </header>
      <main>
        {page === "photos" && <Photos cart={cart} userId={user.id} />}
        {page === "cart" && <Cart cart={cart} />}
        {page === "orders" && <Orders />}
        {page === "account" && <AccountPage user={user} ended={() => void leave()} />}
        {page === "console" && <Console />}
      </main>
    </>
  );
}
