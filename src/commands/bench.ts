import { parseHandlerKind } from '../bench/bridge/handler-kind.ts'
import { parseSkew } from '../bench/keys.ts'
import type { BenchOutcome } from '../bench/result.ts'
import { parseArrival } from '../core/arrival.ts'
import { parseRate } from '../core/rate.ts'
import type { Outcome } from '../output/exit-codes.ts'
import { planBench } from './bench/plan.ts'
import { reproduceLine } from './bench/reproduce.ts'
import { runOnBridge } from './bench/run-on-bridge.ts'
import { sizes } from './bench/sizes.ts'
import { choice, defineCommand, flag, text, value, values } from './command.ts'
import { consentOptions, count, duration, formatOptions, storeOptions } from './line/options.ts'

export default defineCommand({
  name: 'bench',
  section: 'load',
  summary: 'an honest load test of the bridge: latency from the intended time, every event accounted for',
  description: [
    'Sends events of its own (class scratch) through the outbox and the relay that runs to handlers of its own, and',
    'removes what it made. Without a relay it runs one, without a store it starts the embedded one.',
    'Gates: METRIC STATISTIC OPERATOR VALUE. Metrics: e2e, accept, commit, relay, deliver, handle, send_lag (p50 … p99.9,',
    'max, mean), e2e[HANDLER], throughput, lost, duplicates, reordered, errors rate, backlog.age. A gate passes only when',
    'it is proven: too few samples, or a generator that was the limit, make the run inconclusive (exit 98).',
  ].join('\n'),
  examples: [
    {
      line: 'evt bench --duration 2s --warmup 1s',
      says: 'a short one, with no gate: correctness is checked all the same',
    },
    { line: "evt bench --rate 200 --duration 2s --warmup 1s --gate 'lost == 0'", says: 'with a gate, for CI' },
    { line: 'evt bench --rate 100..400/2s --warmup 500ms --arrival poisson', says: 'a ramp with random arrivals' },
  ],
  args: {},
  options: {
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
      says: 'auto, timer (about 1 ms) or precise (burns a core)',
      parse: choice(['auto', 'timer', 'precise']),
      default: 'auto',
    }),
    live: flag({ says: 'show how it goes, on a terminal', on: true }),
    ...consentOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options, typed }, runtime): Promise<Outcome | undefined> {
    const bench = await planBench(options)
    const reproduce = reproduceLine(bench, options)
    const result = await runOnBridge(runtime, bench, { options, typed, reproduce })
    const { renderReport } = await import('../bench/report.ts')
    runtime.output.result({
      status: result.outcome === 'done' ? 'pass' : result.outcome === 'defect' ? 'error' : 'fail',
      data: result,
      render: () => renderReport(result, runtime.output.paint),
    })
    return outcomes[result.outcome]
  },
})

const outcomes: Readonly<Record<BenchOutcome, Outcome>> = {
  done: 'done',
  gate: 'gate',
  inconclusive: 'inconclusive',
  broken: 'broken',
  defect: 'defect',
  interrupted: 'interrupted',
}
