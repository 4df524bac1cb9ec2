import type { MessagePort } from 'node:worker_threads'
import type { Outgoing, Producer, Settled } from '../../../src/bench/target.ts'
import type { BrokerAnswer, BrokerRequest } from './broker-thread.ts'

/** Runs in the generator's thread: one message to the broker a batch, one answer an event. */
export async function connectProducer({ port }: { readonly port: MessagePort }): Promise<Producer> {
  const waiting = new Map<number, Settled>()
  port.on('message', ({ k, state }: BrokerAnswer) => {
    waiting.get(k)?.([k], state)
    waiting.delete(k)
  })
  return {
    publish(batch: readonly Outgoing[], settled) {
      for (const { k } of batch) waiting.set(k, settled)
      port.postMessage({ publish: batch.map(({ k }) => k) } satisfies BrokerRequest)
    },
    async close() {
      for (const [k, settled] of waiting) settled([k], 'unknown')
      port.close()
    },
  }
}
