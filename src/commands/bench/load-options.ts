import { parseHandlerKind } from '../../bench/bridge/handler-kind.ts'
import { parseSkew } from '../../bench/keys.ts'
import { parseArrival } from '../../core/arrival.ts'
import { parseRate } from '../../core/rate.ts'
import { choice, flag, text, value, values } from '../command.ts'
import { count, duration } from '../line/options.ts'
import { sizes } from './sizes.ts'

/** What is sent, to what, and what must hold. */
export const loadOptions = {
  target: value({
    short: 't',
    value: 'url',
    says: 'a broker alone, with no store: memory://, redis://…, kafka://…, amqp://…; or a store',
    parse: targetUrl,
    shownDefault: 'the bridge on the store',
  }),
  lanes: value({ value: 'count', says: 'of the topic, on a broker', parse: count, shownDefault: '16' }),
  rate: value({
    value: 'rate',
    says: '1000, 500..5000/60s, 200:30s,2000:10s or max',
    parse: parseRate,
    default: parseRate('1000'),
    shownDefault: '1000',
  }),
  duration: value({
    value: 'time',
    says: 'length of the measured part',
    parse: duration,
    shownDefault: '8s, or that of the ramp',
  }),
  warmup: value({
    value: 'time',
    says: 'sent before, and not measured',
    parse: duration,
    default: 2_000,
    shownDefault: '2s',
  }),
  arrival: value({
    value: 'kind',
    says: 'uniform, poisson or burst:N',
    parse: parseArrival,
    default: parseArrival('uniform'),
    shownDefault: 'uniform',
  }),
  seed: value({ value: 'number', says: 'the same load every time', parse: count, default: 1, shownDefault: '1' }),
  size: value({
    value: 'bytes',
    says: 'of data; several are taken in turn: 64,1k,64k',
    parse: sizes,
    default: [200],
    shownDefault: '200',
  }),
  keys: value({ value: 'count', says: 'subjects', parse: count, default: 1_000, shownDefault: '1000' }),
  skew: value({
    value: 'kind',
    says: 'how unevenly they are used: uniform or zipf:1.1',
    parse: parseSkew,
    default: parseSkew('uniform'),
    shownDefault: 'uniform',
  }),
  handler: values({
    value: 'kind',
    says: 'effect (default), noop, sleep:5ms±1ms or cpu:1ms',
    parse: parseHandlerKind,
  }),
  gate: values({ value: 'condition', says: "fail unless it holds: 'e2e p99 < 100ms'", parse: text }),
  maxInflight: value({
    value: 'time',
    says: 'unacknowledged events before it waits, as time at the offered rate',
    parse: duration,
    default: 10_000,
    shownDefault: '10s',
  }),
  drainTimeout: value({
    value: 'time',
    says: 'how long unfinished events are waited for at the end',
    parse: duration,
    default: 30_000,
    shownDefault: '30s',
  }),
  pacing: value({
    value: 'kind',
    says: 'auto (about 0.1 ms), timer (about 1 ms) or precise (burns a core)',
    parse: choice(['auto', 'timer', 'precise']),
    default: 'auto',
  }),
  live: flag({ says: 'show how it goes, on a terminal', on: true }),
} as const

/** As `memory`, `transport:redis://…` too. */
function targetUrl(given: string): string {
  const url = given.replace(/^transport:/, '')
  return /^[a-z]+$/.test(url) ? `${url}://` : url
}
