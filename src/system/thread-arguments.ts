/** Options of node that hold a script of the command line, or say what kind it is. */
const scriptInOneWord = /^--(?:input-type|eval|print)=/;
const scriptInTwoWords = /^(?:--input-type|-e|--eval|-p|--print|-pe)$/;

/** Options that say how modules are found and loaded, and flags that threads take. */
const keptInOneWord =
  /^(?:--(?:import|require|loader|experimental-loader|conditions)=|--(?:preserve-symlinks|enable-source-maps|no-warnings|no-deprecation)$)/;
const keptInTwoWords = /^(?:--import|--require|-r|--loader|--experimental-loader|--conditions|-C)$/;

/**
 * Options of node for a thread, as `execArgv` of a worker. A script that was given on the command line and its type are not for
 * a thread's module, and keep it from starting; then loaders and conditions are handed on alone, for a thread refuses to be
 * given options of the engine (`--max-old-space-size`), which hold anyway. Else undefined: the thread takes over all of them.
 *
 * @param own as `process.execArgv` has them.
 */
export function toThreadArguments(own: readonly string[]): string[] | undefined {
  const kept: string[] = [];
  let hasScript = false;
  for (let at = 0; at < own.length; at++) {
    const word = own[at] ?? "";
    if (scriptInTwoWords.test(word)) at++;
    else if (keptInTwoWords.test(word)) kept.push(word, own[++at] ?? "");
    else if (keptInOneWord.test(word)) kept.push(word);
    hasScript ||= scriptInOneWord.test(word) || scriptInTwoWords.test(word);
  }
  return hasScript ? kept : undefined;
}
