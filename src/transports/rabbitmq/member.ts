import type { Channel } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import type { LaneOptions } from '../transport.ts'
import { createWanted } from '../wanted.ts'
import { closeChannel, type Link, within } from './connect.ts'
import type { Delivery } from './driver.ts'
import { isFinal, isMissing, translate } from './errors.ts'
import { aheadOf, type Group, openGroup, repairLane, type Token } from './group.ts'
import { openLane, type RabbitLane } from './lane.ts'
import { backoff, type Session } from './session.ts'
import type { Topics } from './topics.ts'

/** How often a member looks whether the lanes are shared well: three questions that are answered without a write. */
const beatMs = 400

export interface MemberInit {
  readonly session: Session
  readonly topics: Topics
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

/** The channels of one membership. A token that is held is unacknowledged on `tokens`; it is free again when that is closed. */
interface Seat {
  readonly presence: Channel
  readonly asking: Channel
  readonly tokens: Channel
  readonly lost: AbortSignal
}

/** The group as it is in the server, made where it is missing. Throws `usage` where there is nothing to consume. */
export async function makeGroup(
  init: Pick<MemberInit, 'session' | 'topics' | 'topic' | 'group' | 'options'>,
): Promise<Group> {
  const { session, topics, topic } = init
  const kind = await topics.resolve(topic)
  if (kind === undefined) {
    throw new EvtError('usage', `cannot consume ${topic}: there is no topic, exchange or queue of that name`, {
      hint: '`rabbitmqctl list_exchanges` and `rabbitmqctl list_queues` show which there are in this vhost',
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
    if (!signal.aborted) for (const lane of owned) lane.lose('its group was deleted, or the connection lost')
    void leave(seat, owned, bell.ring)
  }
}

async function takeSeat(link: Link, group: Group): Promise<Seat> {
  const lost = new AbortController()
  const channels: Channel[] = []
  try {
    for (let i = 0; i < 3; i++) channels.push(await link.channel())
    const [presence, asking, tokens] = channels as [Channel, Channel, Channel]
    for (const channel of channels) channel.once('close', () => lost.abort())
    // The queue was deleted: who counts its consumers does not see this member.
    presence.on('basic.cancel', () => lost.abort())
    await within(
      presence.basicConsume({ queue: group.members }, () => {}),
      `join ${group.members}`,
    )
    return { presence, asking, tokens, lost: lost.signal }
  } catch (error) {
    await Promise.all(channels.map(closeChannel))
    throw error
  }
}

/** No member from now on; lanes in hand stay owned until they are released. */
async function leave(
  { presence, asking, tokens }: Seat,
  owned: ReadonlySet<RabbitLane>,
  ring: () => void,
): Promise<void> {
  ring()
  await Promise.all([closeChannel(presence), closeChannel(asking)])
  for (const lane of owned) {
    await new Promise<void>((resolve) => {
      if (lane.lost.aborted || !tokens.active) resolve()
      lane.lost.addEventListener('abort', () => resolve(), { once: true })
      tokens.once('close', () => resolve())
    })
  }
  // A released lane gives its token back by itself; this is for the channel.
  await new Promise(setImmediate)
  await closeChannel(tokens)
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

  async function balance(): Promise<void> {
    const [tokens, members, hungry] = await Promise.all(
      [group.tokens, group.members, group.hungry].map((queue) =>
        within(seat.asking.queueDeclare({ queue, passive: true }), `look at ${queue}`),
      ),
    )
    const count = Math.max(1, members?.consumerCount ?? 1)
    const least = Math.floor(group.lanes.length / count)
    // Somebody has less than the least: who has one of the odd lanes lends it.
    const share = (hungry?.consumerCount ?? 0) > 0 ? Math.max(1, least) : Math.ceil(group.lanes.length / count)
    for (const lane of [...owned].slice(share)) lane.drain()
    let free = tokens?.messageCount ?? 0
    let ahead: number | undefined
    const claimed: Promise<void>[] = []
    while (free-- > 0 && owned.size + claimed.length < share && !signal.aborted) {
      const token = await nextToken()
      if (token === undefined) break
      ahead ??= await aheadOf(link, group)
      claimed.push(claim(token, ahead))
    }
    await settleAll(claimed)
    await beHungry(owned.size < least)
  }

  async function nextToken(): Promise<Delivery | undefined> {
    const get = seat.tokens.basicGet({ queue: group.tokens })
    return (await within(get, `claim a lane of ${group.topic}`)) as unknown as Delivery | undefined
  }

  async function claim(message: Delivery, ahead: number): Promise<void> {
    const giveBack = () => {
      if (seat.tokens.active) seat.tokens.basicNack({ deliveryTag: message.deliveryTag, requeue: true })
    }
    const token = JSON.parse(message.body.toString()) as Token
    const at = group.lanes[token.lane]
    if (at === undefined) {
      giveBack()
      throw new EvtError(
        'conflict',
        `cannot consume ${group.topic}: it had more lanes when group ${group.name} was made`,
        {
          hint: 'a topic keeps its number of lanes: take another name for it, or for the group',
        },
      )
    }
    let lane: RabbitLane | undefined
    const open = () =>
      openLane({
        link,
        ...at,
        topic: group.topic,
        group: group.name,
        epoch: epochOf(token, message),
        prefetch: init.options.prefetch,
        ahead,
        wanted,
        onEnded() {
          if (lane !== undefined) owned.delete(lane)
          giveBack()
          onFree()
        },
      })
    try {
      lane = await openOrRepair(open, async () => {
        await repairLane(link, group, at)
        const problem = `queue ${at.queue} was deleted: it is made again, and what was published meanwhile is not in it`
        init.onProblem(new EvtError('conflict', problem))
      })
    } catch (error) {
      giveBack()
      throw error
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

async function openOrRepair<T>(open: () => Promise<T>, repair: () => Promise<void>): Promise<T> {
  try {
    return await open()
  } catch (error) {
    if (!isMissing(error)) throw translate(error, 'consume')
    await repair()
    return open()
  }
}

/**
 * Quorum queues count how often they handed a message out: up to 4.2 as `x-delivery-count`; since 4.3 that counts failures only, and
 * `x-acquired-count` the rest. 20 bits of it, above those the time of the token in ms: that fits into 63 bits until 2248.
 */
function epochOf({ since }: Token, { headers }: Delivery): bigint {
  const counts = [headers?.['x-delivery-count'], headers?.['x-acquired-count']].map(Number).filter(Number.isFinite)
  return (BigInt(since) << 20n) + BigInt(Math.max(0, ...counts) + 1)
}
