import { type Answer, type Arrival, type Receiver, startReceiver } from '../../support/index.ts';

/** What a receiver answers, by the name that `nameOf` gives a request; 200 where nothing is said. */
export type Answers = Map<string, (arrival: Arrival) => Answer>;

export const byTopic = ({ topic }: Arrival): string => topic;
/** Where each subscription has a path of its own. */
export const byPath = ({ path }: Arrival): string => path.split('/').at(-1) ?? '';

/** A receiver that many tests share, each with answers of its own. */
export async function startAnswering(
  nameOf: (arrival: Arrival) => string,
): Promise<{ receiver: Receiver; answers: Answers }> {
  const answers: Answers = new Map();
  const receiver = await startReceiver({ answer: (arrival) => answers.get(nameOf(arrival))?.(arrival) ?? 200 });
  return { receiver, answers };
}
