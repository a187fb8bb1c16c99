import {
  type ExtensionValue,
  extensionProblem,
  HUB_ATTRIBUTES,
  hasScheme,
  isExtensionValue,
  isMediaType,
  isUriReference,
  nameProblem,
  type SentAttributes,
  TAIL_CLOSED,
} from './attribute-rules.ts';
import {
  EXTENSIONS_MAX,
  ID_CHARACTERS_MAX,
  MEDIA_TYPE_CHARACTERS_MAX,
  SUBJECT_CHARACTERS_MAX,
  TIME_CHARACTERS_MAX,
  TYPE_CHARACTERS_MAX,
  URI_CHARACTERS_MAX,
} from './limits.ts';
import { hasForbiddenCharacter } from './text.ts';
import { isTime } from './times.ts';

/** The values that keep a rule. The one that did last is remembered: events that come together often have the same. */
class Values {
  readonly #charactersMax: number;
  readonly #isOne: (text: string) => boolean;
  #last: string | null = null;

  constructor(charactersMax: number, isOne: (text: string) => boolean) {
    this.#charactersMax = charactersMax;
    this.#isOne = isOne;
  }

  has(value: unknown): value is string {
    if (typeof value === 'string' && value === this.#last) return true;
    if (!isAttribute(value, this.#charactersMax) || !this.#isOne(value)) return false;
    // Written anew: as a slice of the body it came in, it would keep all of that in memory.
    this.#last = `${value} `.slice(0, -1);
    return true;
  }
}

const sources = new Values(URI_CHARACTERS_MAX, isUriReference);
const types = new Values(TYPE_CHARACTERS_MAX, (type) => type !== TAIL_CLOSED);
const times = new Values(TIME_CHARACTERS_MAX, isTime);
const mediaTypes = new Values(MEDIA_TYPE_CHARACTERS_MAX, isMediaType);

/**
 * The attributes of an event that keeps every rule, as the schemas in cloudevent.ts would give them, at a tenth of their
 * cost; null where they have to be asked. Takes the members of the event as it was sent, which may be short: null attributes and
 * the hub's own are left out. Where it gives attributes, nothing but `data` can have levels in it.
 */
export function quickAttributes(
  names: readonly string[],
  values: readonly unknown[],
  short: boolean,
): SentAttributes | null {
  let versioned = short;
  let type: string | null = null;
  let id: string | null = null;
  let source: string | null = null;
  let subject: string | null = null;
  let time: string | null = null;
  let datacontenttype: string | null = null;
  let dataschema: string | null = null;
  let partitionkey: string | null = null;
  const extensions: [string, ExtensionValue][] = [];

  for (let index = 0; index < names.length; index++) {
    const name = names[index] ?? '';
    const value = values[index];
    if (name === 'data') continue;
    if (value === null || value === undefined) {
      if (name === 'specversion' || nameProblem(name) !== null) return null;
      continue;
    }
    switch (name) {
      case 'specversion':
        if (value !== '1.0') return null;
        versioned = true;
        break;
      case 'id':
        if (!isAttribute(value, ID_CHARACTERS_MAX)) return null;
        id = value;
        break;
      case 'source':
        if (!sources.has(value)) return null;
        source = value;
        break;
      case 'type':
        if (!types.has(value)) return null;
        type = value;
        break;
      case 'subject':
        if (!isAttribute(value, SUBJECT_CHARACTERS_MAX)) return null;
        subject = value;
        break;
      case 'time':
        if (!times.has(value)) return null;
        time = value;
        break;
      case 'datacontenttype':
        if (!mediaTypes.has(value)) return null;
        datacontenttype = value;
        break;
      case 'dataschema':
        if (!isAttribute(value, URI_CHARACTERS_MAX) || !isUriReference(value) || !hasScheme(value)) return null;
        dataschema = value;
        break;
      case 'partitionkey':
        if (!isAttribute(value, SUBJECT_CHARACTERS_MAX)) return null;
        partitionkey = value;
        break;
      case 'data_base64':
        return null;
      default:
        if (HUB_ATTRIBUTES.has(name)) {
          // Ignored whatever it is; but then the event is not known to be flat.
          if (typeof value === 'object') return null;
          continue;
        }
        if (nameProblem(name) !== null || !isExtensionValue(value) || extensionProblem(value) !== null) return null;
        extensions.push([name, value]);
    }
  }
  if (!versioned || type === null || extensions.length > EXTENSIONS_MAX) return null;
  if (extensions.length > 1) extensions.sort(([a], [b]) => (a < b ? -1 : 1));
  return { id, source, type, subject, time, datacontenttype, dataschema, partitionkey, extensions };
}

function isAttribute(value: unknown, charactersMax: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= charactersMax && !hasForbiddenCharacter(value);
}
