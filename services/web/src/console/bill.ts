/** What the work of today costs on AWS, from measured usage and the prices of `darkroom cost`. */
import type { Usage } from "../api/client";
import costs from "./costs.json";

/** A photo and an order are counted by the function that each passes once. */
const OF_A_PHOTO = "process-image";
const OF_AN_ORDER = "validate-order";

export interface FunctionCost {
  name: string;
  invocations: number;
  gibSeconds: number;
  dollars: number;
}

export interface Bill {
  /** Dearest first. */
  functions: readonly FunctionCost[];
  /** Dollars by service, dearest first; with Lambda. */
  services: readonly (readonly [string, number])[];
  total: number;
  photos: number;
  orders: number;
}

export function bill(usage: Usage): Bill {
  const memory: Readonly<Record<string, number>> = costs.memory_mib;
  const functions = usage.functions
    .map(({ name, invocations, duration_ms }) => {
      const gibSeconds = ((memory[name] ?? 0) / 1024) * (duration_ms / 1000);
      const dollars = gibSeconds * costs.gib_second + invocations * costs.request;
      return { name, invocations, gibSeconds, dollars };
    })
    .sort((a, b) => b.dollars - a.dollars);
  const count = (wanted: string) => functions.find(({ name }) => name === wanted)?.invocations ?? 0;
  const [photos, orders] = [count(OF_A_PHOTO), count(OF_AN_ORDER)];
  const services = new Map([["Lambda", functions.reduce((sum, { dollars }) => sum + dollars, 0)]]);
  for (const [number, unit] of [[photos, costs.photo], [orders, costs.order]] as const) {
    for (const [service, dollars] of Object.entries(unit)) {
      services.set(service, (services.get(service) ?? 0) + number * dollars);
    }
  }
  const sorted = [...services].filter(([, dollars]) => dollars > 0).sort((a, b) => b[1] - a[1]);
  const total = sorted.reduce((sum, [, dollars]) => sum + dollars, 0);
  return { functions, services: sorted, total, photos, orders };
}
