import { RETRY_DELAY_MAX_MS } from '../events/handing-limits.ts';

/** The limits and times of deliveries. The unit is in the name. */

/** A lease not claimed is sent again after this, and then in the longer interval. */
export const FIRST_RESEND_MS = 5_000;
export const RESEND_MS = 10_000;
/** How long a claim lives without a renewal. */
export const CLAIM_LIFE_MS = 15_000;
export const RENEW_EVERY_MS = 5_000;
/** A replay's claims are renewed more often, so that a cancel stops it within a second. */
export const RENEW_REPLAY_EVERY_MS = 750;
/** Claims without a settle until a lease's events go out singly, and until a single one is a dead letter `consumer`. */
export const CLAIMS_MAX = 3;

export const LEASE_EVENTS_MAX = 50;
/** The same where the receiver of a webhook has answered swiftly of late. */
export const SWIFT_EVENTS_MAX = 200;
/** The same where many go in one call, to a consumer Worker or its queue. */
export const CALLED_EVENTS_MAX = 500;
/** Calls of consumer Workers for one lease, and in one invocation: the platform lets it call 32 Workers, further calls throw. */
export const SERVICE_CALLS_MAX = 24;
export const INVOCATION_SERVICE_CALLS_MAX = 28;
export const LEASE_BYTES_MAX = 4 * 1024 * 1024;
/** Events and bytes in a request of the format `batch`, which is a lease of its own; one event may be larger. */
export const BATCH_EVENTS_MAX = LEASE_EVENTS_MAX;
export const BATCH_BYTES_MAX = 1024 * 1024;
/** A receiver that answers within this on average gets larger leases, whatever its timeout. */
export const SWIFT_LATENCY_MS = 20;
/** Slots are shared out among three leases, so that eighteen requests are under way; among two where each takes no time. */
export const LEASES_WANTED = 3;
export const LEASES_WANTED_SWIFT = 2;
/** But not into smaller ones than this. */
export const LEASE_EVENTS_MIN = 16;
/** The queue consumer's pool, and how long it may work on one lease. */
export const POOL_SIZE = 6;
export const LEASE_WORK_MS = 60_000;
/** How long whoever has settled a lease waits for the next, which its log is asked for. */
export const NEXT_LEASE_MAX_MS = 250;
/** With leases that follow each other it begins none after this: queue messages of others are not to wait for it. */
export const GOES_ON_MS = 1_000;
/** Requests of one invocation, a settle for each lease among them; the platform has let it make a thousand, and lets it more. */
export const INVOCATION_REQUESTS_MAX = 900;

/** Who waits to pull at the same time; more are answered at once. */
export const PULLERS_MAX = 200;
/** How long a pull waits for its first delivery. */
export const PULL_WAIT_MAX_MS = 60_000;
/** A pull that does not want to wait is answered after this at the latest, whatever a log does. */
export const PULL_LOOK_MAX_MS = 5_000;
/** How long a pull that has something waits for what is on its way to it. */
export const PULL_GATHER_MS = 25;
/** Deliveries in one pull where each has to be transformed before it is answered. */
export const PULL_TRANSFORMED_MAX = 100;
/** Ids in one request that settles. */
export const ACK_IDS_MAX = 1_000;
/** The longest that what could not be done may be put off: as long as a consumer Worker may ask for. */
export const NACK_DELAY_MAX_MS = RETRY_DELAY_MAX_MS;
/** Ids acknowledged of late that are kept in memory at least, so that one told again is no surprise. */
export const ACKED_KEPT = 10_000;
/** Of the attempts at a delivery so far, those by whose ack ids a queue's consumer may still say that it is done. */
export const TOKENS_KEPT = 32;

/** Deliveries handed out in one pull; all together have as many bytes as a lease, unless the first has more. */
export const PULL_EVENTS_MAX = 1_000;

/** Events of one key in a lease: they go one after the other. */
export const KEY_RUN_MAX = 16;
/** Keys held at which a subscription stops taking new events. */
export const HOLDS_MAX = 10_000;
/** Keys caught up with in one read. */
export const HOLDS_AT_ONCE = 50;
/** Events read at a time where some may be passed without being taken. */
export const PASS_EVENTS = 250;

/** Exceptions at which a subscription stops taking new events. */
export const EXCEPTIONS_MAX = 100_000;
/** While failing: no retry due within this, and the next event of the log is the probe. */
export const PROBE_WITHIN_MS = 5 * 60_000;
export const PROBE_FIRST_MS = 5_000;
/** While its secret can't be opened a subscription looks again at least this often: a deployment may have brought it back. */
export const LOCKED_LOOK_MS = 60_000;
/** While something stands in the way of all deliveries they are tried after as long as it has lasted, up to this. */
export const OBSTACLE_WAIT_MAX_MS = 5 * 60_000;
export const RETRY_AFTER_MAX_MS = 24 * 3_600_000;

/** A lease whose attempts took longer than this on average marks the subscription slow; below half of it, no more. */
export const SLOW_LATENCY_MS = 1_000;

/** Attempts, or rows of them, that may wait to be counted into the statistics. */
export const UNCOUNTED_ATTEMPTS_MAX = 200;
export const UNCOUNTED_ROWS_MAX = 50;
/** Those who may wait for what becomes of a delivery at the same time, how long, and how soon after a transition it is looked at. */
export const DELIVERIES_WATCHED_MAX = 200;
export const WATCH_MAX_MS = 20_000;
export const LOOK_AGAIN_MS = 50;
/** With so many rows of attempts that came, so many of the oldest are looked at, and in a sweep, for those not kept any more. */
export const TRIM_EVERY_ROWS = 4;
export const TRIMMED_AT_ONCE = 8;
export const TRIMMED_BY_SWEEP = 5_000;
/** Attempts in a row: their answers and errors are kept, which are as much as 12 KB each, and a row has 2 MB. */
export const ATTEMPTS_PER_ROW_MAX = 100;
/** Attempt rows read at a time, and looked at for one page of a listing. */
export const ATTEMPT_ROWS_AT_ONCE = 50;
export const ATTEMPT_ROWS_MAX = 500;

