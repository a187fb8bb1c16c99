declare module 'parse-prometheus-text-format' {
  interface Value {
    value?: string;
    labels?: Record<string, string>;
    /** Of a histogram, by upper bound. */
    buckets?: Record<string, string>;
  }

  /** @throws or leaves out what is not in the format */
  export default function parse(text: string): { name: string; help: string; type: string; metrics: Value[] }[];
}
