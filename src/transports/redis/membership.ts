import { setTimeout as delay } from 'node:timers/promises'
import { slotOf } from '../../core/slot.ts'
import type { Problems } from '../problems.ts'
import { fairShare } from '../share.ts'
import type { RedisContext } from './context.ts'
import { createLiveness } from './liveness.ts'
import { createRegister, type GroupBeat } from './membership-scripts.ts'
import { membersKey, type Topic } from './topic.ts'

const retryMs = 100

/** A lane in hand, as far as sharing goes. */
export interface HeldLane {
  readonly index: number
  readonly epoch: bigint
  readonly draining: boolean
  readonly releasing: boolean
  drain(): void
  lose(reason: string): void
}

/** One call of `lanes()` among the members of a group of one topic. */
export interface Seat {
  /** Once every half second. Never throws. */
  beat(): Promise<void>
  /** Frees the lease of a lane, after `write`; tried again until that is done, the lane is lost or the transport closes. */
  release(lane: HeldLane, write: () => Promise<unknown>): Promise<void>
  /** Claims no more; keeps what it has. */
  leave(): void
  /** It has left and holds nothing: it is no member any more. */
  readonly ended: boolean
}

export interface SeatInit {
  readonly context: RedisContext
  readonly topic: Topic
  readonly group: string
  /** Names this seat among all members, for good. */
  readonly session: string
  /** For people. */
  readonly member: string
  readonly problems: Problems
  held(): readonly HeldLane[]
  /** The lane is ours since this moment. */
  onClaimed(index: number, epoch: bigint): Promise<void>
  /** The server had forgotten this member: it may have forgotten more. */
  onForgotten(): void
  /** Something changed that others wait for. */
  hurry(): void
}

export function createSeat(init: SeatInit): Seat {
  const { context, group, problems, session, topic } = init
  const register = createRegister(context.connections.client, membersKey(topic.name, group), session)
  const liveness = createLiveness()
  let joined = true
  let ended = false
  let beats = 0n
  let last: Promise<void> = Promise.resolve()

  const held = () => init.held().filter((lane) => !lane.releasing)

  async function beatOnce(): Promise<void> {
    if (!joined && init.held().length === 0) {
      ended = true
      return register.leave()
    }
    const asked = held()
    const state = await register.beat(joined, init.member, asked)
    const me = state.members.find((member) => member.session === session)
    if (BigInt(me?.beats ?? 0) <= beats) init.onForgotten()
    beats = BigInt(me?.beats ?? 0)
    for (const lane of asked) {
      const lease = state.leases.get(lane.index)
      if (lease?.owner !== session || lease.epoch !== lane.epoch) lane.lose('another member owns it')
    }
    const dead = liveness.judge(state.members, session, performance.now())
    if (dead.length > 0) await register.bury(dead)
    const gone = new Set(dead)
    await share({ ...state, members: state.members.filter((member) => !gone.has(member)) })
  }

  async function share({ leases, members }: GroupBeat): Promise<void> {
    if (!joined) return
    const count = topic.streams.length
    const turn = slotOf(`${topic.name} ${group}`)
    const sharers = members.filter((member) => member.joined).map((member) => member.session)
    const mine = fairShare(count, sharers, session, turn)
    const own = init.held()
    const active = held().filter((lane) => !lane.draining)
    for (const lane of active.toSorted((a, b) => a.index - b.index).slice(mine)) lane.drain()
    const room = mine - own.length
    if (room <= 0) return
    const living = new Set(members.map((member) => member.session))
    const holding = new Set(own.map((lane) => lane.index))
    // Ours in the server and not here: the answer to a claim was lost.
    const isFree = (index: number) => {
      const owner = leases.get(index)?.owner ?? '-'
      return !holding.has(index) && (owner === session || !living.has(owner))
    }
    const first = slotOf(session)
    const order = Array.from({ length: count }, (_, i) => (first + i) % count)
    const claimed = await register.claim(order.filter(isFree).slice(0, room))
    // All of them, also when one fails: the next beat must not find one claimed that is still being entered.
    const entered = await Promise.allSettled(claimed.map(({ index, epoch }) => take(index, epoch)))
    const failed = entered.find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
  }

  /** What cannot be entered now is found ours, and not here, by a later beat. */
  async function take(index: number, epoch: bigint): Promise<void> {
    if (!joined) return register.release(index, epoch)
    await init.onClaimed(index, epoch)
  }

  return {
    get ended() {
      return ended
    },
    beat() {
      last = last.then(() => beatOnce().catch((error: unknown) => void problems.report(error, 0)))
      return last
    },
    async release(lane, write) {
      for (;;) {
        try {
          await write()
          await register.release(lane.index, lane.epoch)
          return init.hurry()
        } catch (error) {
          const waitMs = problems.report(error, retryMs)
          if (context.closing.aborted) return
          await delay(waitMs, undefined, { signal: context.closing }).catch(() => {})
        }
      }
    },
    leave() {
      joined = false
      init.hurry()
    },
  }
}
