import { ProbestreamError } from "../errors/probestream-error.js";
import { compareText } from "../vectors/compare-text.js";
import { outcomeOf } from "./map-sound.js";
import type { RetrievalContext } from "./retrieval-context.js";
import type { CatalogueSpace, RetrievalPort } from "./retrieval-port.js";
import { type KnownSpace, readSpaceDirectory } from "./space-directory.js";

/** The spaces of a catalogue, and what can be done with them. */
export type ManageSpaces = Pick<RetrievalPort, "listSpaces" | "switchSpaces" | "dropSpace">;

/** Creates the use cases. */
export function createManageSpaces(context: RetrievalContext): ManageSpaces {
  const { store, catalogue } = context;
  return {
    listSpaces: async () => {
      const { all } = await readSpaceDirectory(store, catalogue);
      return { store: store.description, spaces: await Promise.all(all.map((space) => describe(space, context))) };
    },
    switchSpaces: async ({ serve, retire }) => {
      const { find } = await readSpaceDirectory(store, catalogue);
      const toId = (reference: string): string => find(reference).info.spaceId;
      await store.switchSpaces({ serve: serve.map(toId), retire: retire.map(toId) });
    },
    dropSpace: async (reference) => {
      const { find } = await readSpaceDirectory(store, catalogue);
      await store.dropSpace(find(reference).info.spaceId);
    },
  };
}

async function describe(
  { info, expert }: KnownSpace,
  { store, calibrations }: RetrievalContext,
): Promise<CatalogueSpace> {
  const fields = await store.fields(info.spaceId);
  // One that cannot be read is none; searches say why.
  const calibration = expert && (await outcomeOf(() => calibrations.get(expert)));
  return {
    ...info,
    fields: [...fields.keys()].sort(compareText),
    isExpertPresent: expert !== undefined,
    isCalibrated: calibration !== undefined && !(calibration instanceof ProbestreamError),
  };
}
