/** Every limit of a tail, with its unit. */

/** Events that a tail reads from the log at a time while it catches up. */
export const TAIL_PAGE_EVENTS_MAX = 250;
/** A reader gives back room in its feed when it has taken so many characters: a message of it is a twentieth of a request. */
export const TOOK_CHARS = 64 * 1024;
/** A feed that says nothing is asked whether it is there, this often; without an answer until the next time another one is made. */
export const FEED_PING_MS = 60_000;
/** After a failure a tail tries again, twice as late each time; and gives up after so many in a row. */
export const TAIL_AGAIN_MS = 200;
export const TAIL_AGAIN_MAX_MS = 5_000;
export const TAIL_TRIES_MAX = 6;
/** A feed that was open for this long was none of the failures in a row. */
export const FEED_STEADY_MS = 30_000;
/** How much later than a time that is to come a tail looks whether all up to it is there: clocks differ. */
export const CLOCK_SLACK_MS = 1_000;
/** A tail whose filter has used up what a page may cost lets others go first, for about as long as that took. */
export const FILTER_REST_MS = 500;

/** Frames, and lists of events as they are written, that the readers in an isolate share; and so much of each in all. */
export const SHARED_MAX = 64;
export const SHARED_FRAMES_CHARS_MAX = 2 * 1_048_576;
export const SHARED_WRITTEN_BYTES_MAX = 4 * 1_048_576;
/** Filters whose readers share what one of them finds in a frame; those of further ones look for themselves. */
export const SHARED_FILTERS_MAX = 8;

/** A tail ends after this long, whatever it gives: the Worker's time and calls are bounded. Its reader comes back. */
export const TAIL_LIFE_MS = 3_600_000;
/** A reader that takes nothing for this long, though there is something, is too slow. */
export const TAIL_STALL_MS = 30_000;

/** Characters and events sent over a WebSocket and not acknowledged, if its reader acknowledges. */
export const SOCKET_WINDOW_CHARS = 1_048_576;
export const SOCKET_WINDOW_EVENTS = 1_000;
/** Characters sent over one WebSocket whose reader acknowledges nothing: whether they were taken can't be known. */
export const SOCKET_BLIND_CHARS_MAX = 32 * 1_048_576;
/** And so many characters a second. */
export const SOCKET_BLIND_CHARS_PER_SECOND = 4 * 1_048_576;
/** It may run ahead of that by this much, so that what comes now and then waits for nothing. */
export const SOCKET_BLIND_SLACK_MS = 100;
