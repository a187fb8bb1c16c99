/** One thing wrong with an event: `path` is `type`, `[3].type` in an array, or a header's name in binary mode. */
export interface EventError {
  path: string;
  message: string;
}
