import type { MessagePort } from 'node:worker_threads'
import { EvtError } from '../../core/errors.ts'
import { resolvePublish } from '../../core/publish-options.ts'
import { createOutbound } from '../../publish/outbound.ts'
import { createPublishMeter } from '../../publish/publish-meter.ts'
import { openTransport } from '../../transports/registry.ts'
import type { Message, Published, Transport } from '../../transports/transport.ts'
import type { ScratchNames } from '../bridge/names.ts'
import type { Producer } from '../target.ts'
import { type FromMain, messageOf, type ToMain } from './wire.ts'

export interface TransportProducerOptions {
  readonly names: ScratchNames
  readonly topic: string
  /** Where to, with the password; stays in this process. */
  readonly url?: string
  /** In place of `url`: to a transport that lives in the main thread. */
  readonly port?: MessagePort
}

/** Longer than any run is drained: what is not answered until the run is cut off is unknown then. */
const timeout = '10m'

const normal = 2

interface Sent {
  readonly message: Message
  readonly k: number
  readonly settled: Parameters<Producer['publish']>[1]
}

/** Publishes as `createTransportPublisher` does: one batch at a time, the rest waits for the next one. */
export async function connectProducer({ names, topic, url, port }: TransportProducerOptions): Promise<Producer> {
  const transport = port ? throughPort(port) : await openTransport(url ?? '')
  const ending = new AbortController()
  const outbound = createOutbound<Sent>({
    name: topic,
    config: resolvePublish({ timeout }),
    bucket: undefined,
    meter: createPublishMeter(),
    signal: ending.signal,
    send: (name, batch, signal) =>
      transport.publish(
        name,
        batch.map(({ payload }) => payload.message),
        signal,
      ),
    settle({ payload: { k, settled } }, result) {
      if (!('error' in result)) settled([k], 'accepted')
      else settled([k], result.state === 'refused' ? 'rejected' : 'unknown', result.error.message)
    },
  })
  return {
    publish(batch, settled) {
      const time = new Date().toISOString()
      for (const event of batch) {
        const message = messageOf(event, names, time)
        outbound.add({
          id: message.id,
          key: message.key,
          level: normal,
          payload: { message, k: event.k, settled },
          bytes: message.body.length,
          sinceMs: performance.now(),
          isForeign: true,
          isAgain: false,
        })
      }
    },
    async close() {
      ending.abort(new EvtError('interrupted', 'the run was cut off'))
      await outbound.idle()
      await transport.close()
    },
  }
}

function throughPort(port: MessagePort): Pick<Transport, 'publish' | 'close'> {
  const waiting = new Map<number, (results: readonly Published[]) => void>()
  let sent = 0
  port.on('message', ({ n, results }: FromMain) => {
    const published = results.map(({ state, reason = state }): Published => {
      return state === 'refused' || state === 'unknown' ? { state, error: new EvtError('refused', reason) } : { state }
    })
    waiting.get(n)?.(published)
    waiting.delete(n)
  })
  return {
    publish(topic, batch) {
      const n = sent++
      port.postMessage({ n, topic, batch } satisfies ToMain)
      return new Promise((resolve) => waiting.set(n, resolve))
    },
    async close() {
      port.close()
    },
  }
}
