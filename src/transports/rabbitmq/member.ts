import type { Channel } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import type { LaneOptions } from '../transport.ts'
import { createWanted } from '../wanted.ts'
import { isStreamQueue } from './burial.ts'
import { closeChannel, type Link, within } from './connect.ts'
import { closureOf } from './driver.ts'
import { isFinal, isMissing, missing, translate } from './errors.ts'
import { aheadOf, type Group, openGroup, repairLane } from './group.ts'
import { openLane, type RabbitLane } from './lane.ts'
import { drawEpoch, type Locked, lockLane } from './ownership.ts'
import { backoff, type Session } from './session.ts'
import type { StartedMarks } from './started.ts'
import type { Topics } from './topics.ts'

/** How often a member looks whether the lanes are shared well: three questions that are answered without a write. */
const beatMs = 400

export interface MemberInit {
  readonly session: Session
  readonly topics: Topics
  readonly marks: StartedMarks
  readonly topic: string
  readonly group: string
  readonly options: LaneOptions
  readonly signal: AbortSignal
  offer(lane: RabbitLane): void
  onProblem(error: Error): void
}

/** A member of the group until the signal aborts, over as many connections as it takes. Throws what no other attempt would change. */
export async function joinGroup(init: MemberInit): Promise<void> {
  const { signal } = init
  for (let failures = 0; !signal.aborted; ) {
    try {
      const startedAt = performance.now()
      await attend(init)
      failures = performance.now() - startedAt > 5_000 ? 0 : failures + 1
    } catch (error) {
      // Queues of the group that somebody deleted are made again by the next attempt.
      if (isFinal(error) && !isMissing(error) && !signal.aborted) throw error
      failures++
    }
    await backoff(failures, signal)
  }
}

/** The channels of one membership; a lane has its own, which owns it. */
interface Seat {
  readonly presence: Channel
  readonly asking: Channel
  /** Its reason is a text. */
  readonly lost: AbortSignal
}

/** The group as it is in the server, made where it is missing. Throws `usage` where there is nothing to consume. */
export async function makeGroup(
  init: Pick<MemberInit, 'session' | 'topics' | 'topic' | 'group' | 'options'>,
): Promise<Group> {
  const { session, topics, topic } = init
  const kind = await topics.resolve(topic)
  if (kind === undefined) throw missing(`consume ${topic}`)
  // Without a place of the group's own in it, each owner would begin at its end, and lose what came before.
  if (kind.kind === 'queue' && (await isStreamQueue(await session.link('read'), topic))) {
    throw new EvtError('unsupported', `cannot consume ${topic}: a stream keeps no position for a group over AMQP`, {
      hint: 'observe it (`evt tail --since start`), or consume a quorum queue that is bound to the same exchange',
    })
  }
  return openGroup(session, topic, kind, init.group, init.options.prefetch)
}

/** As long as the connection lasts. */
async function attend(init: MemberInit): Promise<void> {
  const { session, signal } = init
  const group = await makeGroup(init)
  const link = await session.link('read')
  const seat = await takeSeat(link, group)
  const owned = new Set<RabbitLane>()
  const bell = createDoorbell()
  const balance = createBalance({ init, link, group, seat, owned, onFree: bell.ring })
  try {
    while (!signal.aborted && !seat.lost.aborted) {
      await balance()
      await bell.wait(signal, seat.lost, AbortSignal.timeout(beatMs))
    }
  } finally {
    if (!signal.aborted) for (const lane of owned) lane.lose(whyLeft(link, seat))
    // Lanes in hand stay owned until they are released.
    void Promise.all([closeChannel(seat.presence), closeChannel(seat.asking)])
  }
}

function whyLeft(link: Link, { lost }: Seat): string {
  if (link.lost.aborted) return 'the connection was lost'
  return lost.aborted ? String(lost.reason) : 'its group could not be looked at, and is joined again'
}

async function takeSeat(link: Link, group: Group): Promise<Seat> {
  const lost = new AbortController()
  const channels: Channel[] = []
  try {
    for (let i = 0; i < 2; i++) channels.push(await link.channel())
    const [presence, asking] = channels as [Channel, Channel]
    for (const channel of channels) {
      channel.once('close', () => {
        const closure = closureOf(channel)?.message
        lost.abort(closure === undefined ? 'the connection was lost' : `RabbitMQ closed a channel: ${closure}`)
      })
    }
    // Who counts its consumers does not see this member.
    presence.on('basic.cancel', () => lost.abort('its group was deleted, or its node left'))
    await within(
      presence.basicConsume({ queue: group.members }, () => {}),
      `join ${group.members}`,
    )
    return { presence, asking, lost: lost.signal }
  } catch (error) {
    await Promise.all(channels.map(closeChannel))
    throw error
  }
}

