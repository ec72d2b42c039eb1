import { api, unwrap } from "../api/client";
import { named } from "../products";
import { money, text } from "../text";
import { usePolled } from "./poll";
import { Table } from "./table";

const REFRESH_SECONDS = 30;

/** Products on sale and their stock. */
export function Stock() {
  const { value, problem } = usePolled(
    () => unwrap(api.GET("/operations/stock")),
    () => REFRESH_SECONDS,
  );
  return (
    <>
      {problem && <p role="alert" class="problem">{problem}</p>}
      {value === undefined && !problem && <p class="status">{text("loading")}</p>}
      {value && (
        <Table
          name="stock"
          columns={["product", "paper", "price", "onHand", "reserved", "available", "sold"]}
        >
          {value.products.map((product) => (
            <tr key={product.id}>
              <td>{named(product.name)}</td>
              <td>{named(product.paper)}</td>
              <td>{money(product.price_minor, product.currency)}</td>
              <td>{product.on_hand}</td>
              <td>{product.reserved}</td>
              <td class={product.on_hand - product.reserved < 1 ? "bad" : ""}>
                {product.on_hand - product.reserved}
              </td>
              <td>{product.sold}</td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}
