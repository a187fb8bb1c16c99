import type { Answer, Connection } from './client.ts';

/** How rates and times are taken. All clocks are the load generator's own: one inside a Worker stands still between I/O. */

export interface Load {
  /** Requests a second. */
  rate: number;
  /** Milliseconds from request to answer, unsorted. */
  latencies: number[];
}

/** Each connection sends its next request as soon as it has its answer, for `seconds`. */
export async function closedLoop(connections: Connection[], seconds: number, next: () => Buffer): Promise<Load> {
  const latencies: number[] = [];
  const begun = performance.now();
  const end = begun + seconds * 1000;
  await Promise.all(
    connections.map(async (connection) => {
      for (let sentAt = performance.now(); sentAt < end; ) {
        succeeded(await connection.send(next()));
        const answeredAt = performance.now();
        latencies.push(answeredAt - sentAt);
        sentAt = answeredAt;
      }
    }),
  );
  return { rate: latencies.length / ((performance.now() - begun) / 1000), latencies };
}

/**
 * `count` requests, `rate` a second: each goes out when it is due and a connection is free, however long the ones before it
 * take. `answered` is told when the request was due, by `performance.now()`.
 */
export async function openLoop(
  connections: Connection[],
  count: number,
  rate: number,
  next: () => Buffer,
  answered: (answer: Answer, due: number) => void = () => undefined,
): Promise<void> {
  const free = [...connections];
  const answers: Promise<void>[] = [];
  const begun = performance.now();
  for (let index = 0; index < count; index += 1) {
    const due = begun + (index / rate) * 1000;
    while (performance.now() < due || free.length === 0) await sleep(Math.max(0, due - performance.now()));
    const connection = free.pop();
    if (connection === undefined) continue;
    const sent = connection.send(next()).then((answer) => {
      answered(succeeded(answer), due);
      free.push(connection);
    });
    answers.push(sent);
  }
  await Promise.all(answers);
}

/** `count` requests, shared among the connections. */
export async function sendAll(connections: Connection[], count: number, next: () => Buffer): Promise<void> {
  let left = count;
  await Promise.all(
    connections.map(async (connection) => {
      while (left > 0) {
        left -= 1;
        succeeded(await connection.send(next()));
      }
    }),
  );
}

export function succeeded(answer: Answer): Answer {
  if (answer.status < 200 || answer.status > 299) throw new Error(`${answer.status}: ${answer.body.slice(0, 500)}`);
  return answer;
}

export interface Pair {
  ours: number;
  floor: number;
  /** Median of the rounds' own ratios: what disturbs the machine disturbs both sides of a round. */
  ratio: number;
}

/** Measures two things in turns, in changing order, and gives the medians. A round before them is for warming up. */
export async function alternate(
  rounds: number,
  ours: () => Promise<number>,
  floor: () => Promise<number>,
): Promise<Pair> {
  const taken: { ours: number; floor: number }[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    if (round % 2 === 0) {
      const first = await ours();
      taken.push({ ours: first, floor: await floor() });
    } else {
      const first = await floor();
      taken.push({ floor: first, ours: await ours() });
    }
  }
  const warm = taken.slice(1);
  return {
    ours: median(warm.map((round) => round.ours)),
    floor: median(warm.map((round) => round.floor)),
    ratio: median(warm.map((round) => round.ours / round.floor)),
  };
}

export function median(values: number[]): number {
  return percentile(values, 0.5);
}

/** `share` in [0, 1], nearest rank. */
export function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function until(what: string, met: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  for (const end = performance.now() + timeoutMs; !(await met()); ) {
    if (performance.now() > end) throw new Error(`Waited ${timeoutMs} ms in vain until ${what}.`);
    await sleep(10);
  }
}