/** An active lane that is neither parked nor covered by a lease is looked at again after this. */
export const WATCHDOG_MS = 5_000;
/** With a lease under way a lane reads again after this, or when a whole lease can be made: so events share leases under load. */
export const LINGER_MS = 25;
/** A lane to which so many events come in so long waits that long, or for a whole lease, even with nothing under way. */
export const COMPANY_MIN = 10;
export const COMPANY_MS = 200;
/** With more to read than slots are free, a lane waits this long for those that make a whole lease: so leases stay few and full. */
export const SHORT_OF_SLOTS_MS = 100;
/** Lanes that wait for company looked at in one turn. */
export const LINGERING_MAX = 200;
/** Lanes reading their logs at the same time. */
export const READERS_MAX = 6;
/** No progress for this long in spite of a lag: says so in the catalogue. */
export const STALLED_MS = 60_000;

/** Work for D1 and for the logs that failed is tried again after this, doubling. */
export const CHORE_RETRY_FIRST_MS = 1_000;
export const CHORE_RETRY_MAX_MS = 30_000;
/** A step of it that has no answer for this long has failed. */
export const CHORE_STEP_MAX_MS = 30_000;
/** A call to a log or to D1 that a caller waits for has failed if it has no answer for this long. */
export const ANSWER_MAX_MS = 10_000;
/** An alarm that is late by this much is set again. */
export const ALARM_LATE_MS = 10_000;
/** After an alarm that failed the next one comes no sooner than this. */
export const ALARM_FALLBACK_MS = 5_000;
/** A log that has not answered a read or a claim after this holds up nothing of other topics; no healthy one takes so long. */
export const LOG_SILENT_MS = 2_000;
/** Whoever pulls waits no longer than this for what has to be read again of one topic, if another has something for him. */
export const LOG_LATE_MS = 100;
/** Reads without an answer after `LOG_SILENT_MS` that don't count among the `READERS_MAX`; more of them do. */
export const LATE_READERS_MAX = 50;
/** A read of a log that has not come back after this is not counted on. */
export const READ_GIVEN_UP_MS = 30_000;
/** What is kept of why a delivery died: it goes into a row of D1 beside the event, and into an event of its own. */
export const LAST_ERROR_CHARACTERS_MAX = 1_000;
/** With so many dead letters that D1 doesn't have yet nothing new is taken, or a filter that fails on every event would fill the object. */
export const LETTERS_UNSENT_MAX = 10_000;
/** Dead letters written to D1 at a time. */
export const LETTERS_PER_FLUSH = 50;
/** And their events, unless the first is larger. */
export const FLUSH_BYTES_MAX = 4 * 1024 * 1024;
/** Dead letters a job redrives or discards in a step. */
export const JOB_STEP = 100;
/** A job goes on while fewer redriven letters than this are pending: each keeps its whole event here. */
export const REDRIVEN_MAX = 1_000;
/** An attachment nobody confirmed is taken back after this. */
export const ATTACHMENT_GRACE_MS = 60_000;
/** Topics held against the patterns in one look-up. */
export const TOPICS_PAGE = 500;
/** By so much the clocks of two Workers or objects may differ. */
export const CLOCKS_APART_MS = 1_000;
/** Topics a new subscription attaches before its `201`; the rest follows in the background. */
export const ATTACH_AT_ONCE = 1_000;
/** Events of a key read at a time to count what a seek drops of it. */
export const SEEK_PAGE = 500;
/** Logs asked at the same time for a view. */
export const VIEW_CONCURRENCY = 16;
/** Events of leases kept in memory between the read and the claim. */
export const CACHE_BYTES_MAX = 16 * 1024 * 1024;

/** Topics that a subscription is behind in, of which its metrics tell where it stands. */
export const METRICS_LANES_MAX = 1_000;
/** Deaths waiting to be told on millrace.system one by one; further ones are counted into one event. */
export const DEATHS_TOLD_SINGLY_MAX = 10;
/** And this long after some were told the next are. */
export const DEATHS_TOLD_EVERY_MS = 1_000;
/** What was told of how a receiver does is followed by a failing or an error no sooner than this. */
export const FAILING_TOLD_EVERY_MS = 60_000;
/** A name that can't be looked up is told of once that has lasted for so long. */
export const ERROR_TOLD_AFTER_MS = 60_000;
/** A receiver that has not consented is asked again after this, doubling. */
export const CONSENT_DELAY_FIRST_MS = 5_000;
export const CONSENT_DELAY_MAX_MS = 3_600_000;

/** What is throttled is leased when its rate slot lies within this, and waits in the log before. */
export const RATE_AHEAD_MS = 2_000;
/** And is looked at at least this often, whatever the clock does. */
export const RATE_WAIT_MAX_MS = 60_000;
/** A rate slot lies at least this far ahead of its claim, whose answer takes a while; where that takes longer, up to the other. */
export const RATE_LEAD_MIN_MS = 10;
export const RATE_LEAD_MAX_MS = 1_000;

/** A `Retry-After` holds up the whole subscription for this long at most. */
export const HOLD_MAX_MS = 5 * 60_000;
