import type { BenchOutcome } from '../bench/result.ts'
import { EvtError } from '../core/errors.ts'
import type { Outcome } from '../output/exit-codes.ts'
import { loadOptions } from './bench/load-options.ts'
import { planBench } from './bench/plan.ts'
import { reproduceLine } from './bench/reproduce.ts'
import { runOnBridge } from './bench/run-on-bridge.ts'
import { runOnTransport } from './bench/run-on-transport.ts'
import { defineCommand } from './command.ts'
import { consentOptions, formatOptions, storeOptions } from './line/options.ts'
import { isStoreUrl } from './line/target.ts'

export default defineCommand({
  name: 'bench',
  section: 'load',
  summary: 'an honest load test of the bridge: latency from the intended time, every event accounted for',
  description: [
    'Sends events of its own (class scratch) through the outbox and the relay that runs to handlers of its own, and',
    'removes what it made, but for the events: class scratch goes after a day. Without a relay, or when the one that runs',
    'ends, it runs one; without a store it starts the embedded one. A store that goes away ends it (exit 3).',
    'With --target memory://, redis://…, kafka://… or amqp://… there is no store: publisher, a topic of its own, handlers.',
    'Gates: METRIC STATISTIC OPERATOR VALUE, times with their unit. Metrics: e2e, accept, commit, relay, deliver, handle, send_lag (p50 … p99.9,',
    'max, mean), e2e[HANDLER], throughput, lost, duplicates, reordered, errors rate, backlog.age. A gate passes only when',
    'it is proven: too few samples, or a generator that was the limit, make the run inconclusive (exit 98).',
  ].join('\n'),
  examples: [
    {
      line: 'evt bench --duration 2s --warmup 1s',
      says: 'a short one, with no gate: correctness is checked all the same',
    },
    { line: "evt bench --rate 200 --duration 2s --warmup 1s --gate 'lost == 0'", says: 'with a gate, for CI' },
    {
      line: "evt bench --target memory:// --rate 1000 --duration 2s --warmup 500ms --gate 'lost == 0'",
      says: 'handlers over a broker alone; redis://host, kafka://host or amqp://host as well',
      needs: 'nothing',
    },
    { line: 'evt bench --rate 100..400/2s --warmup 500ms --arrival poisson', says: 'a ramp with random arrivals' },
  ],
  args: {},
  options: {
    ...loadOptions,
    ...consentOptions,
    maxAffected: { ...consentOptions.maxAffected, shownDefault: 'unbounded; 1000 with --yes in a protected profile' },
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options, typed }, runtime): Promise<Outcome | undefined> {
    const url = options.target
    const isBroker = url !== undefined && !isStoreUrl(url)
    const bench = planBench(options, isBroker ? { kind: 'noop' } : undefined)
    const asked = { options, typed, reproduce: reproduceLine(bench, options) }
    if (!isBroker && options.lanes !== undefined)
      throw new EvtError('usage', 'cannot use --lanes with the store: it is for a --target that is a broker')
    const result = isBroker
      ? await runOnTransport(runtime, bench, { ...asked, url, lanes: options.lanes })
      : await runOnBridge(runtime, bench, { ...asked, ...(url === undefined ? {} : { url }) })
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
  gone: 'connect',
  broken: 'broken',
  defect: 'defect',
  interrupted: 'interrupted',
}
