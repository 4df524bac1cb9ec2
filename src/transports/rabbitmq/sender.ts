import { setImmediate as nextTurn } from 'node:timers/promises'
import { EvtError, toError } from '../../core/errors.ts'
import type { Published } from '../transport.ts'
import type { ConfirmChannel, Confirmed, Sending } from './confirms.ts'
import { noAnswer } from './confirms.ts'
import { pause } from './connect.ts'
import { isFinal, translate } from './errors.ts'
import { fullestQueue } from './fullest.ts'
import { backoff, closed, type Session } from './session.ts'
import type { Topics } from './topics.ts'

/** A server that does not answer for so long is given up, and its connection with it. */
const silentMs = 10_000
/** What is bigger goes alone: should the server close the channel over its size, nothing else is in doubt, and sent twice. */
const aloneBytes = 1024 * 1024
/** One that says that it takes nothing, or that cannot be reached, is waited for so long, if the caller does not abort before. */
const patienceMs = 30_000

/** One message on its way. `lane` is what keeps an order: nothing of it goes after a refusal. */
export interface Outgoing extends Sending {
  readonly lane: number
  result?: Published
  /** A queue refused it. */
  isNacked?: true
}

export interface Sender {
  /**
   * Sends what `prepare` makes of the topic as it is now, again over new connections until all is answered, the signal aborts or patience ends.
   * One result each; nothing of a `lane` behind a refusal.
   */
  send(init: {
    readonly topic: string
    readonly count: number
    readonly signal: AbortSignal
    prepare(): Promise<readonly Outgoing[]>
  }): Promise<readonly Published[]>
}

export function createSender(session: Session, topics: Topics, confirms: () => Promise<ConfirmChannel>): Sender {
  return {
    async send({ topic, count, signal, prepare }) {
      if (session.closing.aborted) throw closed(session.options)
      const ended = AbortSignal.any([signal, session.closing])
      let outgoing: readonly Outgoing[] | undefined
      let failure: EvtError | undefined
      const finish = (open: Published) => Array.from({ length: count }, (_, i) => outgoing?.[i]?.result ?? open)
      const deadline = performance.now() + patienceMs
      for (let failures = 0; !ended.aborted && performance.now() < deadline; failures++) {
        try {
          outgoing ??= await orAborted(prepare(), ended)
          const channel = await orAborted(confirms(), ended)
          const silence = await sendOpen({ topic, outgoing, channel, signal: ended, deadline })
          if (outgoing.every(({ result }) => result !== undefined)) break
          failure = silence
          if (silence !== undefined) break
        } catch (error) {
          failure = translate(error, `publish to ${topic}`)
          if (isFinal(failure)) {
            topics.forget(topic)
            return finish({ state: 'refused', error: failure })
          }
        }
        // The exchange may be gone, or the server another one.
        topics.forget(topic)
        await backoff(failures, ended)
      }
      const nackedOnes = outgoing?.filter(({ isNacked }) => isNacked) ?? []
      if (nackedOnes.length > 0) {
        // A help in the message, and nobody waits longer for it than for the rest.
        const fullest = await orAborted(fullestQueue(session, topics, topic), ended).catch(() => undefined)
        const error = nacked(topic, fullest)
        for (const message of nackedOnes) message.result = { state: 'refused', error }
      }
      return finish({ state: 'unknown', error: ended.aborted ? interrupted(topic) : (failure ?? interrupted(topic)) })
    },
  }
}

interface SendInit {
  readonly topic: string
  readonly outgoing: readonly Outgoing[]
  readonly channel: ConfirmChannel
  readonly signal: AbortSignal
  readonly deadline: number
}

interface Sent {
  readonly message: Outgoing
  confirmed: Confirmed | undefined
}

