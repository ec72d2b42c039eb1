import type { ComponentChildren } from "preact";
import { type Key, label } from "./text";

interface Properties {
  name: Key;
  columns: readonly Key[];
  children: ComponentChildren;
}

/** A table that scrolls within a narrow page, also by keyboard. The children are its rows. */
export function Table({ name, columns, children }: Properties) {
  return (
    <div class="table" role="region" aria-label={label(name)} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th scope="col" key={column}>{label(column)}</th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
