/** Every limit of expressions. One over a limit of its text is refused when it is set; one that costs too much on an event fails on it. */

/** A CEL expression, in characters. */
export const CEL_CHARACTERS_MAX = 2_048;
/** Operators, calls, names and values in a CEL expression, those of its macros included. */
export const CEL_NODES_MAX = 500;

/** A JSONata expression, in characters. */
export const JSONATA_CHARACTERS_MAX = 8_192;
/** Steps, operators, calls, names and values in a JSONata expression. */
export const JSONATA_NODES_MAX = 2_000;

/** Levels within each other in an expression. */
export const EXPRESSION_DEPTH_MAX = 64;

/**
 * What one CEL expression may spend on one event. A unit is about a node evaluated, an element looked at, or 64 characters
 * read: this is some 50 ms at most.
 */
export const CEL_COST_MAX = 100_000;
/** What a page of events may spend on its filter; the rest of it is read again, so that no invocation runs long. */
export const CEL_PAGE_COST_MAX = 1_000_000;
/** Instructions of a compiled regular expression. Matching costs at most as many a character. */
export const REGEX_INSTRUCTIONS_MAX = 1_000;

/** What one JSONata expression may spend on one event, in the same units: some 200 ms at most. */
export const JSONATA_COST_MAX = 100_000;
/** Evaluations within each other, recursion included. */
export const JSONATA_STACK_MAX = 400;
/** Elements of a range or sequence. */
export const JSONATA_SEQUENCE_MAX = 100_000;

/** Headers that a transform makes, and a value's length in characters. */
export const TRANSFORM_HEADERS_MAX = 20;
export const TRANSFORM_HEADER_CHARACTERS_MAX = 2_048;
