import { ProbestreamError } from "../errors/probestream-error.js";
import { CommandError, exitCodes } from "./exit-codes.js";

/**
 * Asks those of some questions that could be made; an error stands where its question stood.
 *
 * @param ask answers in the order of the questions; it is not called for none.
 * @throws CommandError for fewer answers than questions.
 */
export async function askAll<Question, Answer>(
  questions: readonly (Question | ProbestreamError)[],
  ask: (asked: readonly Question[]) => Promise<readonly (Answer | ProbestreamError)[]>,
): Promise<readonly (Answer | ProbestreamError)[]> {
  const asked = questions.flatMap((question) => (question instanceof ProbestreamError ? [] : [question]));
  const answers = asked.length === 0 ? [] : await ask(asked);
  const left = answers.values();
  return questions.map((question) => {
    const answer = question instanceof ProbestreamError ? question : left.next().value;
    if (answer !== undefined) return answer;
    const message = `${answers.length} of ${asked.length} questions were answered`;
    throw new CommandError(message, exitCodes.unusable);
  });
}
