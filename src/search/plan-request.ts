/** Characters of a location that make up a model id; ids may have 1,024 bytes, a character up to 4. */
const maxIdCharacters = 200;

/** Metadata of a file travels for routing; training logs that some tools store there (up to megabytes) do not. */
const maxMetadataCharacters = 1024;

/** What a model is called where nothing else is said: the end of its location. */
export function toModelId(location: string): string {
  return [...location].slice(-maxIdCharacters).join("");
}

/** What of a file's metadata is sent with its header. */
export function toSentMetadata(metadata: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...metadata].filter(([, value]) => value.length <= maxMetadataCharacters));
}
