import type { BenchResult } from '../../bench/result.ts'
import { EvtError } from '../../core/errors.ts'
import { type Target, withTarget } from '../line/target.ts'
import type { Runtime } from '../runtime.ts'
import { type Asked, askToLoad } from './ask.ts'
import type { PlannedBench } from './plan.ts'

const usualLanes = 16

/** Runs the bench over a broker alone: publisher, a topic of its own, handlers; no store. */
export async function runOnTransport(
  runtime: Runtime,
  bench: PlannedBench,
  asked: Asked & { readonly url: string; readonly lanes: number | undefined },
): Promise<BenchResult> {
  const { plan, kinds, gates, drainTimeoutMs } = bench
  if (kinds.some(({ kind }) => kind === 'effect'))
    throw new EvtError('usage', 'cannot bench --handler effect over a broker alone: it writes into the store', {
      hint: 'use noop (the default with --target), sleep:5ms or cpu:1ms',
    })
  return withTarget(runtime, asked.url, async (target) => {
    const { transport, shown } = target
    assertFit(target)
    await askToLoad(runtime, bench, { shown, asked })
    const [{ createTransportTarget }, { runBench }, { createLiveView }] = await Promise.all([
      import('../../bench/transport/target.ts'),
      import('../../bench/run.ts'),
      import('../../bench/live.ts'),
    ])
    const live = createLiveView(asked.options.live ? runtime.terminal.stderr : { write: () => {} })
    const warn = (message: string) => runtime.output.warn(message)
    const lanes = asked.lanes ?? usualLanes
    const made = createTransportTarget({ transport, url: asked.url, shown, run: plan.run, kinds, lanes, warn })
    const { signal } = runtime
    const options = { plan, gates, drainTimeoutMs, signal, reproduce: asked.reproduce, onProgress: live.update }
    try {
      return await runBench(options, made)
    } finally {
      live.end()
    }
  })
}

function assertFit({ transport, shown }: Target): void {
  const [named] = transport.named
  if (named !== undefined)
    throw new EvtError(
      'usage',
      `cannot bench on ${shown}: it names ${named}, and a bench sends to a topic of its own`,
      {
        hint: 'leave the topic out of the URL: nobody else is to get these events',
      },
    )
  const why = transport.lanes
    ? transport.deadLetters
      ? undefined
      : 'it keeps no dead letters'
    : 'nothing can be consumed from it'
  if (why) throw new EvtError('usage', `cannot bench on ${shown}: ${why}`, { hint: 'use memory, redis, kafka or amqp' })
}
