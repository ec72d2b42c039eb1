import { useEffect, useState } from "preact/hooks";
import "./console.css";
import { CostToday } from "./cost";
import { Health } from "./health";
import { DeadLetters } from "./dead-letters";
import { LabOrders } from "./lab-orders";
import { Releases } from "./releases";
import { Stock } from "./stock";
import { label } from "./text";
import { TracePage } from "./trace";

const PARTS = ["health", "letters", "trace", "orders", "stock", "cost", "releases"] as const;
type Part = (typeof PARTS)[number];

/** The part and the id that the address names: `#/console/trace/<id>`. */
function current(): { part: Part; id: string } {
  const [, , name, id = ""] = location.hash.split("/");
  return { part: PARTS.find((part) => part === name) ?? "health", id: decodeURIComponent(id) };
}

/** The operator console, for administrators. */
export function Console() {
  const [{ part, id }, setShown] = useState(current);
  useEffect(() => {
    const follow = () => setShown(current());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return (
    <>
      <h1>{label("console")}</h1>
      <nav class="parts" aria-label={label("console")}>
        {PARTS.map((name) => (
          <a key={name} href={`#/console/${name}`} aria-current={name === part ? "page" : undefined}>
            {label(name)}
          </a>
        ))}
      </nav>
      {part === "health" && <Health />}
      {part === "letters" && <DeadLetters />}
      {part === "trace" && <TracePage key={id} id={id} />}
      {part === "orders" && <LabOrders />}
      {part === "stock" && <Stock />}
      {part === "cost" && <CostToday />}
      {part === "releases" && <Releases />}
    </>
  );
}