interface BalanceInit {
  readonly init: MemberInit
  readonly link: Link
  readonly group: Group
  readonly seat: Seat
  readonly owned: Set<RabbitLane>
  onFree(): void
}

/** Looks, gives away what is above this member's share, and takes what is free of it. */
function createBalance({ init, link, group, seat, owned, onFree }: BalanceInit): () => Promise<void> {
  const { signal } = init
  const wanted = createWanted(init.options.patterns)
  let hungryTag: string | undefined

  const look = (queue: string) => within(seat.asking.queueDeclare({ queue, passive: true }), `look at ${queue}`)

  async function balance(): Promise<void> {
    const [members, hungry] = await Promise.all([look(group.members), look(group.hungry)])
    const count = Math.max(1, members.consumerCount)
    const least = Math.floor(group.lanes.length / count)
    // Somebody has less than the least: who has one of the odd lanes lends it.
    const share = hungry.consumerCount > 0 ? Math.max(1, least) : Math.ceil(group.lanes.length / count)
    for (const lane of [...owned].slice(share)) lane.drain()
    if (owned.size < share && !signal.aborted) await claimUpTo(share - owned.size)
    await beHungry(owned.size < least)
  }

  async function claimUpTo(most: number): Promise<void> {
    const ours = new Set([...owned].map(({ id }) => id))
    const others = group.lanes.filter(({ id }) => !ours.has(id))
    const owners = await Promise.all(others.map(async ({ lock }) => (await look(lock)).consumerCount))
    const free = others.filter((_, i) => owners[i] === 0)
    // Members that begin together do not all try for the same ones.
    const start = Math.floor(Math.random() * free.length)
    const tried = [...free.slice(start), ...free.slice(0, start)].slice(0, most)
    const locked = (await Promise.all(tried.map((lane) => lockLane(link, lane)))).filter((one) => one !== undefined)
    if (locked.length === 0) return
    try {
      // Only who has the lock draws: the next owner's epoch is higher.
      const epoch = await drawEpoch(link, group)
      const ahead = await aheadOf(link, group)
      await settleAll(locked.map((one) => claim(one, epoch, ahead)))
    } catch (error) {
      const opened = new Set([...owned].map(({ id }) => id))
      await Promise.all(locked.map(({ at, channel }) => (opened.has(at.id) ? undefined : closeChannel(channel))))
      if (!(error instanceof EvtError) || error.code !== 'timeout') throw error
      init.onProblem(error)
    }
  }

  async function claim({ at, channel }: Locked, epoch: bigint, ahead: number): Promise<void> {
    let lane: RabbitLane | undefined
    try {
      lane = await openLane({
        channel,
        ...at,
        topic: group.topic,
        group: group.name,
        epoch,
        prefetch: init.options.prefetch,
        together: init.options.suspects ?? 1,
        ahead,
        isOurs: at.bindingKey !== undefined,
        wanted,
        suspects: await init.marks.read(link, at.started),
        mark: (mark, ...until) => init.marks.write(at.started, mark, { until, onProblem: init.onProblem }),
        onProblem: init.onProblem,
        onEnded() {
          if (lane !== undefined) owned.delete(lane)
          onFree()
        },
      })
    } catch (error) {
      if (!isMissing(error)) throw translate(error, 'consume')
      await repairLane(link, group, at)
      const problem = `queue ${at.queue} was deleted: it is made again, and what was published meanwhile is not in it`
      init.onProblem(new EvtError('conflict', problem))
      return onFree()
    }
    owned.add(lane)
    if (signal.aborted) await lane.release()
    else init.offer(lane)
  }

  async function beHungry(isHungry: boolean): Promise<void> {
    if (isHungry === (hungryTag !== undefined)) return
    if (isHungry) {
      hungryTag = (
        await within(
          seat.presence.basicConsume({ queue: group.hungry }, () => {}),
          `join ${group.hungry}`,
        )
      ).consumerTag
    } else if (hungryTag !== undefined) {
      const tag = hungryTag
      hungryTag = undefined
      await within(seat.presence.basicCancel(tag), `leave ${group.hungry}`)
    }
  }

  return balance
}

/** Waits for all, also when one fails; throws the first failure. */
async function settleAll(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === 'rejected') throw result.reason
}
