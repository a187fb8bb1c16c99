/** Limits of what a consumer says; of its own, so that a consumer need not have the schemas. */

/** Where the hub posts to, if it is told to call a consumer Worker's `fetch`. */
export const DELIVERIES_PATH = '/millrace/deliveries';
/** The longest `delay` a consumer may ask for, milliseconds. */
export const RETRY_DELAY_MAX_MS = 12 * 3_600_000;
/** How long a delivery may be held by its ack id in all, however often it is extended. */
export const HELD_MAX_MS = 12 * 3_600_000;
/** Of a `reason`; what is longer is cut. */
export const REASON_CHARACTERS_MAX = 1_024;
