/** Metrics as Prometheus reads them: the text format 0.0.4. */

export const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** All samples of one name. A counter's name ends in `_total`. */
export interface Metric {
  name: string;
  help: string;
  type: 'counter' | 'gauge';
  samples: Sample[];
}

/** How many values lie at or below each bound, each bound's with all below it, and what all add up to. */
export interface HistogramSample {
  labels: Record<string, string>;
  buckets: { le: number; count: number }[];
  count: number;
  sum: number;
}

export interface Histogram {
  name: string;
  help: string;
  type: 'histogram';
  samples: HistogramSample[];
}

/** Metrics without samples are left out. */
export function prometheusText(metrics: readonly (Metric | Histogram)[]): string {
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .map((metric) => {
      const head = `# HELP ${metric.name} ${escapeHelp(metric.help)}\n# TYPE ${metric.name} ${metric.type}\n`;
      const lines =
        metric.type === 'histogram'
          ? metric.samples.flatMap((sample) => histogramLines(metric.name, sample))
          : metric.samples.map(({ labels, value }) => line(metric.name, labels, value));
      return head + lines.join('');
    })
    .join('');
}

function histogramLines(name: string, { labels, buckets, count, sum }: HistogramSample): string[] {
  return [
    ...buckets.map((bucket) => line(`${name}_bucket`, { ...labels, le: String(bucket.le) }, bucket.count)),
    line(`${name}_bucket`, { ...labels, le: '+Inf' }, count),
    line(`${name}_sum`, labels, sum),
    line(`${name}_count`, labels, count),
  ];
}

function line(name: string, labels: Record<string, string>, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
