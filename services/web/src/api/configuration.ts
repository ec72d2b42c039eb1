/** What the page knows of the deployment. */

export interface Configuration {
  /** What the page offers by itself, such as the sandbox's methods. */
  payment_methods: readonly { id: string; name: string }[];
  /** With a key, the customer pays on /pay, where Stripe's form is. */
  stripe_publishable_key: string | null;
  /** Whether the API has an event stream; missing where the server cannot stream. */
  events?: boolean;
}

let answer: Promise<Configuration> | undefined;

/** The content of /config.json, fetched once. Rejects with an Error if there is none. */
export function configuration(): Promise<Configuration> {
  answer ??= load().catch((error: unknown) => {
    answer = undefined;
    throw error;
  });
  return answer;
}

async function load(): Promise<Configuration> {
  const response = await fetch("/config.json");
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return (await response.json()) as Configuration;
}
