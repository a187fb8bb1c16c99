/** What is wrong with the text of an expression, for a person: says where. */
export class Mistake extends Error {
  constructor(what: string, text: string, offset: number | null) {
    super(`${what}${offset === null ? '' : ` at ${placeOf(text, offset)}`}`);
    this.name = 'Mistake';
  }
}

/** `line 1, column 8`, both from 1, of a place in a text. */
export function placeOf(text: string, offset: number): string {
  const before = text.slice(0, Math.max(0, offset)).split('\n');
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}

/** @throws Mistake */
export function checkLength(text: string, charactersMax: number): void {
  if (text.trim() === '') throw new Mistake('is empty', text, null);
  if (text.length > charactersMax) throw new Mistake(`is longer than ${charactersMax} characters`, text, null);
}

/**
 * Counts what an expression is made of. Goes level by level rather than by calling itself, so that no depth is too much for
 * it. @throws Mistake
 *
 * @param partsOf the nodes directly within a node.
 */
export function checkSize<Node>(
  text: string,
  root: Node,
  limits: { nodesMax: number; depthMax: number },
  partsOf: (node: Node) => Node[],
): void {
  let nodes = 0;
  let depth = 0;
  for (let level = [root]; level.length > 0; level = level.flatMap(partsOf)) {
    depth += 1;
    nodes += level.length;
    if (depth > limits.depthMax) throw new Mistake(`has more than ${limits.depthMax} levels`, text, null);
    if (nodes > limits.nodesMax) throw new Mistake(`has more than ${limits.nodesMax} parts`, text, null);
  }
}