/** Sends what has no result, in order, and gives results to what was answered. Returns why it waits no longer, if it does not. */
async function sendOpen({ topic, outgoing, channel, signal, deadline }: SendInit): Promise<EvtError | undefined> {
  const ended = new AbortController()
  const stop = AbortSignal.any([signal, ended.signal])
  const { largest } = channel
  const refused = new Set<number>()
  const sent: Sent[] = []
  let unanswered = 0
  let onAllAnswered = () => {}
  const allAnswered = async () => {
    if (unanswered === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    onAllAnswered = resolve
    await orAborted(promise, stop).catch(() => {})
  }
  const silence = watchSilence(channel, stop, deadline, () => ended.abort())
  for (const message of outgoing) {
    const { length } = message.body
    if (length > largest) message.result ??= tooLarge(topic, length, largest)
    // Nothing behind a refusal; what stands before it may have no answer yet.
    if (message.result?.state === 'refused') refused.add(message.lane)
    if (message.result !== undefined) continue
    if (length > aloneBytes) await allAnswered()
    if (!channel.hasRoom(length)) await channel.room(length, stop)
    if (stop.aborted) break
    if (refused.has(message.lane)) continue
    const entry: Sent = { message, confirmed: undefined }
    sent.push(entry)
    unanswered++
    channel.send(message, (confirmed) => {
      entry.confirmed = confirmed
      // No use in sending the rest of its lane.
      if (confirmed.state === 'nacked' || confirmed.state === 'unfit') refused.add(message.lane)
      if (--unanswered === 0) onAllAnswered()
    })
    if (length > aloneBytes) await allAnswered()
  }
  await allAnswered()
  await nextTurn()
  ended.abort()
  giveResults(topic, sent, channel)
  refuseTheRest(topic, outgoing)
  return silence()
}

function giveResults(topic: string, sent: readonly Sent[], channel: ConfirmChannel): void {
  const refused = new Set<number>()
  for (const { message, confirmed } of sent) {
    if (confirmed === undefined || confirmed.state === 'open') continue
    if (confirmed.state === 'stored' && !channel.isReturned(message.envelope)) {
      message.result = refused.has(message.lane) ? { state: 'unknown', error: outOfOrder(topic) } : { state: 'stored' }
    } else if (confirmed.state === 'unfit') {
      refused.add(message.lane)
      message.result = { state: 'refused', error: tooWide(topic, toError(confirmed.cause)) }
    } else {
      refused.add(message.lane)
      message.result = { state: 'refused', error: confirmed.state === 'stored' ? unroutable(topic) : nacked(topic) }
      if (confirmed.state === 'nacked') message.isNacked = true
    }
  }
  if (channel.closure === undefined) return
  // It names an exchange or a size, and no message: another publish over this channel may have been meant.
  const error = translate(channel.closure, `publish to ${topic}`)
  const named = /exchange '([^']*)'/.exec(toError(channel.closure).message)?.[1]
  for (const { message } of sent) {
    const { body, envelope } = message
    if (body.length > channel.largest) message.result ??= tooLarge(topic, body.length, channel.largest)
    else if (isFinal(error) && envelope.exchange === named) message.result ??= { state: 'refused', error }
  }
}

/** What stands behind a refusal in its lane was not tried. */
function refuseTheRest(topic: string, outgoing: readonly Outgoing[]): void {
  const refused = new Set<number>()
  for (const message of outgoing) {
    if (message.result?.state === 'refused') refused.add(message.lane)
    else if (message.result === undefined && refused.has(message.lane))
      message.result = { state: 'refused', error: notTried(topic) }
  }
}

/** Calls back when waiting has no more use; the function it returns says why. */
function watchSilence(
  channel: ConfirmChannel,
  signal: AbortSignal,
  deadline: number,
  onSilent: () => void,
): () => EvtError | undefined {
  let error: EvtError | undefined
  void (async () => {
    let answers = channel.answers
    let since = performance.now()
    while (!signal.aborted) {
      await pause(500, signal)
      const now = performance.now()
      if (channel.answers !== answers) {
        answers = channel.answers
        since = now
      }
      const { blocked } = channel.link
      if (signal.aborted || (blocked === undefined ? now - since < silentMs : now < deadline)) continue
      error = noAnswer(Math.round(now - since), blocked)
      if (blocked === undefined) channel.abandon()
      onSilent()
    }
  })()
  return () => error
}

/** The promise's value, or a throw when the signal aborts before. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(new EvtError('interrupted', 'cannot wait: aborted'))
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
    promise.catch(() => {})
    aborted.catch(() => {})
  }
}

const interrupted = (topic: string) => new EvtError('interrupted', `cannot tell whether ${topic} has it: aborted`)

const tooLarge = (topic: string, size: number, limit: number): Published => ({
  state: 'refused',
  error: new EvtError(
    'too-large',
    `cannot publish to ${topic}: the message has ${size} bytes, and the server takes ${limit} (max_message_size)`,
    { hint: 'make it smaller, or raise max_message_size in rabbitmq.conf and restart RabbitMQ' },
  ),
})

const tooWide = (topic: string, cause: Error) =>
  new EvtError('too-large', `cannot publish to ${topic}: its headers do not fit (${cause.message})`, {
    hint: 'all headers of a message go in one frame: put into its data what its attributes carry',
  })

const notTried = (topic: string) =>
  new EvtError('refused', `cannot publish to ${topic}: an earlier message of its lane was refused`)

const outOfOrder = (topic: string) =>
  new EvtError(
    'refused',
    `cannot publish to ${topic} in order: an earlier message of its lane was refused, this one was not`,
    {
      hint: 'it is there, before the one that was refused; publishing both again makes a duplicate of this one',
    },
  )

const nacked = (topic: string, fullest?: { readonly queue: string; readonly ready: number }) =>
  new EvtError(
    'refused',
    `cannot publish to ${topic}: a queue refuses it${fullest ? ` (the fullest is ${fullest.queue}, ${fullest.ready} ready)` : ''}`,
    {
      hint: 'let its consumers catch up, or raise its limit (max-length with overflow reject-publish: `rabbitmqctl list_policies`); else it has lost the majority of its nodes',
    },
  )

const unroutable = (topic: string) =>
  new EvtError('refused', `cannot publish to ${topic}: no queue is bound for it, and it would be lost`, {
    hint: 'start a consumer once: its group is bound from then on, also while it does not run; `evt tail -s …` is one as long as it runs',
  })
