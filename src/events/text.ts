/**
 * Characters that CloudEvents 1.0.2 forbids in attributes ("String"): controls, noncharacters and unpaired surrogates.
 * Refusing the controls is also what keeps a line break out of the headers an attribute becomes in binary mode.
 */
const FORBIDDEN = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;

/** Whether `text` can't be an attribute's value. */
export function hasForbiddenCharacter(text: string): boolean {
  return FORBIDDEN.test(text);
}
