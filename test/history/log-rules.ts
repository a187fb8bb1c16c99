import type { Publish, Read, SeenEvent, Violation } from './operations.ts';

/** What the log of each topic holds, as far as anyone has seen it. */
export type Values = Map<string, Map<number, SeenEvent>>;

/**
 * The rules of the log: acknowledged ⊆ read, read ⊆ attempted, one value per sequence, no gaps, order, one record per id,
 * one winner per expected sequence.
 */
export function checkLog(
  publishes: Publish[],
  reads: Read[],
  removed: ReadonlySet<string>,
  violations: Violation[],
): Values {
  const values: Values = new Map();
  for (const read of reads) {
    checkRead(read, values, removed.has(read.topic), violations);
  }
  checkAttempted(publishes, reads, violations);
  // A deleted topic forgets what it recorded, so that a retry may be recorded again.
  checkIdentities(
    publishes.filter((publish) => !removed.has(publish.topic)),
    new Map([...values].filter(([topic]) => !removed.has(topic))),
    violations,
  );
  const topics = new Set([...publishes, ...reads].map((operation) => operation.topic));
  for (const topic of topics) {
    const published = publishes.filter((publish) => publish.topic === topic);
    checkReceipts(topic, published, values.get(topic) ?? new Map(), removed.has(topic), violations);
    checkOrder(topic, published, violations);
    const readings = reads.filter((read) => read.topic === topic);
    checkVisibility(topic, published, readings, removed.has(topic), violations);
  }
  return values;
}

function checkRead(read: Read, values: Values, removed: boolean, violations: Violation[]): void {
  const log = values.get(read.topic) ?? new Map<number, SeenEvent>();
  values.set(read.topic, log);
  let previous = read.after;
  for (const event of read.events) {
    // What was removed is missing at the start of a read.
    const mayJump = read.types.length > 0 || (removed && event === read.events[0]);
    const gap = mayJump ? event.sequence <= previous : event.sequence !== previous + 1;
    if (gap) {
      violations.push({
        rule: 'dense',
        detail: `a read of ${read.topic} after ${read.after} gave ${event.sequence} after ${previous}`,
      });
    }
    previous = event.sequence;
    if (read.types.length > 0 && !read.types.includes(event.type)) {
      violations.push({ rule: 'read-filter', detail: `a read of ${read.types} in ${read.topic} gave ${event.type}` });
    }
    noteValue(read.topic, log, event, 'a read', violations);
  }
  if (read.types.length === 0 && previous < read.scannedTo && !(removed && read.events.length === 0)) {
    violations.push({
      rule: 'dense',
      detail: `a read of ${read.topic} says it examined up to ${read.scannedTo} but ended at ${previous}`,
    });
  }
}

/** Notes what a sequence holds; it may never be seen to hold something else. */
export function noteValue(
  topic: string,
  log: Map<number, SeenEvent>,
  event: SeenEvent,
  where: string,
  violations: Violation[],
): void {
  const known = log.get(event.sequence);
  if (known === undefined) {
    log.set(event.sequence, event);
  } else if (known.identity !== event.identity || known.content !== event.content) {
    violations.push({
      rule: 'one-value',
      detail: `${topic} ${event.sequence} is ${known.identity} (${known.content}) and in ${where} ${event.identity} (${event.content})`,
    });
  }
}

function checkAttempted(publishes: Publish[], reads: Read[], violations: Violation[]): void {
  const attempts = new Map<string, number>();
  for (const publish of publishes) {
    if (publish.outcome !== 'failure') {
      for (const event of publish.events) {
        const key = `${publish.topic} ${event.identity} ${event.content}`;
        attempts.set(key, Math.min(attempts.get(key) ?? Number.POSITIVE_INFINITY, publish.start));
      }
    }
  }
  for (const read of reads) {
    for (const event of read.events) {
      const attempted = attempts.get(`${read.topic} ${event.identity} ${event.content}`);
      if (attempted === undefined || attempted > read.end) {
        violations.push({
          rule: 'read-attempted',
          detail: `${read.topic} ${event.sequence} holds ${event.identity} (${event.content}), which nobody had published`,
        });
      }
    }
  }
}

/** One id is one record, and every receipt for it names the same sequence. */
function checkIdentities(publishes: Publish[], values: Values, violations: Violation[]): void {
  const records = new Map<string, number>();
  const note = (topic: string, identity: string, sequence: number, where: string) => {
    const key = `${topic} ${identity}`;
    const known = records.get(key);
    if (known !== undefined && known !== sequence) {
      violations.push({ rule: 'one-record', detail: `${key} is ${known} and in ${where} ${sequence}` });
    }
    records.set(key, known ?? sequence);
  };
  for (const [topic, log] of values) {
    for (const event of log.values()) {
      note(topic, event.identity, event.sequence, 'the log');
    }
  }
  const first = new Set<string>();
  for (const publish of publishes) {
    publish.receipts.forEach((receipt, index) => {
      const event = publish.events[index];
      if (event === undefined) {
        return;
      }
      note(publish.topic, event.identity, receipt.sequence, 'a receipt');
      const key = `${publish.topic} ${event.identity}`;
      if (!receipt.duplicate && first.has(key)) {
        violations.push({ rule: 'one-record', detail: `two receipts say that ${key} was new` });
      }
      if (!receipt.duplicate) {
        first.add(key);
      }
    });
  }
}

