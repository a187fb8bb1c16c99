/**
 * Characters that CloudEvents 1.0.2 forbids in attributes ("String"): controls, noncharacters and unpaired surrogates.
 * Refusing the controls is also what keeps a line break out of the headers an attribute becomes in binary mode.
 */
const FORBIDDEN = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;

const SPACE = 0x20;
const TILDE = 0x7e;

/** Whether `text` can't be an attribute's value. */
export function hasForbiddenCharacter(text: string): boolean {
  // Most are printable ASCII, which is found out faster without the expression.
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < SPACE || code > TILDE) return FORBIDDEN.test(text);
  }
  return false;
}
