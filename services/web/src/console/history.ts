/** What a queue's depth was over time: the API's samples, then what the page has seen itself. */
import type { LabStatus } from "../api/client";

export interface Sample {
  at: number;
  waiting: number;
}

const KEPT_MILLISECONDS = 3_600_000;

/** The samples of each queue with those of `status` added, oldest first, an hour of them. */
export function withStatus(
  known: ReadonlyMap<string, readonly Sample[]>,
  status: LabStatus,
): Map<string, readonly Sample[]> {
  const now = Date.parse(status.at);
  return new Map(
    status.queues.map((queue) => {
      const given = queue.history.map(({ at, waiting }) => ({ at: Date.parse(at), waiting }));
      const last = given.at(-1)?.at ?? 0;
      const seen = (known.get(queue.function) ?? []).filter(({ at }) => at > last);
      const all = [...given, ...seen, { at: now, waiting: queue.waiting }];
      return [queue.function, all.filter(({ at }) => at > now - KEPT_MILLISECONDS)];
    }),
  );
}

/** Points of a polyline in a box of `width` and `height`. */
export function polyline(samples: readonly Sample[], width: number, height: number): string {
  const first = samples[0]?.at ?? 0;
  const span = Math.max(1, (samples.at(-1)?.at ?? 0) - first);
  const highest = Math.max(1, ...samples.map(({ waiting }) => waiting));
  return samples
    .map(({ at, waiting }) => {
      const x = ((at - first) / span) * width;
      const y = height - 1 - (waiting / highest) * (height - 2);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
}
