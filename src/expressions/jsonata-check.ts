import { FUNCTIONS } from './jsonata-functions.ts';
import { EXPRESSION_DEPTH_MAX, JSONATA_NODES_MAX } from './limits.ts';
import { checkSize, Mistake } from './mistake.ts';

/** Checks of a parsed JSONata expression before it is ever evaluated. */

/** A node as the parser makes it, as far as it is looked at here: its types are not all that there is. */
export type Node = Readonly<Record<string, unknown>>;

/** @throws Mistake */
export function checkJsonata(text: string, root: Node): void {
  checkSize(text, root, { nodesMax: JSONATA_NODES_MAX, depthMax: EXPRESSION_DEPTH_MAX }, partsOf);
  const nodes = [...allOf(root)];
  const known = new Set([...FUNCTIONS, ...nodes.flatMap(namesBoundBy), '', '$']);
  for (const node of nodes) {
    // JavaScript's engine goes back without an end where a pattern is made for that, and can't be stopped.
    if (node.type === 'regex') throw mistake(text, node, 'regular expressions are not available in a transform');
    if (node.type === 'variable' && typeof node.value === 'string' && !known.has(node.value))
      throw mistake(text, node, `unknown function or variable $${node.value}`);
  }
}

/** The parser's positions are behind what they are of. */
function mistake(text: string, node: Node, what: string): Mistake {
  return new Mistake(what, text, typeof node.position === 'number' ? startOf(text, node.position) : null);
}

/** Where the word or sign begins that ends at a position. */
export function startOf(text: string, position: number): number {
  return position - (/(?:[\p{L}\p{N}_$]+|.)$/su.exec(text.slice(0, position))?.[0].length ?? 0);
}

/** Nodes are told by their type; lists of them, and lists of pairs, are looked through. */
export function partsOf(node: Node): Node[] {
  return Object.values(node).flatMap(nodesIn);
}

function nodesIn(value: unknown): Node[] {
  if (Array.isArray(value)) return value.flatMap(nodesIn);
  if (typeof value !== 'object' || value === null || value instanceof RegExp) return [];
  return [{ ...value }];
}

function* allOf(root: Node): Generator<Node> {
  yield root;
  for (const part of partsOf(root)) yield* allOf(part);
}

/** Variables that are given a value somewhere in the expression. */
function namesBoundBy(node: Node): string[] {
  const bound = node.type === 'bind' ? [node.lhs] : node.type === 'lambda' ? [node.arguments] : [];
  const names = bound.flatMap(nodesIn).map(({ value }) => value);
  return [...names, node.focus, node.index].filter((name) => typeof name === 'string');
}
