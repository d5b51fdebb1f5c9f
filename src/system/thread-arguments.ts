/** Options of node that hold a script of the command line, or say what kind it is. */
const inOneWord = /^--(?:input-type|eval|print)=/;
const inTwoWords = /^(?:--input-type|-e|--eval|-p|--print|-pe)$/;

/**
 * Options of node for a thread: those of this process, loaders and conditions among them, but for a script that was given
 * on the command line and its type. They are not for a thread's module, and keep it from starting.
 *
 * @param own as `process.execArgv` has them.
 */
export function toThreadArguments(own: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < own.length; at++) {
    const word = own[at] ?? "";
    if (inTwoWords.test(word)) at++;
    else if (!inOneWord.test(word)) kept.push(word);
  }
  return kept;
}