function checkReceipts(
  topic: string,
  publishes: Publish[],
  log: Map<number, SeenEvent>,
  removed: boolean,
  violations: Violation[],
): void {
  const winners = new Map<number, Publish>();
  for (const publish of publishes) {
    if (publish.outcome !== 'success') {
      continue;
    }
    publish.receipts.forEach((receipt, index) => {
      const sent = publish.events[index];
      const stored = log.get(receipt.sequence);
      if (sent === undefined) {
        violations.push({ rule: 'receipts', detail: `${topic}: a receipt more than events sent` });
      } else if (stored === undefined) {
        if (removed) {
          return;
        }
        violations.push({
          rule: 'acknowledged-read',
          detail: `${topic} ${receipt.sequence} (${sent.identity}) was acknowledged and nobody ever read it`,
        });
      } else if (stored.identity !== sent.identity || stored.content !== sent.content) {
        violations.push({
          rule: 'acknowledged-read',
          detail: `${topic} ${receipt.sequence} was acknowledged to ${sent.identity} and holds ${stored.identity}`,
        });
      }
    });
    const fresh = publish.receipts.filter((receipt) => !receipt.duplicate).map((receipt) => receipt.sequence);
    if (fresh.some((sequence, index) => index > 0 && sequence <= (fresh[index - 1] ?? 0))) {
      violations.push({ rule: 'order', detail: `${topic}: a request was given ${fresh.join(', ')}` });
    }
    if (publish.expected !== null && fresh.length > 0) {
      if (fresh[0] !== publish.expected + 1) {
        violations.push({
          rule: 'expected',
          detail: `${topic}: a publish that expected ${publish.expected} was given ${fresh[0]}`,
        });
      }
      if (winners.has(publish.expected)) {
        violations.push({ rule: 'expected', detail: `${topic}: two publishes won at ${publish.expected}` });
      }
      winners.set(publish.expected, publish);
    }
  }
}

/** What is new in a publish comes after everything acknowledged before it began; so each producer's own order is kept too. */
function checkOrder(topic: string, publishes: Publish[], violations: Violation[]): void {
  const acknowledged = publishes.filter((publish) => publish.outcome === 'success').sort((a, b) => a.end - b.end);
  const byStart = [...publishes].sort((a, b) => a.start - b.start);
  let index = 0;
  let highest = 0;
  for (const publish of byStart) {
    for (let before = acknowledged[index]; before !== undefined && before.end < publish.start; ) {
      highest = Math.max(highest, ...before.receipts.map((receipt) => receipt.sequence));
      index += 1;
      before = acknowledged[index];
    }
    for (const receipt of publish.receipts) {
      if (!receipt.duplicate && receipt.sequence <= highest) {
        violations.push({
          rule: 'order',
          detail: `${topic} ${receipt.sequence} was given after ${highest} had been acknowledged`,
        });
      }
    }
    if (publish.refusedAt !== null && (publish.refusedAt < highest || publish.refusedAt === publish.expected)) {
      violations.push({
        rule: 'expected',
        detail: `${topic}: a publish that expected ${publish.expected} was refused at ${publish.refusedAt}, with ${highest} acknowledged before`,
      });
    }
  }
}

/** A read begun after an acknowledgement, or after another read that saw the event, sees it too; and there is a last read of all. */
function checkVisibility(
  topic: string,
  publishes: Publish[],
  reads: Read[],
  removed: boolean,
  violations: Violation[],
): void {
  const known = [
    ...publishes
      .filter((publish) => publish.outcome === 'success')
      .map((publish) => ({
        at: publish.end,
        sequence: Math.max(0, ...publish.receipts.map((receipt) => receipt.sequence)),
      })),
    ...reads.map((read) => ({ at: read.end, sequence: read.lastSequence })),
  ].sort((a, b) => a.at - b.at);
  const byStart = [...reads].sort((a, b) => a.start - b.start);
  let index = 0;
  let highest = 0;
  for (const read of byStart) {
    for (let before = known[index]; before !== undefined && before.at < read.start; ) {
      highest = Math.max(highest, before.sequence);
      index += 1;
      before = known[index];
    }
    if (read.lastSequence < highest) {
      violations.push({
        rule: 'fresh-read',
        detail: `a read of ${topic} begun after ${highest} was known says the last is ${read.lastSequence}`,
      });
    }
  }
  const highestKnown = Math.max(0, ...known.map((entry) => entry.sequence));
  const covered = reads.some((read) => read.types.length === 0 && read.scannedTo >= highestKnown);
  if (highestKnown > 0 && !covered && !removed) {
    violations.push({ rule: 'acknowledged-read', detail: `nobody read ${topic} to its last sequence ${highestKnown}` });
  }
}
