import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { EvtError } from '../../core/errors.ts'
import type { Problems } from '../problems.ts'
import type { LocalGroup } from './group.ts'
import { planGroup } from './group.ts'
import type { LogLane } from './lane.ts'
import { beat, type ClaimedLane, claimLanes, leave, releaseLane, removeDead } from './lane-sql.ts'
import { createLiveness } from './liveness.ts'
import { type Adopted, createSession } from './session.ts'

const beatMs = 500
const goneBackHint = 'the server was restored, or another one took over; handlers go on from where the store has them'
/** How long closing may wait for a server that does not answer. */
const closeMs = 3_000

/** This process among the members of all its groups: one connection, one statement a beat. */
export interface Membership {
  /** The group's lanes are claimed from now on; `member` is what this process is called for people. */
  join(group: LocalGroup, member: string): void
  /** Makes this beat the next thing to happen. */
  hurry(): void
  /** Writes the lane's position and frees it; resolves also when the server could not be asked within the time to close. */
  release(lane: LogLane): Promise<void>
  /** Releases nothing: that is for the lanes. Idempotent. */
  close(): Promise<void>
}

export interface MembershipOptions {
  readonly connectionString: string
  readonly problems: Problems
  onClaimed(group: LocalGroup, claimed: ClaimedLane): void
  /** Up to where the log was read. */
  tip(): bigint
  /** The log ends before that. */
  onGoneBack(head: bigint): void
  /** Once a beat. */
  onBeat(): void
}

export function createMembership({ connectionString, problems, ...on }: MembershipOptions): Membership {
  const locals = new Set<LocalGroup>()
  const liveness = createLiveness()
  const session = createSession({ connectionString, member: () => name, problems, onAdopted })
  let closed: Promise<void> | undefined
  let name = ''
  let again = false
  let timer: NodeJS.Timeout | undefined
  let beating: Promise<void> | undefined

  const heldLanes = () => [...locals].flatMap((local) => [...local.owned.values()])
  const named = (name: string) => [...locals].filter((local) => local.name === name)

  function onAdopted(adopted: Adopted): void {
    const kept = new Set(adopted.map(({ group, lane, epoch }) => `${group} ${lane} ${epoch}`))
    for (const lane of heldLanes()) {
      if (!kept.has(`${lane.group} ${lane.index} ${lane.epoch}`)) lane.lose('it was claimed while we were disconnected')
    }
  }

  async function beatOnce(client: pg.Client, me: bigint): Promise<void> {
    for (const local of locals) if (!local.joined && local.owned.size === 0) locals.delete(local)
    const joined = [...new Set([...locals].filter((local) => local.joined).map(({ name }) => name))]
    const known = [...new Set([...locals].map(({ name }) => name))]
    const tip = on.tip()
    const state = await beat(client, me, joined, known)
    if (BigInt(state.head ?? 0) < tip) goBack(tip, BigInt(state.head ?? 0))
    if (!state.alive) return session.reregister(client)
    const dead = liveness.judge(state.members, String(me), performance.now())
    if (dead.length > 0) {
      await removeDead(client, dead)
      return beatOnce(client, me)
    }
    const lanesOf = new Map(state.groups.map(({ name, lanes }) => [name, lanes]))
    for (const local of locals) if (known.includes(local.name)) local.resize(lanesOf.get(local.name) ?? 0)
    for (const group of state.groups) {
      const sharers = named(group.name)
      const plan = planGroup(group, sharers, state.members, String(me))
      for (const lane of plan.lost) lane.lose('another member owns it')
      for (const lane of plan.drain) lane.drain()
      if (plan.claim > 0) await claim(client, me, sharers, plan.claim)
    }
  }

  /** Another server answers: what was read beyond its end is nothing that it knows. */
  function goBack(tip: bigint, head: bigint): void {
    on.onGoneBack(head)
    const reason = `the log ends at ${head}, and was read up to ${tip}`
    problems.report(new EvtError('refused', `cannot go on from there: ${reason}`, { hint: goneBackHint }), beatMs)
    for (const lane of heldLanes()) lane.lose(reason)
  }

  async function claim(client: pg.Client, me: bigint, sharers: readonly LocalGroup[], count: number): Promise<void> {
    const held = sharers.flatMap((local) => [...local.owned.keys()])
    const claimer = sharers.find((local) => local.joined)
    if (claimer === undefined) return
    for (const claimed of await claimLanes(client, me, claimer.name, held, count)) {
      const taker = sharers.find((local) => local.joined)
      // Nobody wants it any more: the next beat of anyone finds it ours and unheld, or free.
      if (taker === undefined) await releaseLane(client, claimer.name, claimed.lane, claimed.epoch, claimed.position)
      else on.onClaimed(taker, claimed)
    }
  }

  function beatSoon(afterMs: number): void {
    if (closed !== undefined) return
    clearTimeout(timer)
    timer = setTimeout(() => {
      // The next beat goes over a new connection.
      beating ??= session
        .run(beatOnce)
        .catch((error: unknown) => void problems.report(error, beatMs))
        .finally(() => {
          beating = undefined
          on.onBeat()
          beatSoon(again ? 0 : beatMs)
          again = false
        })
    }, afterMs)
  }

  return {
    join(group, member) {
      name = member
      locals.add(group)
      this.hurry()
    },
    hurry() {
      if (beating !== undefined) again = true
      else beatSoon(0)
    },
    async release(lane) {
      const write = (client: pg.Client) => releaseLane(client, lane.group, lane.index, lane.epoch, lane.progress())
      while (!lane.lost.aborted) {
        const waitMs = await session.run(write).then(
          () => 0,
          (error: unknown) => problems.report(error, 100),
        )
        if (waitMs === 0 || closed !== undefined) return
        await delay(waitMs)
      }
    },
    close() {
      closed ??= (async () => {
        clearTimeout(timer)
        session.run((client, me) => leave(client, me)).catch(() => {})
        await session.close(closeMs)
        await beating
      })()
      return closed
    },
  }
}
