/** What Cloudflare bills, counted by bench/worker-counted.ts. No imports: both the Worker and the bench use it. */

export interface ObjectCounts {
  /** RPC calls and alarms. */
  requests: number;
  rowsRead: number;
  /** Rows as the cursors count them, and one for each time an alarm is set or deleted. */
  rowsWritten: number;
}

export interface Counts {
  /** HTTP requests, and queue batches delivered. */
  workerRequests: number;
  topicLog: ObjectCounts;
  subscription: ObjectCounts;
  /** Of the requests to subscriptions: a log telling one that is parked of an event. */
  wakes: number;
  /** Written, read and deleted, per 64 KB. */
  queueOperations: number;
  d1RowsRead: number;
  d1RowsWritten: number;
}

/** Where the counted Worker answers its counts. */
export const COUNTS_PATH = '/__bench/counts';

export function noCounts(): Counts {
  const none = { requests: 0, rowsRead: 0, rowsWritten: 0 };
  return {
    workerRequests: 0,
    topicLog: { ...none },
    subscription: { ...none },
    wakes: 0,
    queueOperations: 0,
    d1RowsRead: 0,
    d1RowsWritten: 0,
  };
}

/** What one of `count` things took between two readings. */
export function each(before: Counts, after: Counts, count: number): Counts {
  const per = (earlier: number, later: number) => (later - earlier) / count;
  const ofObject = (earlier: ObjectCounts, later: ObjectCounts): ObjectCounts => ({
    requests: per(earlier.requests, later.requests),
    rowsRead: per(earlier.rowsRead, later.rowsRead),
    rowsWritten: per(earlier.rowsWritten, later.rowsWritten),
  });
  return {
    workerRequests: per(before.workerRequests, after.workerRequests),
    topicLog: ofObject(before.topicLog, after.topicLog),
    subscription: ofObject(before.subscription, after.subscription),
    wakes: per(before.wakes, after.wakes),
    queueOperations: per(before.queueOperations, after.queueOperations),
    d1RowsRead: per(before.d1RowsRead, after.d1RowsRead),
    d1RowsWritten: per(before.d1RowsWritten, after.d1RowsWritten),
  };
}

export function rowsWritten({ topicLog, subscription }: Counts): number {
  return topicLog.rowsWritten + subscription.rowsWritten;
}

/** Dollars for a million on Workers Paid; without processor time, duration and storage. */
const DOLLARS_PER_MILLION = {
  workerRequest: 0.3,
  objectRequest: 0.15,
  rowRead: 0.001,
  rowWritten: 1,
  queueOperation: 0.4,
};

/** What a million of what took `counts` costs, in dollars. */
export function dollarsPerMillion(counts: Counts): number {
  const { topicLog, subscription } = counts;
  return (
    counts.workerRequests * DOLLARS_PER_MILLION.workerRequest +
    (topicLog.requests + subscription.requests) * DOLLARS_PER_MILLION.objectRequest +
    (topicLog.rowsRead + subscription.rowsRead + counts.d1RowsRead) * DOLLARS_PER_MILLION.rowRead +
    (rowsWritten(counts) + counts.d1RowsWritten) * DOLLARS_PER_MILLION.rowWritten +
    counts.queueOperations * DOLLARS_PER_MILLION.queueOperation
  );
}

/** All that is not nought, in words. */
export function inWords({
  workerRequests,
  topicLog,
  subscription,
  queueOperations,
  d1RowsRead,
  d1RowsWritten,
}: Counts): string {
  const amounts: [number, string][] = [
    [workerRequests, 'Worker requests'],
    [topicLog.requests + subscription.requests, 'object requests'],
    [topicLog.rowsRead + subscription.rowsRead, 'rows read'],
    [topicLog.rowsWritten, 'rows written by the log'],
    [subscription.rowsWritten, 'by the subscription'],
    [queueOperations, 'queue operations'],
    [d1RowsRead, 'D1 rows read'],
    [d1RowsWritten, 'D1 rows written'],
  ];
  const shown = amounts.filter(([amount]) => amount >= 0.005);
  return shown.map(([amount, what]) => `${amount.toFixed(2)} ${what}`).join(', ');
}
