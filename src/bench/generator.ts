import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { EvtError, errorCodes } from '../core/errors.ts'
import type { BenchPlan } from './plan.ts'
import type { SharedBuffers } from './shared.ts'
import type { ProducerSource } from './target.ts'

export interface GeneratorSetup {
  readonly plan: BenchPlan
  readonly buffers: SharedBuffers
  readonly producer: ProducerSource
}

export type ToGenerator =
  | { readonly do: 'probe'; readonly count: number }
  | { readonly do: 'run'; readonly epochNs: bigint }
  | { readonly do: 'close' }

export type FromGenerator =
  | { readonly is: 'ready' }
  | { readonly is: 'probe-failed'; readonly reason: string }
  | { readonly is: 'closed' }
  | ({ readonly is: 'sent' } & GeneratorLoad)
  | {
      readonly is: 'failed'
      readonly message: string
      readonly code: string | undefined
      readonly hint: string | undefined
    }

/** How busy the generator's thread was while it sent. */
export interface GeneratorLoad {
  /** Share of the time in which it did something, 0..1; meaningless when it spins. */
  readonly busy: number
  /** Pauses for garbage collection in its thread, ms. */
  readonly gcMs: number
  /** Why events were not accepted, when some were not. */
  readonly reasons: readonly string[]
}

/** The thread that sends. `open` has connected its producer when it resolves. */
export interface Generator {
  /** Sends one event to each of the first `count` keys, outside the schedule and the books. */
  probe(count: number): void
  /** Starts the schedule at `epochNs` of CLOCK_MONOTONIC; resolves when all is sent, or after `close`. */
  run(epochNs: bigint): Promise<GeneratorLoad>
  /** Rejects when the thread fails; never resolves. */
  readonly failure: Promise<never>
  /** Stops sending, settles what is under way, ends the thread. Idempotent. */
  close(): Promise<void>
}

// The same file is TypeScript under Node's type stripping and JavaScript in the package.
const threadFile = new URL(`./generator-thread${extname(import.meta.url)}`, import.meta.url)
const closeWithinMs = 3_000

export async function openGenerator(setup: GeneratorSetup): Promise<Generator> {
  const worker = new Worker(threadFile, { workerData: setup, transferList: [...(setup.producer.transfer ?? [])] })
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => {})
  const waiters = new Map<FromGenerator['is'], (message: FromGenerator) => void>()
  const next = <K extends FromGenerator['is']>(kind: K) =>
    new Promise<Extract<FromGenerator, { is: K }>>((resolve) => {
      waiters.set(kind, resolve as (message: FromGenerator) => void)
    })
  worker.on('error', (error) => failure.reject(error))
  worker.on('message', (message: FromGenerator) => {
    if (message.is === 'failed') failure.reject(asEvtError(message))
    if (message.is === 'probe-failed') {
      failure.reject(new EvtError('connect', `cannot publish a probe event: ${message.reason}`))
    }
    waiters.get(message.is)?.(message)
  })
  const send = (message: ToGenerator) => worker.postMessage(message)

  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= closeWorker(worker, () => send({ do: 'close' }))
    return closing
  }
  try {
    await Promise.race([next('ready'), failure.promise])
  } catch (error) {
    await worker.terminate()
    throw error
  }
  return {
    failure: failure.promise,
    probe: (count) => send({ do: 'probe', count }),
    run(epochNs) {
      send({ do: 'run', epochNs })
      return Promise.race([next('sent'), failure.promise])
    },
    close,
  }
}

async function closeWorker(worker: Worker, ask: () => void): Promise<void> {
  const gone = once(worker, 'exit')
  ask()
  const deadline = setTimeout(() => worker.terminate(), closeWithinMs)
  await gone
  clearTimeout(deadline)
}

function asEvtError({ message, code, hint }: Extract<FromGenerator, { is: 'failed' }>): EvtError {
  const known = errorCodes.find((name) => name === code) ?? 'internal'
  return new EvtError(known, message, hint ? { hint } : {})
}
