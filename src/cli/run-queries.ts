import { ProbestreamError } from "../errors/probestream-error.js";
import type { QueryHits, RetrievalPort, RetrievalQuery } from "../retrieval/retrieval-port.js";
import { askAll } from "./ask-all.js";
import type { CommandContext } from "./command-context.js";
import { exitCodes, toExitCode } from "./exit-codes.js";
import { createOptionRemarks } from "./option-remarks.js";
import type { QueryOptions } from "./query-options.js";
import { toErrorFields } from "./result-writer.js";
import { toHitJson, toHitLines, toHitRemarks } from "./search-table.js";
import { readSpaceNames } from "./space-names.js";
import { toPlain } from "./table.js";

/** A query, and what it is called. */
export interface NamedQuery {
  readonly name: string;
  /** An error where the query could not be made: it is told of in its place. */
  readonly query: RetrievalQuery | ProbestreamError;
}

/** Queries of one call: their answers come with records, some 1 kB a hit. */
const queriesAtOnce = 100;

/**
 * Asks queries and prints the answers in their order: a table each, or JSON lines; remarks on what they lack at the end.
 *
 * @returns the exit code. @throws CommandError if the only query is refused.
 */
export async function runQueries(
  queries: readonly NamedQuery[],
  port: RetrievalPort,
  options: Pick<QueryOptions, "json" | "show" | "tree" | "perBase">,
  { terminal, signal }: CommandContext,
): Promise<number> {
  const { json: isJson = false, show: fields = [] } = options;
  const remarks = new Set<string>();
  let listed: ReturnType<RetrievalPort["listSpaces"]> | undefined;
  // A store may have to look at all its records for that.
  const listSpaces: RetrievalPort["listSpaces"] = () => (listed ??= port.listSpaces());
  const toOptionRemarks = createOptionRemarks(options, { listSpaces, listModels: (query) => port.listModels(query) });
  let failed = 0;
  for (let at = 0; at < queries.length; at += queriesAtOnce) {
    const some = queries.slice(at, at + queriesAtOnce);
    const answers = await askAll(
      some.map(({ query }) => query),
      (asked) => port.retrieve(asked, { withRecords: true, signal }),
    );
    for (const [index, answer] of answers.entries()) {
      const { name = "" } = some[index] ?? {};
      if (answer instanceof ProbestreamError) {
        if (queries.length === 1 && !isJson) throw answer;
        failed++;
        const json = JSON.stringify({ query: name, ...toErrorFields(answer) });
        if (isJson) await terminal.print(json);
        else terminal.remark(toPlain(`${name}: ${answer.reason}: ${answer.message}`));
        if (queries.length === 1) return toExitCode(answer);
        continue;
      }
      const isHeaded = queries.length > 1;
      for (const line of isJson
        ? toJsonLines(name, answer)
        : toLines(name, answer, fields, isHeaded ? at + index : undefined)) {
        await terminal.print(line);
      }
      // Remarks on these name a space.
      const { hits, truncated, unknownWords } = answer;
      const namesSpaces = truncated.length + unknownWords.length > 0 || hits.some(({ score }) => score === undefined);
      const nameOf = namesSpaces ? await readSpaceNames({ listSpaces }) : String;
      for (const remark of toHitRemarks(answer, nameOf)) remarks.add(remark);
      for (const remark of await toOptionRemarks(answer)) remarks.add(remark);
    }
  }
  for (const remark of remarks) terminal.remark(remark);
  if (failed === queries.length) return exitCodes.unusable;
  return failed > 0 ? exitCodes.someFailed : exitCodes.success;
}

/** With `index`, the query's place among several, the lines begin with its name. */
function toLines(name: string, answer: QueryHits, fields: readonly string[], index: number | undefined): string[] {
  const lines = answer.hits.length === 0 ? ["no model fits"] : toHitLines(answer, fields);
  return index === undefined ? lines : [...(index === 0 ? [] : [""]), toPlain(name), ...lines];
}

function toJsonLines(query: string, { hits }: QueryHits): string[] {
  return hits.map((hit, index) => JSON.stringify({ query, rank: index + 1, ...toHitJson(hit) }));
}
