import { type ReleasedVersion, api, unwrap } from "../api/client";
import { moment, text } from "../text";
import { usePolled } from "./poll";
import { Table } from "./table";
import { label } from "./text";

const REFRESH_SECONDS = 60;
const DIGEST_CHARACTERS = 12;

/** The live version of each function, and the command that goes back to the one before. */
export function Releases() {
  const { value, problem } = usePolled(
    () => unwrap(api.GET("/operations/releases")),
    () => REFRESH_SECONDS,
  );
  return (
    <>
      {problem && <p role="alert" class="problem">{problem}</p>}
      {value === undefined && !problem && <p class="status">{text("loading")}</p>}
      {value?.code_version && (
        <>
          <p>{label("codeVersion", { version: value.code_version })}</p>
          <p class="hint">{label("noReleases")}</p>
        </>
      )}
      {value && !value.code_version && (
        <>
          <h2>{label("wayBack")}</h2>
          {value.rollback_command ? (
            <>
              <p>{label("wayBackHint")}</p>
              <pre class="command">{value.rollback_command}</pre>
            </>
          ) : (
            <p>{label("noWayBack")}</p>
          )}
          {value.changed_at && (
            <p class="hint">{label("lastRelease", { time: moment(value.changed_at) })}</p>
          )}
          <Table name="releases" columns={["name", "live", "image", "published", "goesBackTo"]}>
            {value.functions.map((one) => (
              <tr key={one.name}>
                <td>{one.name}</td>
                <td>
                  {one.live?.version ?? label("notOnLambda")}
                  {one.held && <small>{label("held")}</small>}
                </td>
                <td><Digest version={one.live} /></td>
                <td>{one.live?.published_at ? moment(one.live.published_at) : "–"}</td>
                <td>
                  {one.previous ? (
                    <>
                      {one.previous.version} <Digest version={one.previous} />
                    </>
                  ) : (
                    "–"
                  )}
                </td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </>
  );
}

/** The beginning of an image's digest; the whole is its title. */
function Digest({ version }: { version: ReleasedVersion | null }) {
  const digest = version?.image_digest;
  if (!digest) return <>–</>;
  return <code title={digest}>{digest.replace("sha256:", "").slice(0, DIGEST_CHARACTERS)}</code>;
}
