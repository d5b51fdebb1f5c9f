import { ProbestreamError } from "../errors/probestream-error.js";
import type { Expert } from "../experts/expert.js";
import { compareText } from "../vectors/compare-text.js";
import type { CountedSpace } from "../vectors/vector-store.js";
import { outcomeOf } from "./map-sound.js";
import type { RetrievalContext } from "./retrieval-context.js";
import type { CatalogueSpace, RetrievalPort } from "./retrieval-port.js";
import { readSpaceDirectory } from "./space-directory.js";

/** The spaces of a catalogue, and what can be done with them. */
export type ManageSpaces = Pick<RetrievalPort, "listSpaces" | "switchSpaces" | "dropSpace">;

/** Creates the use cases. */
export function createManageSpaces(context: RetrievalContext): ManageSpaces {
  const { store, catalogue } = context;
  return {
    listSpaces: async () => {
      const [counted, experts] = await Promise.all([store.countSpaces(), catalogue.recent()]);
      const expertOf = new Map(experts.map((expert) => [expert.spaceId, expert]));
      const spaces = counted.map((space) => describe(space, expertOf.get(space.spaceId), context));
      return { store: store.description, spaces: await Promise.all(spaces) };
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
  space: CountedSpace,
  expert: Expert | undefined,
  { store, calibrations }: RetrievalContext,
): Promise<CatalogueSpace> {
  const fields = await store.fields(space.spaceId);
  // One that cannot be read is none; searches say why.
  const calibration = expert && (await outcomeOf(() => calibrations.get(expert)));
  return {
    ...space,
    fields: [...fields.keys()].sort(compareText),
    isExpertPresent: expert !== undefined,
    isCalibrated: calibration !== undefined && !(calibration instanceof ProbestreamError),
  };
}
