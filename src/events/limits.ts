/** Every limit of publishing. What is over one of them is refused whole; nothing is cut to fit. */

/** One event, as it is stored: structured JSON without white space, in UTF-8. Data that is not text counts in base64. */
export const EVENT_BYTES_MAX = 1_048_576;

/** The body of one request. */
export const REQUEST_BYTES_MAX = 10 * 1_048_576;

/** Events in one request. */
export const REQUEST_EVENTS_MAX = 1_000;

/** Levels of arrays and objects within each other in an event's data. */
export const DATA_DEPTH_MAX = 128;

/** `id` and `type`, in characters (UTF-16 code units, as everywhere here). */
export const ID_CHARACTERS_MAX = 256;
export const TYPE_CHARACTERS_MAX = 256;

/** `source` and `dataschema`, in characters. */
export const URI_CHARACTERS_MAX = 2_048;

/** `subject` and `partitionkey`, in characters: both are indexed. */
export const SUBJECT_CHARACTERS_MAX = 1_024;

/** `datacontenttype`, in characters. */
export const MEDIA_TYPE_CHARACTERS_MAX = 256;

/** `time`, in characters: room for fractions of a second that nobody measures. */
export const TIME_CHARACTERS_MAX = 64;

/** The name of an extension attribute, in characters. CloudEvents recommends 20 and forbids none. */
export const EXTENSION_NAME_CHARACTERS_MAX = 64;

/** The value of an extension attribute, in characters: each becomes a header in binary mode. */
export const EXTENSION_CHARACTERS_MAX = 2_048;

/** Extension attributes of one event. */
export const EXTENSIONS_MAX = 32;

/** A pattern of event types in a filter, in characters. */
export const TYPE_PATTERN_CHARACTERS_MAX = 256;

/** Errors reported of one request; the rest shows once these are mended. */
export const ERRORS_MAX = 100;

/** The limits that whoever runs the hub, or a test, may want lower. */
export interface PublishLimits {
  eventBytes: number;
  requestBytes: number;
  requestEvents: number;
}

export const PUBLISH_LIMITS: PublishLimits = {
  eventBytes: EVENT_BYTES_MAX,
  requestBytes: REQUEST_BYTES_MAX,
  requestEvents: REQUEST_EVENTS_MAX,
};
