import { setTimeout as delay } from 'node:timers/promises'
import { formatDuration } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import type { Output } from '../../output/output.ts'
import type { Message, Published, Transport } from '../../transports/transport.ts'

export interface OverOutages {
  readonly transport: Transport
  readonly topic: string
  /** Without the password. */
  readonly shown: string
  readonly output: Pick<Output, 'warn' | 'notice'>
  readonly signal: AbortSignal
  /** How long a broker may be away; default 30,000 ms. */
  readonly giveUpMs?: number
}

export interface Sent {
  readonly results: readonly Published[]
  /** The rest is in vain: the broker was away for too long, or nobody knows what became of some. */
  readonly ended?: EvtError
}

/** No answer for so long is none; after an interruption it is waited for less long. */
const answerWithinMs = { usually: 10_000, interrupted: 2_000 }
const pollMs = 200
const probeMs = 5_000

/**
 * Publishes, and once something was published also over an outage, which is said once: waits until the server answers, and sends again
 * what it did not take. What may have arrived is sent again only where the broker knows ids, else it stays `unknown`.
 */
export function createSender(given: OverOutages): (messages: readonly Message[]) => Promise<Sent> {
  const { transport, topic, shown, output, signal, giveUpMs = 30_000 } = given
  const { deduplicates } = transport.capabilities
  let hasRun = false
  let lostAtMs: number | undefined

  const lose = (error: EvtError) => {
    if (lostAtMs !== undefined) return
    lostAtMs = performance.now()
    const what = error.code === 'interrupted' ? `cannot publish to ${topic}: no answer (${shown})` : error.message
    output.warn(`${what}; waiting up to ${formatDuration(giveUpMs)} until it is back`)
  }
  const find = () => {
    hasRun = true
    if (lostAtMs === undefined) return
    output.notice(`${shown}: connected again after ${formatDuration(performance.now() - lostAtMs)}; goes on`)
    lostAtMs = undefined
  }
  const leftMs = () => giveUpMs - (performance.now() - (lostAtMs ?? performance.now()))

  async function untilItAnswers(): Promise<boolean> {
    while (leftMs() > 0 && !signal.aborted) {
      await delay(pollMs, undefined, { signal }).catch(() => {})
      const asked = transport.inspect([topic]).then(
        () => true,
        (error: unknown) => !isOutage(error),
      )
      if (await Promise.race([asked, delay(Math.max(1, Math.min(probeMs, leftMs())), false, { ref: false })]))
        return true
    }
    return false
  }

  return async (messages) => {
    const results: Published[] = []
    let pending = [...messages.keys()]
    for (;;) {
      const batch = pending.map((i) => messages[i] as Message)
      const answers = await answered(signal, (until) => transport.publish(topic, batch, until))
      for (const [n, answer] of answers.entries()) note(results, pending[n] as number, answer)
      const lost = errorsOf(answers).find(isOutage)
      if (answers.some(isThere)) find()
      if (lost === undefined || !hasRun || signal.aborted) return endedBy(results)
      lose(lost)
      if (!(await untilItAnswers())) return signal.aborted ? endedBy(results) : { results, ended: tooLong(lost) }
      pending = pending.filter((i) => isToSendAgain(results[i], deduplicates))
      if (pending.length === 0) return { results }
    }
  }

  function tooLong(lost: EvtError): EvtError {
    return new EvtError('connect', `cannot publish to ${topic}: ${shown} was away for ${formatDuration(giveUpMs)}`, {
      ...(lost.hint === undefined ? {} : { hint: lost.hint }),
      cause: lost,
    })
  }
}

/** One that nobody knew about, and that the broker has under its id, arrived the first time. */
function note(results: Published[], i: number, answer: Published): void {
  const arrived = results[i]?.state === 'unknown' && answer.state === 'duplicate'
  results[i] = arrived ? { ...answer, state: 'stored' } : answer
}

function endedBy(results: readonly Published[]): Sent {
  const open = results.find(({ state }) => state === 'unknown')
  return open && 'error' in open ? { results, ended: open.error } : { results }
}

const isThere = ({ state }: Published) => state === 'stored' || state === 'duplicate'
const errorsOf = (results: readonly Published[]) =>
  results.flatMap((result) => ('error' in result ? [result.error] : []))

const isOutage = (error: unknown): error is EvtError =>
  error instanceof EvtError && ['connect', 'timeout', 'interrupted'].includes(error.code)

/** What follows a lost one in its lane is refused as well. */
const isToSendAgain = (result: Published | undefined, deduplicates: boolean) =>
  result?.state === 'refused' || (result?.state === 'unknown' && deduplicates)

async function answered<T>(signal: AbortSignal, ask: (until: AbortSignal) => Promise<T>): Promise<T> {
  const until = new AbortController()
  const timers = [setTimeout(() => until.abort(), answerWithinMs.usually)]
  const hurry = () => void timers.push(setTimeout(() => until.abort(), answerWithinMs.interrupted))
  signal.addEventListener('abort', hurry, { once: true })
  try {
    return await ask(until.signal)
  } finally {
    signal.removeEventListener('abort', hurry)
    timers.forEach(clearTimeout)
  }
}
