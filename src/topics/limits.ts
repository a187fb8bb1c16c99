/** Every limit of a log, with its unit. */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1000;

/** A publish that arrives while another one commits waits this long for company. */
export const GATHER_MS = 1;
/** Events that share one commit, at most; a request is never split. */
export const COMMIT_EVENTS_MAX = 1000;
/** Characters of JSON that share one commit, at most; a request is never split. */
export const COMMIT_CHARS_MAX = 10 * MIB;
/** Bytes in one segment, unless a single event is larger: what is read for a single event of it. */
export const SEGMENT_BYTES_MAX = 64 * KIB;
/** A JSON argument to SQL holds about this many characters, at most. */
export const SQL_JSON_CHARS_MAX = MIB / 2;
/** From this size on a topic refuses new events. The platform ends at 10 GB. */
export const TOPIC_FULL_BYTES = 9_000_000_000;
/** From this size on it says so on the hub's own topic, and again once it was smaller than the second. */
export const TOPIC_FILLING_BYTES = 8_000_000_000;
export const TOPIC_FILLING_AGAIN_BYTES = 7_000_000_000;
/** How large it is on disk is asked again after so many bytes of events, and each time within so many of where it matters. */
export const SIZE_ASKED_EVERY_BYTES = MIB;
export const SIZE_NEAR_BYTES = 256 * MIB;
/** The window of a topic made by publishing to it. */
export const DEDUPLICATION_WINDOW_DEFAULT_MS = 24 * 60 * 60 * SECOND_MS;
/** So many of the youngest events are looked up in memory; then their identities become a run. A log that starts reads them first. */
export const YOUNG_EVENTS_MAX = 4096;
/** Up to so many times as many, if the log took as many since it started: then there are fewer runs to look into and to merge. */
export const YOUNG_BUSY_FACTOR = 7;
/** Runs of identities that are merged into one. */
export const RUNS_MERGED = 8;
/** A commit does one piece of work on the runs, and one more for so many events that it brings. */
export const EVENTS_A_RUN_WORK = 512;
/** Pages of a run that is too old cleared away in one piece of work. */
export const RUN_PAGES_CLEARED = 64;
/** So many events wait until their keys go into the postings. */
export const KEYS_WAITING_MAX = 32_768;
/** Keys whose postings are written in one commit, or up to twice as many. */
export const KEYS_A_PIECE = 4096;
/** Sequences in one row of postings, and rows read at once. */
export const POSTING_SEQUENCES_MAX = 256;
export const POSTINGS_AT_ONCE = 4;
/** Characters of keys on their way into the postings, as JSON, unless those of a segment are more. */
export const KEY_CHARS_AT_ONCE = 4 * MIB;
/** Segments whose keys are read at once: a segment's are no larger than its events. */
export const KEY_SEGMENTS_AT_ONCE = 50;
/** Characters of keys that wait, as JSON, kept in memory for whoever reads by key, unless those of a segment are more. */
export const WAITING_KEY_CHARS_MAX = 8 * MIB;
/** Events of one key looked at for one read by key where some may not match. */
export const KEY_EXAMINED_MAX = 64;
/** Keys read by in one call, at most. */
export const KEY_READS_MAX = 64;
/** Filters of pages kept in memory, of 1 KiB each. */
export const FILTERS_KEPT = 16_384;

/** Events on one page, at most. */
export const PAGE_EVENTS_MAX = 1000;
/** Bytes of events on one page, unless the first is larger. */
export const PAGE_BYTES_MAX = 4 * MIB;
/** Sequences examined for one page, at most. */
export const EXAMINED_MAX = 5000;
/** Bytes of stored events examined for one page, unless a single segment is larger. */
export const EXAMINED_BYTES_MAX = 8 * MIB;
/** Segments read at once, at most. */
export const SEGMENTS_AT_ONCE = 200;
/** Bytes of segments read at once, unless a single one is larger. */
export const SEGMENT_BYTES_AT_ONCE = MIB;
/** Readers waiting for events at once; more are answered without waiting. */
export const WAITING_READERS_MAX = 1000;
/** The longest that a read waits. */
export const WAIT_MAX_MS = 60 * SECOND_MS;

