/** The sentence for a backend whose package is not installed, or does not load. */
export function toMissingPackage(backend: string, packageName: string): string {
  return `the ${backend} backend needs the package ${packageName}: npm install ${packageName}, or choose another --backend`;
}
