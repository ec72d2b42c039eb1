import { Fragment } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Image, type Product, type Rendition, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import type { CartState } from "../orders/cart";
import { named } from "../products";
import { money, number, plain, text } from "../text";
import { CropPreview, type Focus } from "./crop-preview";
import { factsOf } from "./facts";
import { Place, locationOf } from "./place";
import { rejectionText } from "./rejection";
import { recipes, wholeRenditions } from "./recipes";

const CENTRE: Focus = { x: 0.5, y: 0.5 };
/** The best format first: a browser takes the first that it knows. */
const FORMATS = ["avif", "webp", "jpeg"];

interface PhotoProps {
  id: string;
  cart: CartState;
  remove: (id: string) => void;
}

/** One photo, in a dialog: large, with its sizes, facts and prints. */
export function Photo({ id, cart, remove }: PhotoProps) {
  const [image, setImage] = useState<Image>();
  const [problem, setProblem] = useState("");
  const dialog = useRef<HTMLDialogElement>(null);

  useEffect(() => {
    dialog.current?.showModal();
    unwrap(api.GET("/images/{id}", { params: { path: { id } } })).then(setImage, (error: unknown) =>
      setProblem(messageOf(error)),
    );
  }, [id]);

  function close() {
    location.hash = "#/photos";
  }

  const name = plain(image?.filenames[0] ?? "");
  const place = locationOf(image?.facts);
  return (
    <dialog ref={dialog} class="photo" aria-label={name || text("photos")} onClose={close}>
      <header>
        <h2>{name}</h2>
        <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
          {text("close")}
        </button>
      </header>
      {problem && <p role="alert" class="problem">{problem}</p>}
      {image?.status === "rejected" && (
        <p class="problem">
          <b>{text("rejected")}.</b> {rejectionText(image)}
        </p>
      )}
      {image?.status === "developed" && <Picture image={image} name={name} />}
      {image && (
        <div class="details">
          {image.status === "developed" && <Prints image={image} cart={cart} />}
          <Facts image={image} />
          {place && <Place location={place} />}
          {image.renditions && image.renditions.length > 0 && (
            <section>
              <h3>{text("sizes")}</h3>
              <ul class="sizes">
                {image.renditions.map((rendition) => (
                  <li key={rendition.url}>
                    <a href={rendition.download ?? rendition.url} rel="noreferrer">
                      {named(rendition.name)} · {rendition.format.toUpperCase()} · {number(rendition.width)} × {number(rendition.height)}
                    </a>
                  </li>
                ))}
              </ul>
            </section>
          )}
          <p class="row">
            {image.original && (
              <a class="button" href={image.original} rel="noreferrer">
                {text("downloadOriginal")}
              </a>
            )}
            <button type="button" class="danger" onClick={() => remove(id)}>
              {text("remove")}
            </button>
          </p>
        </div>
      )}
    </dialog>
  );
}

function Picture({ image, name }: { image: Image; name: string }) {
  const [renditions, setRenditions] = useState<Rendition[]>([]);
  useEffect(() => {
    // Without recipes nothing is known of sizes that cut the photo.
    recipes().then(
      (list) => setRenditions(wholeRenditions(image, list)),
      () => setRenditions(image.renditions ?? []),
    );
  }, [image]);
  const sets = FORMATS.map((format) => ({
    format,
    srcset: renditions
      .filter((rendition) => rendition.format === format)
      .map((rendition) => `${rendition.url} ${rendition.width}w`)
      .join(", "),
  })).filter(({ srcset }) => srcset);
  const largest = renditions
    .filter(({ format }) => format === "jpeg")
    .sort((a, b) => b.width - a.width)[0];
  return (
    <picture>
      {sets.map(({ format, srcset }) => (
        <source key={format} type={`image/${format}`} srcset={srcset} sizes="min(96vw, 1100px)" />
      ))}
      <img
        src={largest?.url ?? image.thumbnail ?? ""}
        alt={name}
        width={image.width ?? undefined}
        height={image.height ?? undefined}
      />
    </picture>
  );
}

function Facts({ image }: { image: Image }) {
  return (
    <section>
      <h3>{text("facts")}</h3>
      <dl>
        {factsOf(image).map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
      </dl>
    </section>
  );
}

function Prints({ image, cart }: { image: Image; cart: CartState }) {
  const [products, setProducts] = useState<readonly Product[]>([]);
  const [chosen, setChosen] = useState("");
  const [quantity, setQuantity] = useState(1);
  useEffect(() => {
    unwrap(api.GET("/products")).then(
      ({ products: found }) => {
        setProducts(found);
        setChosen(found.find(({ available }) => available)?.id ?? "");
      },
      () => undefined,
    );
  }, []);
  const product = products.find(({ id }) => id === chosen);
  const [focus, setFocus] = useState<Focus>();
  // What is chosen before the products are known would be lost.
  if (!products.length) return <section><h3>{text("order")}</h3></section>;
  return (
    <section>
      <h3>{text("order")}</h3>
      <p class="row">
        <select
          aria-label={text("product")}
          value={chosen}
          onChange={(event) => setChosen(event.currentTarget.value)}
        >
          {products.map((item) => (
            <option key={item.id} value={item.id} disabled={!item.available}>
              {named(item.name)}, {money(item.price_minor, item.currency)}
              {item.available ? "" : ` (${text("soldOut")})`}
            </option>
          ))}
        </select>
        <input
          type="number"
          aria-label={text("quantity")}
          min={1}
          max={99}
          value={quantity}
          onInput={(event) => setQuantity(Number(event.currentTarget.value) || 1)}
        />
        <button
          type="button"
          disabled={product === undefined}
          onClick={() => product && cart.add(image, product, quantity, focus)}
        >
          {text("addToCart")}
        </button>
      </p>
      {product && (
        <CropPreview image={image} product={product} focus={focus ?? CENTRE} move={setFocus} />
      )}
      <p class="hint">{text(focus ? "cropChosen" : "cropAutomatic")}</p>
    </section>
  );
}
