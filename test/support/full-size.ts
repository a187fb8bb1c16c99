/**
 * The sizes that faults are tried at. `FAULTS_FULL=1` tries them at the size that is promised; without it those that take
 * minutes at that size are smaller, and their tests say what was seen at the full one.
 */
export function sized(sizes: { full: number; usual: number }): number {
  return process.env.FAULTS_FULL === '1' ? sizes.full : sizes.usual;
}
