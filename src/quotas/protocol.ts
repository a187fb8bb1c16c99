/** How many events a key may publish, and the calls that the object counting them answers. Plain values: they cross RPC. */

/** At most `count` events in each window of `spanMs`; windows follow each other without a gap from the epoch on. */
export interface Quota {
  count: number;
  spanMs: number;
}

export interface TakeRequest {
  v: 1;
  quota: Quota;
  /** Events. */
  count: number;
}

/** Where a quota stands. Times are milliseconds since the epoch. */
export interface QuotaStanding {
  /** When the present window began: what is given back names it. */
  window: number;
  remaining: number;
  resetAt: number;
}

/** Refused: there were not as many left, and none was taken. */
export type TakeResult = QuotaStanding & { outcome: 'taken' | 'refused' };

export interface QuotaApi {
  take(request: TakeRequest): Promise<TakeResult>;
  /** What was taken for events that were refused after all. Later than its window it changes nothing. */
  giveBack(request: { v: 1; window: number; count: number }): Promise<void>;
  /** Its key was deleted. */
  forget(): Promise<void>;
}
