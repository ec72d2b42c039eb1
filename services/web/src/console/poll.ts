import { useEffect, useState } from "preact/hooks";
import { messageOf } from "../errors";
import { Backoff, wait } from "../uploads/backoff";

interface Polled<T> {
  value: T | undefined;
  problem: string;
}

/** Asks again and again while the page is visible; later and later while there is no answer.
 * `seconds` is the pause after an answer, 0 to ask once. */
export function usePolled<T>(ask: () => Promise<T>, seconds: (answer: T) => number): Polled<T> {
  const [polled, setPolled] = useState<Polled<T>>({ value: undefined, problem: "" });
  useEffect(() => {
    let shown = true;
    async function follow() {
      const backoff = new Backoff(1000, 30_000);
      while (shown) {
        let pause: number;
        try {
          const value = document.hidden ? undefined : await ask();
          if (value !== undefined && shown) setPolled({ value, problem: "" });
          pause = value === undefined ? 1000 : seconds(value) * 1000;
          if (pause === 0) return;
          backoff.reset();
        } catch (error) {
          if (shown) setPolled(({ value }) => ({ value, problem: messageOf(error) }));
          pause = backoff.next();
        }
        await wait(pause);
      }
    }
    void follow();
    return () => {
      shown = false;
    };
  }, []);
  return polled;
}
