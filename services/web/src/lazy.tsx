import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { text } from "./text";

/** A component that is loaded when it is first shown. */
export function lazy<P extends object = object>(
  load: () => Promise<ComponentType<P>>,
): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (loaded) return;
      load().then(
        (component) => {
          loaded = component;
          redraw((n) => n + 1);
        },
        () => setFailed(true),
      );
    }, []);
    if (failed) return <p role="alert" class="problem">{text("offline")}</p>;
    const Loaded = loaded;
    return Loaded ? <Loaded {...props} /> : <p class="status">{text("loading")}</p>;
  };
}