/** Feeds of one topic at once. The platform ends at 32,768 sockets an object. */
export const FEEDS_MAX = 10_000;
/** Characters of events that a frame carries, at most; of more it only says that they are there. */
export const FRAME_CHARS_MAX = 64 * KIB;
/** Events that a frame carries, at most. */
export const FRAME_EVENTS_MAX = 500;
/** Characters sent to one feed whose reader has not said that it took them; from then on it is only told. */
export const FEED_OPEN_CHARS_MAX = 256 * KIB;
/** The same over all feeds of a topic. */
export const FEEDS_OPEN_CHARS_MAX = 32 * MIB;
/** From here on frames ask their readers to say at once what they took: a thousand of them hold more than that otherwise. */
export const FEEDS_ASK_CHARS = FEEDS_OPEN_CHARS_MAX / 2;
/** Events wait for company this long for each feed that is to have them, so that a thousand feeds take four frames a second each. */
export const FEED_GATHER_MS = 0.25;
/** But no longer than this. */
export const FEED_GATHER_MAX_MS = SECOND_MS;
/** What is known of a feed is written to its socket, where it outlives a hibernation, once no event came for this long. */
export const FEED_SETTLE_MS = SECOND_MS;
/** A feed of which nothing matches is told how far the log is once this has passed, with what comes next. */
export const FEED_TELL_MS = 10 * SECOND_MS;
/** Characters of a feed's filter as JSON: it lies beside the socket, where the platform allows 16 KiB. */
export const FEED_MATCH_CHARS_MAX = 4 * KIB;

/** Wakes under way at once. */
export const WAKES_MAX = 32;
/** Bytes of events a wake carries, at most. */
export const WAKE_BYTES_MAX = 64 * KIB;
/** Events a wake carries, at most. */
export const WAKE_EVENTS_MAX = 250;
/** A wake without an answer for this long has failed. */
export const WAKE_TIMEOUT_MS = 10 * SECOND_MS;
/** A failed wake is tried again after this, doubling. A lost one heals within 30 s: the longest wait and a timeout. */
export const WAKE_RETRY_MS = SECOND_MS;
export const WAKE_RETRY_MAX_MS = 20 * SECOND_MS;
/** The alarm that a commit sets in case the object dies before its wakes are answered. */
export const WAKE_SAFETY_MS = 5 * SECOND_MS;

/** A call to the catalogue or to a subscription, made from the alarm, without an answer for this long has failed. */
export const CHORE_TIMEOUT_MS = 10 * SECOND_MS;
export const CHORE_RETRY_MS = SECOND_MS;
export const CHORE_RETRY_MAX_MS = 60 * SECOND_MS;
/** An alarm waits this long for its chores, then lets them go on beside the next alarm. */
export const ALARM_WAIT_MS = 5 * SECOND_MS;
/** What is under way is looked at again after this. */
export const CHORE_SAFETY_MS = 15 * SECOND_MS;
/** Where even working out the next alarm fails. */
export const ALARM_FALLBACK_MS = 10 * SECOND_MS;
/** Subscriptions told of an appeared topic or of events that go, at once. */
export const CHORE_CALLS_MAX = 8;

/** Events removed in one step. */
export const REMOVAL_EVENTS_MAX = 1000;
/** Bytes removed in one step, unless a single segment is larger. */
export const REMOVAL_BYTES_MAX = MIB;
/** A deletion is answered after this at the latest; it goes on in the alarm. */
export const REMOVE_WAIT_MS = 10 * SECOND_MS;
/** Rows of subscribers read at once. */
export const SUBSCRIBERS_PAGE = 500;
/** Names in a refusal to delete a topic. */
export const NAMED_SUBSCRIBERS_MAX = 100;
